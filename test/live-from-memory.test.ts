// What this holds: a message that this server has just committed goes to its readers without being
// read again, as the same frame, and to nobody whose session ended before it. What makes it fail: a
// guard that is late, and frames that are made in two ways.
import t, { type Test } from 'tap'
import { admin } from './support/database.ts'
import { patchedServer, type Patch } from './support/patched.ts'
import { everyRole, type EveryRole } from './support/roles.ts'
import { went } from './support/wire-operation.ts'
import type { Frame, LiveWire, WireActor } from './support/wire.ts'

const entriesOf = ({ frames }: LiveWire): Frame[] => frames.filter(({ type }) => type === 'entry')
const entryOf =
  (id: string) =>
  ({ type, leaf }: Frame): boolean =>
    type === 'entry' && (JSON.parse(leaf as string) as { subject: string }).subject === id

/** Counts how often followers read the database. */
const counting: Patch = {
  file: 'live/follower.ts',
  find: '    const reading = await this.#read(this.#slowest()',
  replace: `    globalThis.readingsOfFollowers = (globalThis.readingsOfFollowers ?? 0) + 1
    const reading = await this.#read(this.#slowest()`,
}
const readings = () => (globalThis as { readingsOfFollowers?: number }).readingsOfFollowers ?? 0

t.test('a frame from memory is the frame from the database, and costs no reading', async (t) => {
  const { operation, byRole, shared } = await everyRole(t, { server: { create: await patchedServer(t, [counting]) } })
  const { coordinator, ncp } = byRole
  const live = await coordinator.live()
  await live.follow(operation.id)
  const post = async (change: object) => {
    const posted = went(await operation.post(ncp, { compartment: shared, ...change }))
    await live.first(entryOf(posted.id))
    return posted
  }
  // The first one after a reader has joined reads the sessions of all.
  const first = await post({})
  const before = readings()
  const text = await post({})
  const seizure = await post({ form: 'seizure' })
  const correction = await post({
    form: 'seizure',
    thread: seizure.thread,
    refersTo: { message: seizure.id, as: 'correction' },
  })
  t.equal(readings(), before, 'nothing was read')
  const again = await ncp.live()
  await again.follow(operation.id)
  for (const { id } of [first, text, seizure, correction]) {
    const [sent, read] = [live, again].map((one) => entriesOf(one).find(entryOf(id)))
    t.ok(sent)
    t.same(sent, read)
  }
  live.close()
  again.close()
})

/** Without these, a socket ends some milliseconds after its session by itself. */
const nobodyElseLooks: readonly Patch[] = [
  {
    file: 'live/hub.ts',
    find: 'if (log === this.#deps.logs.directory) void this.#endSessions()',
    replace: 'if (false);',
  },
  { file: 'live/hub.ts', find: 'const pollEveryMs = 1_000', replace: 'const pollEveryMs = 3_600_000' },
]

/**
 * Whether a reader gets a message that is posted after the end of its session, with these guards
 * taken away.
 */
async function getsAfterItsEnd(
  t: Test,
  taken: readonly Patch[],
  end: (scene: EveryRole, reader: WireActor, witness: LiveWire) => Promise<unknown>,
): Promise<boolean> {
  const create = await patchedServer(t, [...nobodyElseLooks, ...taken])
  const scene = await everyRole(t, { server: { create, altered: true } })
  const { operation, byRole, shared } = scene
  const { coordinator, ncp, officer } = byRole
  const [posting, witness, reading] = await Promise.all([coordinator.live(), ncp.live(), officer.live()])
  for (const live of [posting, witness, reading]) await live.follow(operation.id)
  const inputs = await Promise.all([1, 2].map(() => operation.compose(coordinator, { compartment: shared })))
  const post = async (n: number) => {
    const { id, input } = inputs[n] ?? {}
    posting.send({ type: 'post', ...input })
    await witness.first(entryOf(String(id)))
    return String(id)
  }
  const before = await post(0)
  await reading.first(entryOf(before))
  await end(scene, officer, witness)
  const after = await post(1)
  await Promise.race([reading.closed, reading.first(entryOf(after))])
  for (const live of [posting, witness, reading]) live.close()
  return entriesOf(reading).some(entryOf(after))
}

const signsOut = (_: EveryRole, reader: WireActor) => reader.must('DELETE', `/v1/sessions/${reader.session}`)
const sizes: Patch = { file: 'live/follower.ts', find: 'directorySize !== living.directorySize || ', replace: '' }

// Bites: src/live/follower.ts, `directorySize` and `nextExpiry`.
t.test('whose session ended by an act gets nothing more, although nobody looked at the sessions', async (t) => {
  t.equal(await getsAfterItsEnd(t, [], signsOut), false)
  t.equal(await getsAfterItsEnd(t, [sizes], signsOut), true, 'it is the size of the directory log that stops it')
})

const expires = async (
  { server, operation, byRole, shared, ncpOfThailand }: EveryRole,
  reader: WireActor,
  witness: LiveWire,
) => {
  await admin(server.database.superUrl, (client) =>
    client.query('UPDATE session SET expires_at = $1 WHERE id = $2', [
      new Date(server.clock.now().getTime() + 5_000),
      reader.session,
    ]),
  )
  // A reader that joins has the sessions looked at.
  const joining = await ncpOfThailand.live()
  await joining.follow(operation.id)
  const { id } = went(await operation.post(byRole.coordinator, { compartment: shared }))
  await witness.first(entryOf(id))
  joining.close()
  server.clock.advance(10_000)
}
const expiry: Patch = { file: 'live/follower.ts', find: 'living.nextExpiry <= this.#deps.clock()', replace: 'false' }

t.test('whose session ended by time gets nothing more', async (t) => {
  t.equal(await getsAfterItsEnd(t, [], expires), false)
  t.equal(await getsAfterItsEnd(t, [expiry], expires), true, 'it is the next expiry that stops it')
})
