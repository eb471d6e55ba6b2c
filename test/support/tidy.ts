import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { repository, type Breach } from './architecture.ts'

/** Texts by their path below the repository. */
export type Texts = ReadonlyMap<string, string>

const widest = 100

/** Everything in `texts` that no linter refuses and a reader stumbles over, by file and line. */
export function findUntidy(texts: Texts): Breach[] {
  const code = [...texts].filter(([file]) => file.startsWith('src/') || file.startsWith('migrations/'))
  const words = new Set(code.flatMap(([, text]) => text.match(/[A-Za-z_]\w*/g) ?? []))
  const perFile = [...texts].flatMap(([file, text]) => {
    const lines = text.split('\n')
    const found = [...wideComments(lines), ...displacedDocstrings(lines), ...deadGuards(lines, words)]
    const late = mayWaitForMessages.has(file) ? [] : lateWaits(lines)
    return [...found, ...late].map(({ line, sentence }) => ({ file, line, sentence }))
  })
  return [...perFile, ...namesTwice(texts)]
}

type Found = Omit<Breach, 'file'>

const exported = /^export (?:declare |abstract |async )*(?:function\*?|class|interface|type|const|let|enum) (\w+)/

/**
 * A name that two files of src/ export: a reader who meets it has to ask which of them is meant.
 */
function* namesTwice(texts: Texts): Generator<Breach> {
  const homes = new Map<string, string>()
  for (const [file, text] of texts) {
    if (!file.startsWith('src/')) continue
    for (const [index, line] of text.split('\n').entries()) {
      const [, name] = exported.exec(line) ?? []
      if (name === undefined) continue
      const home = homes.get(name)
      if (home === undefined) homes.set(name, file)
      else if (home !== file)
        yield { file, line: index + 1, sentence: `${name} is also the name of an export of ${home}` }
    }
  }
}

function* wideComments(lines: readonly string[]): Generator<Found> {
  for (const [index, line] of lines.entries())
    if (/^\s*(\/\/|\/\*\*|\*(\s|$))/.test(line) && line.length > widest && line.trim().includes(' '))
      yield { line: index + 1, sentence: `this comment is wider than ${String(widest)} columns` }
}

/** A docstring stands above its declaration; one at the top of a file describes the file. */
function* displacedDocstrings(lines: readonly string[]): Generator<Found> {
  const first = lines.findIndex((line) => !line.startsWith('import ') && line.trim() !== '')
  for (const [index, line] of lines.entries()) {
    if (!/^\s*\/\*\*/.test(line)) continue
    let end = index
    while (end < lines.length && !(lines[end] ?? '').includes('*/')) end++
    const next = lines[end + 1]?.trim() ?? ''
    if (next.startsWith('/**') || (next === '' && index !== first))
      yield { line: index + 1, sentence: 'this docstring stands above nothing' }
  }
}

/** Names that a "Bites:" comment gives to the guard whose removal makes the test fail. */
function* deadGuards(lines: readonly string[], words: ReadonlySet<string>): Generator<Found> {
  let within = false
  for (const [index, line] of lines.entries()) {
    const [, comment] = /^\s*\/\/ ?(.*)$/.exec(line) ?? []
    within = comment !== undefined && (within || /^Bites?:/.test(comment))
    if (!within || comment === undefined) continue
    const quoted = [...comment.matchAll(/`([^`]+)`/g)].flatMap(([, name]) => name?.match(/[A-Za-z_]\w*/g) ?? [])
    const camel = comment.match(/\b[a-z]+[A-Z]\w*/g) ?? []
    for (const name of new Set([...quoted, ...camel]))
      if (!words.has(name)) yield { line: index + 1, sentence: `no source has the name ${name}` }
  }
}

/** Where `opened` is, and where this rule is shown to bite. */
const mayWaitForMessages: ReadonlySet<string> = new Set(['test/support/actors.ts', 'test/tidy.test.ts'])

/**
 * Waits for a message that another client has posted before the wait begins: it may have arrived,
 * and then the wait has no end. `opened` of test/support/actors.ts looks first.
 */
function* lateWaits(lines: readonly string[]): Generator<Found> {
  for (const [index, line] of lines.entries())
    if (/\.once\('message', \(\{ id\b/.test(line))
      yield { line: index + 1, sentence: 'this message may have arrived already; wait with opened()' }
}

/** Reads the sources, tests and migrations of this repository. */
export async function readTexts(): Promise<Texts> {
  const folders = ['src', 'test', 'bench', 'docs', 'migrations']
  const found = await Promise.all(
    folders.map(async (folder) => {
      const entries = await readdir(join(repository, folder), { recursive: true })
      return entries.filter((name) => /\.(ts|sql)$/.test(name)).map((name) => `${folder}/${name}`)
    }),
  )
  return new Map(
    await Promise.all(
      found
        .flat()
        .map(async (file): Promise<[string, string]> => [file, await readFile(join(repository, file), 'utf8')]),
    ),
  )
}
