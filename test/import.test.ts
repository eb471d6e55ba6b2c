import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { isImportFault, readCsv, readMapping, type Cordon } from '../src/client/index.ts'
import { addDecimals, sumDecimals, type Figures } from '../src/forms/index.ts'
import { checkLog } from './support/check-log.ts'
import { ended, joinWithDesk, temporary, until } from './support/command.ts'
import { type startServer, type TestServer } from './support/server.ts'
import { usualOperation } from './support/usual-operation.ts'

// The main job on real input, with the command: what a national system wrote goes to everybody,
// once.

const repository = join(import.meta.dirname, '..')
const real = join(repository, '..', 'shared', 'data', 'pangolin-seizures.csv')
const map = join(repository, 'docs', 'examples', 'pangolin-seizures.map.json')
const skip = existsSync(real) ? false : 'the real seizures are not at hand: ../shared/data/pangolin-seizures.csv'

const header =
  'ref,date,country,place,latitude,longitude,transport,concealment,came_from,going_to,live_specimens,carcasses,whole_specimens,whole_weight_kg,scales_weight_kg,outcome'
const row = (ref: string, change: { date?: string; country?: string; scales?: string } = {}) =>
  `${ref},${change.date ?? '2015-03-04'},${change.country ?? 'KE'},Nairobi,,,air,,,TH,,,,,${change.scales ?? '12.5'},`

/** An operation with three members whose stores are files, as the command has them. */
async function scene(owner: Parameters<typeof startServer>[0]) {
  const directory = temporary(owner)
  const stage = await usualOperation(owner)
  const { server } = stage
  const { coordinator, operation } = stage
  const kenya = await joinWithDesk(owner, directory, stage, { name: 'kenya', country: 'KE' })
  const thailand = await joinWithDesk(owner, directory, stage, { name: 'thailand', country: 'TH' })
  return { server, directory, coordinator, operation, kenya, thailand }
}

const constant = (source: unknown) => (typeof source === 'string' ? source : '')

/** The plain sum of each column of quantities, by what the mapping makes of it. */
function sumsOf(csv: string): Map<string, string> {
  const file = readCsv(csv, ',')
  const read = readMapping(readFileSync(map, 'utf8'))
  if (isImportFault(file) || !('mapping' in read)) throw new Error('file and mapping are right')
  const sums = new Map<string, string>()
  for (const [column, targets] of Object.entries(read.mapping.columns)) {
    const at = file.header.cells.indexOf(column)
    const cells = file.records.map(({ cells }) => (cells[at] ?? '').trim()).filter((cell) => cell !== '')
    for (const target of targets)
      if ('goods' in target)
        sums.set(`${constant(target.goods['category'])} ${constant(target.goods['unit'])}`, sumDecimals(cells))
  }
  return sums
}

/** The columns whose sum the figures do not have: none. */
function wrongSums(figures: Figures, csv: string): string[] {
  const sums = sumsOf(csv)
  if (sums.size !== 5) return ['the file has five columns of quantities']
  return [...sums].flatMap(([of, sum]) => {
    const found = figures.quantities.find(({ category, unit }) => `${category} ${unit}` === of)
    const total = addDecimals(found?.quantity ?? '0', found?.estimated ?? '0')
    return total === sum ? [] : [`${of}: ${total}, not ${sum}`]
  })
}

async function posts(server: TestServer, coordinator: Cordon, operation: string): Promise<number> {
  await checkLog(server)
  return (await coordinator.follow(operation)).messages.length
}

t.test('651 real seizures reach all members live, once, and their sums are those of the file', { skip }, async (t) => {
  const { server, coordinator, operation, kenya, thailand } = await scene(t)
  const csv = readFileSync(real, 'utf8')
  const leading = await coordinator.follow(operation)
  const following = thailand.start(['follow', '--json'])
  const stopped = ended(following)
  let notes = ''
  let lines = 0
  following.stderr?.on('data', (chunk) => (notes += String(chunk)))
  following.stdout?.on('data', (chunk) => (lines += String(chunk).split('\n').length - 1))
  await until('the other member follows', () => notes.includes('Ctrl-C ends it'))

  const first = await kenya.must('import', real, '--map', map, '--operation', 'T-1')
  t.match(first, { rows: 651, imported: 651, already: 0, changed: [], corrected: 0 })
  await until('all others have all of them', () => lines >= 651 && leading.messages.length >= 651)
  following.kill('SIGINT')
  const { code, stdout } = await stopped
  t.equal(code, 0, 'Ctrl-C ends following in good order')
  const got = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { id: string; index: number; form: string })
  t.equal(new Set(got.map(({ id }) => id)).size, 651)
  t.same(
    got.map(({ index }) => index),
    leading.messages.map(({ index }) => index),
    'in the order of the log',
  )

  t.same(wrongSums(leading.figures(), csv), [], 'for the coordinator')
  const figures = await thailand.must<{ reader: Figures; server: Figures; agree: boolean }>('figures')
  t.equal(figures.agree, true)
  t.equal(figures.server.seizures, 651)
  t.same(wrongSums(figures.reader, csv), [], 'for the other member')
  t.same(wrongSums(figures.server, csv), [], 'by the service')

  const second = await kenya.must('import', real, '--map', map)
  t.match(second, { rows: 651, imported: 0, already: 651, changed: [], corrected: 0 })
  t.equal(await posts(server, coordinator, operation), 651, 'nothing doubled')
  t.same(leading.alarms, [])
})

