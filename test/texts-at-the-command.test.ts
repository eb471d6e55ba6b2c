// What this holds: a text that the command seals is UTF-8 to its last byte, wherever it comes from,
// and a byte order mark is no part of it.
// What makes it fail: a decoder that puts U+FFFD where bytes are wrong: what is sealed so is lost
// for ever.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { joinWithDesk, start, ended, temporary } from './support/command.ts'
import { usualOperation } from './support/usual-operation.ts'

const directory = temporary(t)
const scene = await usualOperation(t)
const desk = await joinWithDesk(t, directory, scene, { name: 'austria', country: 'AT' })
const session = await scene.coordinator.follow(scene.operation)

const file = (name: string, bytes: Uint8Array | string) => {
  const path = join(directory, name)
  writeFileSync(path, bytes)
  return path
}
const latin1 = (text: string) => Buffer.from(text, 'latin1')
const marked = (text: string) => `\uFEFF${text}`

const seizure = {
  country: 'AT',
  date: '2026-11-20',
  placeName: 'Gmünd',
  items: [{ category: 'drugs/cocaine', quantity: '1.5', unit: 'KGM' }],
  narrative: 'Größe geprüft',
}
const mapping = {
  mapping: 'probe',
  form: 'seizure',
  version: 1,
  key: 'ref',
  columns: {
    ref: { field: '/reference' },
    date: { field: '/date' },
    country: { field: '/country' },
    kg: { goods: { category: 'drugs/cocaine', unit: 'KGM' } },
  },
}

// Bites: `requireWholeWords`, and `readTextFile` where a file is read.
t.test('a text in another encoding is refused with its place, and nothing is sealed', async (t) => {
  const csv = file('rows.csv', 'ref,date,country,kg\nA1,2026-11-20,AT,1\n')
  const cases: [readonly string[], Uint8Array, RegExp][] = [
    [['post'], latin1('Fahrer Müller, Großmarkt'), /Byte 8 \(line 1, column 9\).*standard input/],
    [['post'], Buffer.from('\uFEFFGrün', 'utf16le'), /Byte 0 \(line 1, column 1\)/],
    [
      ['post', '--form', 'seizure', '--fields', file('fields.json', latin1(JSON.stringify(seizure)))],
      latin1(''),
      /Byte 51 \(line 1, column 52\).*fields\.json: save it as UTF-8/,
    ],
    [['post', '--form', 'seizure', '--fields', '-'], latin1(JSON.stringify(seizure, null, 1)), /\(line 4, column 18\)/],
    [
      ['import', csv, '--map', file('map.json', latin1(JSON.stringify({ ...mapping, subject: 'Fälle {ref}' })))],
      latin1(''),
      /map\.json: save it as UTF-8/,
    ],
  ]
  for (const [args, input, says] of cases) {
    const done = await desk.run(args, {}, input)
    t.equal(done.code, 1, args.join(' '))
    t.match(done.stderr, says)
  }
  // The shell gives the argument as bytes, which Node cannot.
  const shell = ['/bin/sh', '-c', `exec "$@" "$(printf 'M\\374ller')"`, 'sh']
  const child = start(t, ['post'], { CORDON_STORE: desk.store }, shell)
  child.stdin?.end()
  const done = await ended(child)
  t.equal(done.code, 2)
  t.match(done.stderr, /was not given in UTF-8/)
  t.equal(session.messages.length, 0)
})

t.test('a text with a byte order mark is taken without it', async (t) => {
  const text = await desk.run(['post', '--json'], {}, marked('Grünes Licht 😀\n'))
  t.equal(text.code, 0, text.stderr)
  const fields = file('marked.json', marked(JSON.stringify(seizure)))
  await desk.must('post', '--form', 'seizure', '--fields', fields)
  const read = await desk.must<{ messages: { fields: object }[] }>('read', String(text.json['index']))
  t.same(read.messages[0]?.fields, { text: 'Grünes Licht 😀' })
  const rows = file('rows.csv', marked('ref,date,country,kg\nA1,2026-11-20,AT,1\n'))
  const map = file('marked.map.json', marked(JSON.stringify(mapping)))
  t.match(await desk.must('import', rows, '--map', map), { imported: 1 })
})

// Bites: `readText`, through which each text of a file passes.
t.test('INV-188: no bytes but those of UTF-8 get into a sealed body', async (t) => {
  const before = session.messages.length
  const wrong = fc
    .tuple(fc.uint8Array({ maxLength: 12 }), fc.constantFrom(0x80, 0xbf, 0xc0, 0xf5, 0xff), fc.string())
    .map(([start, byte, end]) => Buffer.concat([start, Uint8Array.of(byte), Buffer.from(`${end}.`)]))
    .filter((bytes) => !Buffer.from(bytes.toString('utf8')).equals(bytes))
  for (const bytes of fc.sample(wrong, { numRuns: 6, seed: 16 })) {
    const done = await desk.run(['post'], {}, bytes)
    t.equal(done.code, 1, bytes.toString('hex'))
    t.match(done.stderr, /is not UTF-8/)
  }
  t.equal(session.messages.length, before)
})

t.test('a file for spreadsheets begins with a byte order mark', async (t) => {
  const { stdout } = await desk.run(['audit', '--csv'])
  t.ok(stdout.startsWith('\uFEFF"entry",'))
  t.equal(stdout.indexOf('\uFEFF', 1), -1)
})
