// What this holds: the agent holds a store unlocked, and commands of its user run there without a
// passphrase, any number at once, as they run without it: what they read and write, ask and answer,
// and end with. It locks the store when it is told to, after its time, and after the machine slept.
// It answers nobody else.
// What makes it fail: a command that opens the store beside the agent, an answer to somebody who
// does not know the secret, a listener that stays, keys that stay after the lock.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { Agent } from '../src/cli/agent/agent.ts'
import type { AgentFrame, CallerFrame } from '../src/cli/agent/frames.ts'
import { agentPlace, canHoldAgent } from '../src/cli/agent/place.ts'
import { programStamp } from '../src/cli/agent/program-stamp.ts'
import { Cordon, webPlatform } from '../src/client/index.ts'
import { FileStore } from '../src/client/node/index.ts'
import { opened, systemClock } from './support/actors.ts'
import { command, ended, joinWithDesk, passphrases, temporary, until } from './support/command.ts'
import { usualOperation } from './support/usual-operation.ts'

const directory = temporary(t)
const stage = await usualOperation(t)
const { coordinator, operation } = stage
const desk = await joinWithDesk(t, directory, stage, { name: 'kenya', country: 'KE' })
const place = agentPlace(desk.store)
t.teardown(() => desk.run(['lock']))

/** Without a passphrase: what is run this way needs the agent. */
const locked = { CORDON_STORE_PASSPHRASE_FILE: '' }
const run = (...words: string[]) => desk.run(words, locked)
const status = async () => (await run('agent', '--json')).json

/** Resolves once the agent says so of itself. */
async function agentSays(what: 'running' | 'operations', number: number): Promise<void> {
  while ((await status())[what] !== number);
}

async function line(child: ChildProcess, fits: RegExp): Promise<string> {
  for await (const one of createInterface({ input: child.stdout as NonNullable<ChildProcess['stdout']> }))
    if (fits.test(one)) return one
  throw new Error(`no line fits ${String(fits)}`)
}

t.test('a command that has no passphrase runs once the agent holds the store', async (t) => {
  t.match(await run('read'), { code: 2, stderr: /CORDON_STORE_PASSPHRASE_FILE/ })
  const wrong = join(directory, 'wrong')
  writeFileSync(wrong, 'the store of somebody else entirely')
  t.match(await desk.run(['agent'], { CORDON_STORE_PASSPHRASE_FILE: wrong }), {
    code: 1,
    stderr: /passphrase/i,
  })
  t.match(await desk.run(['agent']), {
    code: 0,
    stdout: /unlocked until 30 minutes after your last command, or until cordon lock/,
  })
  t.equal(statSync(place.directory).mode & 0o777, 0o700)
  t.equal(statSync(place.secret).mode & 0o777, 0o600)
  t.match(await run('agent'), { code: 0, stdout: /^The agent \(process \d+\) has held the store unlocked since/ })
  t.match(await run('read'), { code: 0, stdout: /Operation/ })
  t.match(await run('notices', '--json'), { code: 0 }, 'also one that asks for the agent late')
  await agentSays('operations', 1)
  t.match(await status(), { started: false, running: 0, fault: null })
})

t.test('one watches and answers at once', async (t) => {
  const watching = desk.start(['follow', '--json'], locked)
  const watched = ended(watching)
  const seen = line(watching, /"Seen and answered\."/)
  await agentSays('running', 1)
  t.match(await run('post', 'Seen and answered.'), { code: 0, stdout: /Receipt|receipt/ })
  const { id } = JSON.parse(await seen) as { id: string }
  t.equal((await opened(coordinator, operation, id)).fields['text'], 'Seen and answered.')
  watching.kill('SIGINT')
  t.equal((await watched).code, 0)
  t.match(await status(), { running: 0 })
})

t.test('many commands run at once, and each prints its own output', async (t) => {
  const all = await Promise.all(
    ['one', 'two', 'three', 'four', 'five', 'six'].flatMap((word) => [
      run('post', `Word ${word}.`),
      run('search', 'Seen', '--json'),
    ]),
  )
  t.same(
    all.map(({ code }) => code),
    all.map(() => 0),
  )
  const found = all.filter((_, i) => i % 2 === 1).map(({ stdout }) => stdout)
  t.equal(new Set(found).size, 1)
  t.match(found[0], /Seen and answered/)
})

