// What this holds: at a terminal `cordon map` asks what the file leaves open, asks again where an
// answer is none, leaves open what is answered with nothing, and writes what was answered.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { atTerminal, noTerminal } from './support/at-terminal.ts'
import { temporary } from './support/command.ts'

const skip = noTerminal

function answering(args: readonly string[], answers: readonly string[]) {
  return atTerminal(
    t,
    args,
    answers.map((answer) => ['leaves it open: ', `${answer}\r`] as const),
  )
}

// Bites: `askAll` in src/cli/commands/map.ts.
t.test('questions are asked until they are answered, and an empty answer leaves one open', { skip }, async (t) => {
  const directory = temporary(t)
  const file = join(directory, 'seizures.csv')
  const map = join(directory, 'seizures.map.json')
  writeFileSync(file, 'ref,date,country,drug,kg\n1,01/02/2026,NA,Heroin,1.5\n2,03/04/2026,KE,Speed,2\n')
  const { code, shown } = await answering(
    ['map', file, '--output', map],
    ['dei', 'day', 'namibia', 'amphetamines', 'drugs/synthetic/amphetamine'],
  )
  t.equal(code, 0, shown)
  t.match(shown, /begin with the day or with the month/)
  t.equal(shown.match(/This is no answer that the mapping can take/g)?.length, 2)
  t.match(JSON.parse(readFileSync(map, 'utf8')), {
    columns: {
      date: { dateFormat: 'D/M/YYYY' },
      country: { missing: [] },
      kg: { goods: { category: { codes: { Heroin: 'drugs/opioids/heroin', Speed: 'drugs/synthetic/amphetamine' } } } },
    },
  })
  t.notMatch(shown, /open:\r?\n/, 'nothing is left open')
  const open = await answering(['map', file], ['', '', ''])
  t.equal(open.code, 0, open.shown)
  t.match(open.shown, /3 questions open:/)
  t.match(open.shown, /Which commodity is "Speed" of drug\?\r?\n/)
})

t.test('a person who interrupts the questions has no mapping written', { skip }, async (t) => {
  const directory = temporary(t)
  const file = join(directory, 'seizures.csv')
  const map = join(directory, 'seizures.map.json')
  writeFileSync(file, 'ref,date,country,kg\n1,01/02/2026,KE,1.5\n')
  const { code, shown } = await answering(['map', file, '--output', map], ['\u0003'])
  t.not(code, 0)
  t.notMatch(shown, / at .*\.js:\d+/, 'no stack is shown')
  t.notOk(existsSync(map))
})
