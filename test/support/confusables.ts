import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * Makes the table of src/identity/confusables.json from the file confusables.txt of Unicode (UTS
 * 39): `node test/support/confusables.ts confusables.txt`. Of each line it keeps what can occur in
 * a name of NFKC, decomposed: by the letters that stand for others, the characters that look like
 * them.
 */
export function tableOf(text: string): { version: string; alike: Record<string, string> } {
  const [, version = ''] = /^# Version: (\S+)/m.exec(text) ?? []
  const alike: Record<string, string> = {}
  for (const line of text.split('\n')) {
    const [source, target] = line.split('#')[0]?.split(';') ?? []
    if (source === undefined || target === undefined) continue
    const [from, to] = [source, target].map((codes) =>
      String.fromCodePoint(
        ...codes
          .trim()
          .split(' ')
          .map((code) => Number.parseInt(code, 16)),
      ),
    ) as [string, string]
    const prototype = to.normalize('NFKD')
    const occurs = from.normalize('NFKD') === from
    if (occurs && prototype !== from && prototype !== '') alike[prototype] = (alike[prototype] ?? '') + from
  }
  return { version, alike: Object.fromEntries(Object.entries(alike).sort(([a], [b]) => (a < b ? -1 : 1))) }
}

const [, program, file] = process.argv
if (program === fileURLToPath(import.meta.url) && file !== undefined)
  writeFileSync(
    new URL('../../src/identity/confusables.json', import.meta.url),
    `${JSON.stringify(tableOf(readFileSync(file, 'utf8')), null, 2)}\n`,
  )