t.test('one bad row, and nothing is sent: each is told with its line, column and reason', async (t) => {
  const { server, directory, coordinator, operation, kenya } = await scene(t)
  const file = (name: string, text: string) => {
    const path = join(directory, name)
    writeFileSync(path, text)
    return path
  }
  const bad = file(
    'bad.csv',
    [
      header,
      row('a'),
      row('b', { date: '2015-02-30' }),
      row('c', { country: 'Kenya' }),
      row('a'),
      row('d', { scales: 'many' }),
    ].join('\n'),
  )
  const good = file('good.csv', [header, row('a'), row('b', { scales: '3' })].join('\n'))
  const broken = JSON.parse(readFileSync(map, 'utf8')) as { columns: Record<string, unknown> }
  const unmapped = file(
    'unmapped.json',
    JSON.stringify({ ...broken, columns: { ...broken.columns, place: undefined } }),
  )
  const wrong = file('wrong.json', JSON.stringify({ ...broken, form: 'seizures', colour: 'red' }))
  const text = file('text.json', 'no mapping')

  const refused = await kenya.run(['import', bad, '--map', map])
  t.equal(refused.code, 1)
  t.match(refused.stderr, /has 4 faults in 4 lines; nothing was sent/)
  t.match(refused.stderr, /line 3, column date: not-a-date/)
  t.match(refused.stderr, /line 4, column country: not-in-list/)
  t.match(refused.stderr, /line 5, column ref: repeated.*line 2/)
  t.match(refused.stderr, /line 6, column scales_weight_kg: /)
  const [json, noColumn, noForm, noMapping, nothing] = await Promise.all([
    kenya.run(['import', bad, '--map', map, '--dry-run', '--json']),
    kenya.run(['import', good, '--map', unmapped, '--json']),
    kenya.run(['import', good, '--map', wrong, '--json']),
    kenya.run(['import', good, '--map', text, '--json']),
    kenya.run(['import', join(directory, 'none.csv'), '--map', map, '--json']),
  ])
  t.match(json.json, { error: { faults: [{ line: 3, column: 'date', reason: 'not-a-date' }, {}, {}, {}] } })
  t.match(noColumn.json, { error: { faults: [{ line: 1, column: 'place', reason: 'column-not-mapped' }] } })
  t.match(noForm.json, { error: { faults: [{ pointer: '/colour' }, { pointer: '/form' }] } })
  t.match(noMapping.json, { error: { message: /is not JSON/ } })
  t.match(nothing.json, { error: { code: 'ENOENT', message: /none\.csv: there is no such file/ } })
  for (const { code } of [json, noColumn, noForm, noMapping, nothing]) t.equal(code, 1)
  t.match((await kenya.run(['import', good, '--map', map, '--dry-run'])).stdout, /2 rows of .*Nothing was sent/)
  t.equal(await posts(server, coordinator, operation), 0)

  const unasked = await kenya.run(['import', good, '--map', map, '--new-key'])
  t.match(unasked, { code: 2, stdout: '', stderr: /figures count them twice[^]*--yes/ }, 'no new key without a yes')
  t.match(await kenya.must('import', good, '--map', map, '--new-key', '--yes'), { imported: 2, already: 0 })
  t.match(await kenya.must('import', good, '--map', map), { imported: 0, already: 2 })
  writeFileSync(good, [header, row('a'), row('b', { scales: '4' })].join('\n'))
  t.match(await kenya.must('import', good, '--map', map), {
    imported: 0,
    corrected: 0,
    changed: [{ line: 3, key: 'b' }],
  })
  t.match(await kenya.must('import', good, '--map', map, '--update'), { imported: 0, corrected: 1 })
  const session = await coordinator.follow(operation)
  await until('the correction is there', () => session.messages.length === 3)
  t.match(session.figures(), { seizures: 2, totals: [{ quantity: '16.5' }] })
  t.equal(await posts(server, coordinator, operation), 3)

  writeFileSync(good, [header, row('a', { scales: '5' }), row('c')].join('\n'))
  const shown = await kenya.run(['import', good, '--map', map, '--changes'])
  t.match(shown, {
    code: 0,
    stdout: /line 2, key a[^]*"12\.5" → "5"[^]*gone from the source[^]*key b[^]*--yes sends all of it/,
  })
  t.equal(await posts(server, coordinator, operation), 3, 'nothing is sent without a yes')
  t.match(await kenya.must('import', good, '--map', map, '--changes', '--yes'), {
    imported: 1,
    corrected: 1,
    withdrawn: 1,
  })
  await until('the changes are there', () => session.messages.length === 6)
  t.match(session.figures(), { seizures: 2, totals: [{ quantity: '17.5' }] })
  t.match(await kenya.run(['import', good, '--map', map, '--changes']), { stdout: /in step with the file/ })
  const checked = await kenya.must('import', good, '--map', map, '--check')
  t.match(checked, { records: 2, rows: 2, faults: [], messages: [{ key: 'a' }, { key: 'c' }] })
  t.equal(await posts(server, coordinator, operation), 6)
})
