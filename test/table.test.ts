// What this holds: tables and lines fit the terminal without a broken word, whatever letters they
// have; colours stand where a person sees them and nowhere else.
import fc from 'fast-check'
import stringWidth from 'string-width'
import t from 'tap'
import { lookOfTlp, painted } from '../src/cli/looks.ts'
import { table } from '../src/cli/table.ts'
import { wrapLine, wrapWords } from '../src/cli/wrapped-lines.ts'
import { ended, start } from './support/command.ts'
import { atTerminal, noTerminal } from './support/at-terminal.ts'

const plain = () => undefined
const wordsOf = (text: string) => text.split(/\s+/).filter((word) => word !== '')

// Bites: fitted, linesOf
t.test('a table that is too wide is wrapped between words, in its columns', async (t) => {
  const head = ['thread', 'subject', 'from']
  const rows = [
    ['@41', 'Scales in timber from two shippers', 'Hong Kong Customs'],
    ['@7', 'Short', 'Kenya'],
  ]
  t.equal(table(head, rows, plain, 80).length, 3)
  t.same(table(head, rows, plain, 40), [
    'thread  subject          from',
    '@41     Scales in        Hong Kong',
    '        timber from two  Customs',
    '        shippers',
    '@7      Short            Kenya',
  ])
  t.same(table(head, rows, plain, 16), [
    '@41',
    '  subject: Scales',
    '           in',
    '           timber',
    '           from',
    '           two',
    '           shippers',
    '  from: Hong',
    '        Kong',
    '        Customs',
    '',
    '@7',
    '  subject: Short',
    '  from: Kenya',
  ])
})

t.test('no word is broken or lost, and no line with room for its words is too wide', async (t) => {
  const word = fc.string({ minLength: 1, maxLength: 12, unit: fc.constantFrom('a', 'é', '貨', 'ä', '-', 'ı') })
  const cell = fc.array(word, { maxLength: 8 }).map((words) => words.join(' '))
  const rows = fc.array(fc.tuple(cell, cell, cell, cell), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(rows, fc.integer({ min: 20, max: 120 }), (cells, columns) => {
      const head = ['a', 'b', 'c', 'd']
      const lines = table(head, cells, plain, columns)
      const shown = wordsOf(lines.join(' '))
      for (const one of cells.flat().flatMap(wordsOf)) t.ok(shown.includes(one), one)
      const widest = Math.max(
        ...cells
          .flat()
          .flatMap(wordsOf)
          .map((one) => stringWidth(one)),
        0,
      )
      for (const line of lines) if (widest + 5 <= columns) t.ok(stringWidth(line) <= columns, line)
    }),
    { numRuns: 60 },
  )
})

t.test('a name from right to left is isolated in each line of its cell', async (t) => {
  const lines = table(['name', 'n'], [['מכס ישראל הראשי בנמל', '41']], plain, 16)
  t.ok(lines.length > 2)
  for (const line of lines.slice(1)) {
    t.match(line, /^\u2068[^\u2068\u2069]+\u2069/)
    t.equal(line.match(/\u2068/g)?.length, line.match(/\u2069/g)?.length)
  }
})

t.test('a line is wrapped below its own beginning', async (t) => {
  t.same(wrapLine('  The quick brown fox jumps', 24), ['  The quick brown fox', '  jumps'])
  t.same(wrapLine('  // one of twelve codes, required', 30), ['  // one of twelve codes,', '  // required'])
  t.same(wrapLine(`text\n${'x'.repeat(90)}`, 80).length, 1, 'a whole text stays as it is')
  t.same(wrapWords('', 10), [''])
  const long = 'x'.repeat(100)
  t.same(wrapLine(long, 80), [long], 'a word is never broken')
})

// Bites: painted
t.test('colours are for a person: none beside a terminal, and none with NO_COLOR', async (t) => {
  t.equal(painted('urgent', 'urgent'), 'urgent', 'standard output is no terminal here')
  t.equal(lookOfTlp('RED'), 'urgent')
  t.equal(lookOfTlp('AMBER+STRICT'), 'due')
  t.equal(lookOfTlp('CLEAR'), undefined)
  const piped = await ended(start(t, ['form', 'seizure']))
  t.ok(
    piped.stdout.split('\n').some((line) => stringWidth(line) > 80),
    'a program gets each row on one line',
  )
})

t.test('help and tables at 80 columns', { skip: noTerminal }, async (t) => {
  for (const args of [['form', 'seizure'], ['--help'], ['read', '--help'], ['post', '--help'], ['audit', '--help']]) {
    const { code, shown } = await atTerminal(t, args, [], { columns: 80 })
    t.equal(code, 0, shown)
    const wide = shown.split(/\r?\n/).filter((line) => stringWidth(line) > 80 && !line.startsWith('  $ '))
    t.same(wide, [], args.join(' '))
  }
})