t.test('a command at the agent reads and writes where its person is', async (t) => {
  const fields = JSON.stringify({ text: 'By standard input.' })
  t.match(await desk.run(['post', '--form', 'text', '--fields', '-'], locked, fields), { code: 0 })
  t.match(await run('search', 'standard input'), { code: 0, stdout: /By standard input/ })
  const [newest] = (await run('read', '--json', '--limit', '1')).json['threads'] as { number: number }[]
  const writing = speak(asking('receipt', String(newest?.number), '--out', 'here.receipt'))
  await writing.closed
  t.match(writing.heard.at(-1), { type: 'ended', exitCode: 0 })
  t.match(readFileSync(join(directory, 'here.receipt'), 'utf8'), /^c2sp\.org\/tlog-proof@/)
})

t.test('a command at the agent ends as it does without', async (t) => {
  t.match(await run('read', '99999'), { code: 1, stderr: /99999/ })
  t.match((await run('read', '99999', '--json')).json, { error: { code: 'COMMAND' } })
  t.match(await run('read', '--limit', 'many'), { code: 2, stderr: /--limit/ })
  t.match(await run('read', '--lmit', '3'), { code: 2, stderr: /unknown option/ })
  t.match(await desk.run(['read'], { ...locked, CORDON_STOER: 'x' }), { code: 2, stderr: /CORDON_STORE/ })
  t.match(await run('read'), { code: 0 }, 'and one that failed leaves nothing behind')
})

t.test('a command whose process is killed ends at the agent', async (t) => {
  const watching = desk.start(['follow'], locked)
  await agentSays('running', 1)
  watching.kill('SIGKILL')
  await agentSays('running', 0)
  t.match(await run('read'), { code: 0 })
})

/** Speaks to the agent as a command does. */
function speak(...frames: CallerFrame[]) {
  const socket = connect(place.socket)
  const heard: AgentFrame[] = []
  createInterface({ input: socket }).on('line', (text) => heard.push(JSON.parse(text) as AgentFrame))
  const closed = once(socket, 'close')
  socket.on('error', () => {})
  const send = (frame: CallerFrame) => void socket.write(`${JSON.stringify(frame)}\n`)
  for (const frame of frames) send(frame)
  return { heard, closed, send }
}

const output = { isTTY: true, columns: 80 }
const asking = (...words: string[]): CallerFrame => ({
  type: 'run',
  secret: readFileSync(place.secret, 'utf8'),
  program: programStampOf(),
  words,
  environment: { CORDON_STORE: desk.store },
  directory,
  interactive: true,
  out: output,
  notes: output,
})

/** The stamp of the command that the desk runs, not of this test. */
function programStampOf(): string {
  const [, own = ''] = process.argv
  process.argv[1] = command
  try {
    return programStamp()
  } finally {
    process.argv[1] = own
  }
}

t.test('the agent asks the person at the terminal of the command', async (t) => {
  const posting = speak(asking('post', 'Only for your eyes.', '--tlp', 'RED'))
  await until('it asks', () => posting.heard.some(({ type }) => type === 'ask'))
  posting.send({ type: 'answer', text: 'no' })
  await posting.closed
  t.match(posting.heard.at(-1), { type: 'ended' })
  t.notMatch(posting.heard, [{ type: 'out', text: /receipt/i }])
  t.notMatch((await run('search', 'your eyes')).stdout, /your eyes\./)
  const interrupted = speak(asking('post', 'Only for your eyes.', '--tlp', 'RED'))
  await until('it asks', () => interrupted.heard.some(({ type }) => type === 'ask'))
  interrupted.send({ type: 'answer', text: null })
  await interrupted.closed
  t.match(interrupted.heard.at(-1), { type: 'ended', exitCode: 130 })
})

