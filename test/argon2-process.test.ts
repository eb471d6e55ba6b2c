// What this holds: passphrases are checked in a process of their own that gives way to everything
// else, knows nothing of the service, is made again when it dies in the middle of its work, and
// ends with whoever made it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { getPriority } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import argon2 from 'argon2'
import t from 'tap'
import { Argon2Process, Passphrases } from '../src/identity/index.ts'
import { childrenOf } from './support/processor-time.ts'

const children = () => childrenOf(process.pid).map(({ pid }) => pid)
const options = { type: argon2.argon2id, memoryCost: 19 * 1024, timeCost: 2, parallelism: 1 } as const
const skip = process.platform === 'linux' ? false : 'looks into /proc'

t.test('it hashes and checks as argon2 does', async (t) => {
  const work = new Argon2Process(2, (what) => t.fail(what))
  t.teardown(() => work.close())
  const passphrases = new Passphrases(2, work)
  const hash = await passphrases.hash('a passphrase of its own')
  t.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  t.ok(await argon2.verify(hash, 'a passphrase of its own'))
  t.ok(await passphrases.verify(async () => hash, 'a passphrase of its own'))
  t.notOk(await passphrases.verify(async () => hash, 'another passphrase'))
  t.notOk(await passphrases.verify(async () => undefined, 'a passphrase of its own'))
  await t.rejects(work.verify('not a hash', 'a passphrase of its own'), Error, 'what argon2 refuses is refused here')
})

t.test('it gives way, in all its threads, and is told nothing of the service', { skip }, async (t) => {
  process.env['A_SECRET_OF_THE_SERVICE'] = 'told to nobody'
  t.teardown(() => delete process.env['A_SECRET_OF_THE_SERVICE'])
  const work = new Argon2Process(2, (what) => t.fail(what))
  t.same(children(), [], 'none is made before it is needed')
  await work.hash('a passphrase of its own', options)
  const [pid = 0, ...others] = children()
  t.same(others, [])
  const threads = readdirSync(`/proc/${String(pid)}/task`).map(Number)
  const ahead = threads.filter((thread) => getPriority(thread) <= getPriority())
  t.ok(threads.length > 2, `${String(threads.length)} threads`)
  t.same(ahead, [])
  t.notMatch(readFileSync(`/proc/${String(pid)}/environ`, 'utf8'), /A_SECRET_OF_THE_SERVICE|DATABASE|HOME/)
  process.kill(pid, 'SIGINT')
  process.kill(pid, 'SIGTERM')
  t.ok(await argon2.verify(await work.hash('a passphrase of its own', options), 'a passphrase of its own'))
  t.same(children(), [pid], 'a signal that a terminal sends to both does not end it')
  await work.close()
  t.same(children(), [])
})

t.test('one that dies in the middle of its work is made again, and nobody notices', { skip }, async (t) => {
  const said: string[] = []
  const work = new Argon2Process(2, (what) => said.push(what))
  t.teardown(() => work.close())
  await work.hash('warming', options)
  const [first = 0] = children()
  const hashes = Array.from({ length: 12 }, (_, n) => work.hash(`passphrase ${String(n)}`, options))
  process.kill(first, 'SIGKILL')
  for (const [n, hash] of (await Promise.all(hashes)).entries())
    t.ok(await argon2.verify(hash, `passphrase ${String(n)}`))
  t.equal(said.length, 1)
  t.not(children()[0], first)
})

t.test('closing waits for what was given, and leaves no process', { skip }, async (t) => {
  const work = new Argon2Process(2, (what) => t.fail(what))
  const hashes = Array.from({ length: 4 }, (_, n) => work.hash(`passphrase ${String(n)}`, options))
  await work.close()
  for (const hash of await Promise.all(hashes)) t.match(hash, /^\$argon2id\$/)
  t.same(children(), [])
})

t.test('it ends with a server that is killed', { skip }, async (t) => {
  const program = `import { Argon2Process } from ${JSON.stringify(new URL('../src/identity/argon2-process.ts', import.meta.url).href)}
    await new Argon2Process(1, console.error).hash('a passphrase', ${JSON.stringify(options)})
    console.log('done')`
  const server = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  await once(server.stdout, 'data')
  const [checking, ...others] = childrenOf(server.pid ?? 0)
  t.ok(checking)
  t.same(others, [])
  server.kill('SIGKILL')
  await once(server, 'exit')
  const gone = () => !existsSync(`/proc/${String(checking?.pid)}`)
  for (let waited = 0; waited < 5_000 && !gone(); waited += 20) await sleep(20)
  t.ok(gone())
})

t.test('a hash to compare with is made again where the first could not be', async (t) => {
  let fails = true
  const passphrases = new Passphrases(2, {
    hash: async (text, parameters) => (fails ? Promise.reject(new Error('ended')) : argon2.hash(text, parameters)),
    verify: argon2.verify,
  })
  await t.rejects(
    passphrases.verify(async () => undefined, 'anything'),
    { message: 'ended' },
  )
  fails = false
  t.notOk(await passphrases.verify(async () => undefined, 'anything'))
})

t.test('work over which two processes die is given up, and the next is done', { skip }, async (t) => {
  const said: string[] = []
  const work = new Argon2Process(2, (what) => said.push(what))
  t.teardown(() => work.close())
  const deadly = { ...options, timeCost: 400 as 2 }
  const refused = t.rejects(work.hash('deadly', deadly), Error)
  for (let killed = 0; killed < 2;) {
    const [pid] = children()
    if (pid === undefined || said.length < killed) await sleep(5)
    else {
      process.kill(pid, 'SIGKILL')
      killed++
      while (said.length < killed) await sleep(5)
    }
  }
  await refused
  t.equal(said.length, 2)
  t.ok(await argon2.verify(await work.hash('the next', options), 'the next'))
})
