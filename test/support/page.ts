import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'

const fence = /^```(sh|json|text)\n([^]*?)^```$/gm
const end = 'END OF STEP'

export interface Step {
  readonly command: string
  /** What the page says that it prints; undefined where it prints nothing. */
  readonly printed: { readonly language: string; readonly at: number; readonly length: number } | undefined
}

/** The commands of a page, each with the block of what it prints, which follows it. */
export function stepsOf(page: string): Step[] {
  const steps: Step[] = []
  for (const { 0: block, 1: language = '', 2: content = '', index } of page.matchAll(fence)) {
    if (language === 'sh') steps.push({ command: content, printed: undefined })
    else steps.push({ command: steps.pop()?.command ?? '', printed: { language, at: index, length: block.length } })
  }
  return steps
}

export interface Shell {
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Runs the steps of a page in one shell, and answers the page with what they print now. */
export async function runPage(page: string, shell: Shell, before: (command: string) => Promise<void>): Promise<string> {
  const child = spawn('bash', ['--noprofile', '--norc'], { ...shell, stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = once(child, 'close')
  const complaints = text(child.stderr)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const parts: string[] = []
  let from = 0
  for (const { command, printed } of stepsOf(page)) {
    await before(command)
    child.stdin.write(`set -e -o pipefail\n${command}\necho\necho '${end}'\n`)
    const said: string[] = []
    for (let line = await lines.next(); line.value !== end; line = await lines.next()) {
      if (line.done === true) throw new Error(`${command}\nfailed: ${said.join('\n')}\n${await complaints}`)
      said.push(line.value)
    }
    if (!printed) continue
    const answer = shortened(said.join('\n').trim())
    parts.push(page.slice(from, printed.at), `\`\`\`${printed.language}\n${answer}\n\`\`\``)
    from = printed.at + printed.length
  }
  child.stdin.end()
  await ended
  return parts.join('') + page.slice(from)
}

const token = /(?<![\w+/-])[\w-]{44,}(?:\.[\w-]*)*(?![\w+/=-])/g
const largeBase64 = /[\w+/]{200,}=*/g

/** A page is read by people: of what is long, they need to see the beginning. */
const shortened = (said: string) =>
  [token, largeBase64].reduce((rest, long) => rest.replaceAll(long, (found) => `${found.slice(0, 24)}…`), said)

const volatile: readonly (readonly [RegExp, string])[] = [
  [/[\w+/-]{20,}…/g, 'LONG'],
  [/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/g, 'ID'],
  [/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME'],
  [/127\.0\.0\.1:\d+/g, 'HOST'],
  [/[\w+/-]{40,}=*/g, 'BYTES'],
  [/[\w-]{22,}/g, 'BYTES'],
  [/(?<=\\n|\b)\d+/g, 'N'],
]
const bare = (line: string) => line.trim().replace(/,$/, '')

/** What is the same in every run; of lines that differ in nothing else, one. */
export const lasting = (page: string) =>
  volatile
    .reduce((rest, [what, name]) => rest.replaceAll(what, name), page)
    .split('\n')
    .filter((line, i, lines) => bare(line) === '' || bare(line) !== bare(lines[i - 1] ?? ''))
    .join('\n')
