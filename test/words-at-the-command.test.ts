// What this holds: what people type at the command is understood in the form in which names and
// words are compared, or refused with what to do; and what it shows stays in its place, whichever
// way it is written.
// What makes it fail: a name that is looked up by its code units, a number that is guessed, a table
// whose cells turn one another.
import t from 'tap'
import { numberUpTo, countOf } from '../src/cli/numbers.ts'
import { table } from '../src/cli/table.ts'
import { joinWithDesk, temporary } from './support/command.ts'
import { usualOperation } from './support/usual-operation.ts'

const scene = await usualOperation(t)
const desk = await joinWithDesk(t, temporary(t), scene, { name: 'austria', country: 'AT' })

// Bites: `comparingForm` in `whom` of src/cli/commands/invite.ts.
t.test('a person who is invited again is that person, however the name is typed', async (t) => {
  const first = await desk.must<{ person: string }>('invite', 'José Nuñez')
  for (const again of ['Jose\u0301 Nun\u0303ez', ' josé\u200b  ＮUÑEZ'])
    t.match(await desk.must('invite', again), { person: first.person }, JSON.stringify(again))
  t.notMatch(await desk.must('invite', 'Jose Nunez'), { person: first.person }, 'an accent makes another name')
})

// Bites: `countOf` and `numberUpTo` in src/cli/numbers.ts.
t.test('a number is written in digits', async (t) => {
  t.equal(countOf('--limit', '40'), 40)
  t.equal(numberUpTo('--hours', '0.5', 720), 0.5)
  for (const text of ['0x10', '1e2', '１０', '+5', ' 5', '5.0', '٥', '', '0', '-1', '4,000'])
    t.throws(() => countOf('--limit', text), /--limit is a whole number from 1/, text)
  for (const text of ['1e2', '0x10', '0,5', '721', '0', '.5'])
    t.throws(() => numberUpTo('--hours', text, 720), /--hours is a number above 0/, text)
  for (const args of [
    ['read', '--limit=0x10'],
    ['search', 'x', '--limit=1e2'],
    ['audit', '--limit=１０'],
    ['invite', 'X', '--hours=1e2'],
  ])
    t.match(await desk.run(args), { code: 2, stderr: /is a (whole )?number/ }, args.join(' '))
})

// Bites: `messageNamed` in src/cli/audited-log.ts.
t.test('the id of a message is one in capitals, too', async (t) => {
  const { message, index } = await desk.must<{ message: string; index: number }>('post', 'Seen.')
  const done = await desk.run(['audit', '--message', ` ${message.toUpperCase()}`, '--kind', 'message.posted'])
  t.match(done, { code: 0, stdout: new RegExp(`^${String(index)} `, 'm') })
})

// Bites: `has` in src/cli/commands/search.ts.
t.test('the number of a container is found however its parts are set apart', async (t) => {
  await desk.must('post', 'Containers MSKU 123456-7 and TGHU\u00ad7654321 at T\u0131lbury, القـــاهرة ٤٥.')
  for (const words of ['msku123456 7', 'tghu7654321', 'tilbury', 'قاهره 45'])
    t.match(await desk.must('search', words), { of: 1 }, words)
  t.match(await desk.must('search', 'MSKU1234568'), { of: 0 })
  t.match(await desk.must('search', '71'), { of: 0 }, 'digits of two numbers are no number')
  for (const blank of [' ', '\u200b'])
    t.match(await desk.run(['search', blank]), { code: 2, stderr: /Give words that show something/ })
})

// Bites: `cellOf` in src/cli/terminal.ts.
t.test('a cell from right to left turns none beside it', async (t) => {
  t.same(table(['name', 'n'], [['מכס 7', '41']]), ['name   n', '\u2068מכס 7\u2069  41'])
  t.same(table(['a', 'b'], [['\u2068\u202e\u2069', 'x']]).length, 2)
  const hidden = '\u2068a\u2069 מכס'
  t.match(table(['a'], [[hidden]])[1], /^\u2068.*\u2069$/, 'a pair inside a name isolates nothing else')
  await desk.must('post', 'שלום', '--subject', 'מכס 41')
  const { stdout } = await desk.run(['read'])
  t.match(stdout, /^@\d+ .*\u2068מכס 41\u2069 +text/m)
})
