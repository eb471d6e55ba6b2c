// What this holds: what has no receipt is listed, dropped or sent, and holds no command up; a
// command says what it waits for, and that a clock is off.
// What makes it fail: a wait for what is never answered, silence.
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import t from 'tap'
import type { Account } from '../src/client/account.ts'
import { opened } from './support/actors.ts'
import { ended, joinWithDesk, temporary, type Desk } from './support/command.ts'
import { usualOperation } from './support/usual-operation.ts'

const directory = temporary(t)
const stage = await usualOperation(t)
const { coordinator, operation } = stage
const desk = await joinWithDesk(t, directory, stage, { name: 'kenya', country: 'KE' })
const ids = [1, 2, 3].map((n) => `01890000-0000-7000-8000-00000000000${String(n)}`)
const [sent = '', dropped = '', refused = ''] = ids

async function change(work: (store: Awaited<ReturnType<Desk['open']>>['store']) => Promise<void>): Promise<void> {
  const { store, close } = await desk.open()
  await work(store)
  await close()
}

/**
 * As a command leaves messages that ended while the service was away; the last as one of an earlier
 * version.
 */
async function leaveBehind(): Promise<void> {
  const draft = { form: 'text', version: 1, fields: { text: 'Left behind.' } }
  const beside = [{}, { subject: 'Not to be sent' }, { addressees: [] }]
  await change((store) =>
    store.write(
      ids.map((id, n) => ({
        name: `operation/${operation}/pending/${id}`,
        value: { id, thread: id, draft: { ...draft, ...beside[n] }, at: '2026-11-20T12:00:00.000Z' },
      })),
    ),
  )
}

t.test(
  'INV-159: cordon pending lists and drops what has no receipt, and the next command sends the rest',
  async (t) => {
    await desk.must('read')
    await leaveBehind()
    const { pending } = await desk.must<{ pending: Record<string, unknown>[] }>('pending')
    t.match(
      pending,
      ids.map((message) => ({ message, operation, reference: 'T-1', form: 'text', signed: false })),
    )
    const list = await desk.run(['pending'])
    t.match(list.stdout, new RegExp(`…${dropped.slice(-8)} +T-1 +text +Not to be sent +.*not sent`))
    t.match(list.stderr, /3 messages have no receipt yet.*cordon pending/)
    t.match(await desk.run(['pending', '--drop', '01890000']), { code: 1, stderr: /pending message/ }, 'which one')
    t.match(await desk.run(['pending', '--drop', dropped.slice(-8)]), { code: 0, stdout: /never sent/ })
    const begun = performance.now()
    const read = await desk.run(['read'])
    t.equal(read.code, 0)
    t.match(read.stderr, /Not sent: a message that an earlier command had to leave/)
    t.match(read.stderr, /Sent now: 1 message/)
    t.ok(performance.now() - begun < 15_000, 'nothing was waited for that does not come')
    t.same((await desk.must('pending'))['pending'], [])
    const session = await coordinator.follow(operation)
    t.ok(await opened(coordinator, operation, sent))
    t.notOk(session.message(dropped))
    t.notOk(session.message(refused))
  },
)

t.test('INV-159: a command says that it still waits for a service that does not answer', async (t) => {
  const sockets = new Set<Socket>()
  const silent = createServer((socket) => sockets.add(socket.on('error', () => {})))
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => void silent.close())
  const { port } = silent.address() as AddressInfo
  let account: Account | undefined
  await change(async (store) => {
    account = (await store.get('account')) as Account
    await store.write([{ name: 'account', value: { ...account, server: `http://127.0.0.1:${String(port)}` } }])
  })
  const child = desk.start(['read'])
  const done = ended(child)
  await new Promise<void>((resolve) =>
    child.stderr?.on('data', (data) => String(data).includes('Still waiting for the service…') && resolve()),
  )
  child.kill('SIGINT')
  t.equal((await done).code, 130)
  silent.close()
  for (const socket of sockets) socket.destroy()
  const away = await desk.run(['post', 'Written while it was away.', '--json'])
  t.equal(away.code, 1)
  t.match(away.json, { error: { message: /not sent yet: it is kept in the store/, reason: 'NETWORK' } })
  t.match(await desk.run(['post', 'x', '--to', 'Atlantis']), { code: 1, stderr: /no organization "Atlantis"/ })
  const red = await desk.run(['post', 'For some.', '--tlp', 'RED', '--yes'])
  t.notMatch(red.stderr, /was not sent yet/, 'what would have to be asked for is not kept')
  t.equal((await desk.must<{ pending: unknown[] }>('pending'))['pending'].length, 1)
  await change((store) => store.write([{ name: 'account', value: account }]))
  t.match((await desk.run(['read'])).stderr, /Sent now: 1 message/, 'and sent once the service is back')
})

t.test('INV-154: a command on a machine whose clock is off works, and says so', async (t) => {
  const slow = `
    const Real = Date
    globalThis.Date = class extends Real {
      constructor(...given) { given.length === 0 ? super(Real.now() - 70_000) : super(...given) }
      static now() { return Real.now() - 70_000 }
    }`
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(slow)}` }
  const signedIn = await desk.run(['sign-in'], env)
  t.equal(signedIn.code, 0, signedIn.stderr)
  t.match(signedIn.stderr, /The clock of this device is 70 seconds behind that of the service, whose time is used/)
  const posted = await desk.run(['post', 'From a slow clock.'], env)
  t.equal(posted.code, 0, posted.stderr)
  const right = await desk.run(['read'])
  t.equal(right.code, 0, 'and once the clock is right')
})
