// What this holds: at a terminal `cordon map` asks what the file leaves open, asks again where an
// answer is none, leaves open what is answered with nothing, and writes what was answered.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { command, temporary } from './support/command.ts'

// A terminal of its own for a command: what the command shows goes to standard output, and each
// line of standard input is typed when the command asks the next question.
const terminal = `
import os, pty, sys
answers = sys.stdin.read().split('\\n')
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
shown = b''
asked = 0
while True:
    try:
        part = os.read(fd, 4096)
    except OSError:
        break
    if not part:
        break
    shown += part
    while asked < len(answers) and shown.count(b'leaves it open: ') > asked:
        os.write(fd, (answers[asked] + '\\r').encode())
        asked += 1
sys.stdout.buffer.write(shown)
sys.stdout.buffer.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`
const hasPython = spawnSync('python3', ['-c', 'import pty']).status === 0
const skip = hasPython ? false : 'python3 with its module pty is not installed'

async function atTerminal(args: readonly string[], answers: readonly string[]) {
  const main = [process.execPath, '--disable-warning=ExperimentalWarning', command, ...args]
  const env = { PATH: process.env['PATH'], HOME: '/nonexistent', LANG: 'C.UTF-8', TERM: 'dumb' }
  const child = spawn('python3', ['-c', terminal, ...main], { env, stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  let shown = ''
  child.stdout.on('data', (part) => (shown += String(part)))
  child.stdin.end(answers.join('\n'))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, shown }
}

// Bites: `askAll` in src/cli/commands/map.ts.
t.test('questions are asked until they are answered, and an empty answer leaves one open', { skip }, async (t) => {
  const directory = temporary(t)
  const file = join(directory, 'seizures.csv')
  const map = join(directory, 'seizures.map.json')
  writeFileSync(file, 'ref,date,country,drug,kg\n1,01/02/2026,NA,Heroin,1.5\n2,03/04/2026,KE,Speed,2\n')
  const { code, shown } = await atTerminal(
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
  const open = await atTerminal(['map', file], ['', '', ''])
  t.equal(open.code, 0, open.shown)
  t.match(open.shown, /3 questions open:/)
  t.match(open.shown, /Which commodity is "Speed" of drug\?\r?\n/)
})

t.test('a person who interrupts the questions has no mapping written', { skip }, async (t) => {
  const directory = temporary(t)
  const file = join(directory, 'seizures.csv')
  const map = join(directory, 'seizures.map.json')
  writeFileSync(file, 'ref,date,country,kg\n1,01/02/2026,KE,1.5\n')
  const { code, shown } = await atTerminal(['map', file, '--output', map], ['\u0003'])
  t.not(code, 0)
  t.notMatch(shown, / at .*\.js:\d+/, 'no stack is shown')
  t.notOk(existsSync(map))
})