t.test('INV-177: the agent answers its own user alone, and its own program', async (t) => {
  const stranger = speak({ ...asking('read'), secret: 'A'.repeat(43) } as CallerFrame)
  await stranger.closed
  t.same(stranger.heard, [{ type: 'refused', reason: 'SECRET' }])
  for (const frame of [{ type: 'stop' }, { type: 'answer', text: 'yes' }, { type: 'lock', secret: '' }] as const) {
    const other = speak(frame)
    await other.closed
    t.same(other.heard, [{ type: 'refused', reason: 'SECRET' }])
  }
  const senseless = connect(place.socket)
  senseless.write('GET / HTTP/1.1\r\n')
  await once(senseless, 'close')
  const older = speak({ ...asking('read'), program: '0.0.9 1' } as CallerFrame)
  await older.closed
  t.same(older.heard, [{ type: 'refused', reason: 'PROGRAM' }])
  chmodSync(place.directory, 0o750)
  t.match(await run('read'), { code: 1, stderr: /others may use it: nothing was sent there/ })
  chmodSync(place.directory, 0o700)
  t.match(await run('read'), { code: 0 })
  t.notOk(canHoldAgent(`/${'long/'.repeat(30)}store`))
})

t.test('who signs out and in again at the agent goes on', async (t) => {
  t.match(await run('sign-out'), { code: 0 })
  t.match(await run('read'), { code: 1, stderr: /cordon sign-in/ })
  t.match(await run('sign-in'), { code: 0, stdout: /Signed in/ })
  t.match(await run('read'), { code: 0 })
})

t.test('INV-177: a lock ends what runs, and the keys are gone with the agent', async (t) => {
  const watching = desk.start(['follow'], locked)
  const watched = ended(watching)
  await agentSays('running', 1)
  const { pid } = (await status()) as { pid: number }
  t.match(await run('lock'), { code: 0, stdout: 'Locked.' })
  t.match(await watched, { code: 0 })
  await until('the process ends', () => !lives(pid))
  t.notOk(existsSync(place.directory))
  t.match(await run('lock'), { code: 0, stdout: /No agent holds this store/ })
  t.match(await run('read'), { code: 2, stderr: /CORDON_STORE_PASSPHRASE_FILE/ })
  t.match(await desk.run(['read']), { code: 0 }, 'with its passphrase as ever')
})

t.test('an agent that was killed is in nobody’s way', async (t) => {
  await desk.run(['agent'])
  const { pid } = (await status()) as { pid: number }
  process.kill(pid, 'SIGKILL')
  await until('the process ends', () => !lives(pid))
  t.match(await desk.run(['read']), { code: 0, stderr: '' })
  t.match(await desk.run(['agent']), { code: 0, stdout: /unlocked until/ })
  t.match(await run('read'), { code: 0 })
  await run('lock')
})

// Bites: `lockAfterMs` or `sleptMs` in Agent left unasked.
t.test('INV-177: the agent locks the store after its time without commands, and after the machine slept', async (t) => {
  for (const [what, ahead] of [
    ['its time', { elapsedMs: 60_000, clockMs: 60_000 }],
    ['sleep', { elapsedMs: 0, clockMs: 10_000 }],
  ] as const) {
    const store = await FileStore.open(desk.store, passphrases.store)
    let [elapsedMs, clockMs] = [0, 0]
    const agent = await Agent.start({
      path: desk.store,
      store,
      makeClient: async () => {
        const client = new Cordon({ store, platform: webPlatform(systemClock) })
        await client.load()
        return client
      },
      run: () => Promise.resolve(0),
      lockAfterMs: 60_000,
      clock: () => new Date(1_800_000_000_000 + clockMs),
      elapsed: () => elapsedMs,
    })
    const before = await Promise.race([agent.ended.then(() => 'ended'), later(2_500)])
    t.equal(before, 'later', `not before ${what}`)
    ;({ elapsedMs, clockMs } = ahead)
    await agent.ended
    await t.rejects(
      store.get('x').then(() => store.write([])),
      { code: 'CLOSED' },
    )
    t.notOk(existsSync(place.directory))
  }
})

const later = (milliseconds: number) => new Promise<string>((resolve) => setTimeout(resolve, milliseconds, 'later'))

function lives(pid: number): boolean {
  try {
    // A process that ended and whose parent has not asked is no process that lives.
    process.kill(pid, 0)
    return !/^State:\tZ/m.test(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))
  } catch {
    return false
  }
}
