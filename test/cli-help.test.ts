import t from 'tap'
import { ended, start } from './support/command.ts'

// What an officer reads who asks for help, or mistypes: it fits 80 columns, and names the line that
// says more.

t.test('help fits 80 columns, but for lines that are to be copied', async (t) => {
  for (const args of [['--help'], ['witness-policy', '--help'], ['help', 'operation', 'create']]) {
    const { code, stdout } = await ended(start(t, args))
    t.equal(code, 0)
    const lines = stdout.split('\n')
    t.ok(lines.length > 15, args.join(' '))
    t.same(
      lines.filter((line) => line.length > 80 && !line.startsWith('  ')),
      [],
    )
  }
})

t.test('what is used wrongly names the help of the very command', async (t) => {
  const wrong: [string[], RegExp][] = [
    [['reed'], /^error: unknown command 'reed'\n\(Did you mean read\?\)\nHow it is used: cordon --help\n$/],
    [['help', 'reed'], /^error: unknown command 'reed'/],
    [['read', '--limt', '3'], /Did you mean --limit\?\)\nHow it is used: cordon read --help\n$/],
    [
      ['operation', 'create', 'X'],
      /'--reference <reference>' not specified\nHow it is used: cordon operation create --help\n$/,
    ],
    [['operation', 'compartment', 'crate'], /How it is used: cordon operation compartment --help\n$/],
  ]
  for (const [args, says] of wrong) {
    const { code, stdout, stderr } = await ended(start(t, args))
    t.equal(code, 2, args.join(' '))
    t.equal(stdout, '')
    t.match(stderr, says)
  }
})

t.test('help and the version are reached by the words that people try', async (t) => {
  const said = async (...args: string[]) => (await ended(start(t, args))).stdout
  t.equal(await said('help', 'read'), await said('read', '--help'))
  t.equal(await said('help'), await said('--help'))
  t.equal(await said('-v'), await said('--version'))
})

// Bites: requireKnownVariables
t.test('a variable that no command reads is refused with the name that was meant', async (t) => {
  const wrong: [string, RegExp][] = [
    ['CORDON_STOER', /^No command reads the variable CORDON_STOER: give CORDON_STORE, or take/],
    ['CORDON_STORE_PASSPHRASE_FIEL', /give CORDON_STORE_PASSPHRASE_FILE,/],
    ['CORDON_SERVER', /^No command reads the variable CORDON_SERVER: take it out of the environment\. Commands read /],
  ]
  for (const [name, says] of wrong) {
    const { code, stdout, stderr } = await ended(start(t, ['read'], { [name]: '/elsewhere' }))
    t.equal(code, 2, name)
    t.equal(stdout, '')
    t.match(stderr, says)
  }
  const fromKubernetes = { CORDON_SERVICE_HOST: '10.0.0.1', CORDON_PORT_7300_TCP_ADDR: '10.0.0.1', HOME: '/nowhere' }
  t.match((await ended(start(t, ['read'], fromKubernetes))).stderr, /^There is no store at \/nowhere/)
  t.equal((await ended(start(t, ['read', '--help'], { CORDON_STOER: 'x' }))).code, 0, 'help is shown all the same')
})
