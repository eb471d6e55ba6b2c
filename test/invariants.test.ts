import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { repository } from './support/architecture.ts'

const idPattern = /INV-[0-9]{2,3}/g

/** The first word of a title that names an invariant, by test file. */
async function namedIn(directory: string): Promise<Map<string, Set<string>>> {
  const files = (await readdir(directory, { recursive: true })).filter((name) => name.endsWith('.test.ts'))
  const named = new Map<string, Set<string>>()
  for (const file of files) {
    const text = await readFile(join(directory, file), 'utf8')
    for (const [title] of text.matchAll(/\btest\(\s*(['"`])INV-[0-9]{2,3}(?:, INV-[0-9]{2,3})*: /g)) {
      for (const [id] of title.matchAll(idPattern)) named.set(id, (named.get(id) ?? new Set()).add(file))
    }
  }
  return named
}

t.test('every invariant has the tests that docs/invariants.md names, and no test names another', async (t) => {
  const page = await readFile(join(repository, 'docs/invariants.md'), 'utf8')
  const rows = page.split('\n').filter((line) => line.startsWith('| INV-'))
  const named = await namedIn(join(repository, 'test'))
  const written = new Set<string>()
  for (const row of rows) {
    const [, id = '', , tests = ''] = row.split('|').map((cell) => cell.trim())
    t.notOk(written.has(id), `${id} is written once`)
    written.add(id)
    const files = [...tests.matchAll(/`([^`]+)`/g)].map(([, file]) => file ?? '')
    t.not(files.length, 0, `${id} names a test`)
    for (const file of files) t.ok(named.get(id)?.has(file), `${file} has a test of ${id}`)
  }
  for (const [id, files] of named) t.ok(written.has(id), `${id}, named in ${[...files].join(', ')}, is an invariant`)
})
