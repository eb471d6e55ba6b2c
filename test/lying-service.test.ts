// What this holds: whatever a lying service sends in whatever order, with the help of a member and
// an administrator, while a device's store fails and its process ends: no promise is left
// unhandled, no session is beyond going on, the floor never falls, and nothing is sealed for a
// device that an honest log would not name. What makes it fail: taking away any demand of
// src/protocol/entry-rules.ts or verify-entry.ts, `asProtocolError` in FrameQueue, or `missing` in
// Intake.#adopt.
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { Cordon, webPlatform, type OperationSession } from '../src/client/index.ts'
import { missing, type Floor } from '../src/client/floor.ts'
import type { CompartmentId } from '../src/protocol/index.ts'
import { enrolWith, partyOf, systemClock, takeIn } from './support/actors.ts'
import { Altered, type Frame } from './support/altered.ts'
import { text } from './support/altered-operation.ts'
import { checkLog } from './support/check-log.ts'
import { howMany, patience } from './support/counts.ts'
import { FlakyStore } from './support/flaky-store.ts'
import { newDevice } from './support/forging.ts'
import { lie, tell, type Liar, type Lie } from './support/lies.ts'
import { usualOperation } from './support/usual-operation.ts'

const liesAtOnce = howMany(50, 250)

const failures = new Map<string, string>()
const handled = new Set<unknown>()
process.on('unhandledRejection', (error) => handled.add(error))

/** One of the devices that are lied to. */
class Victim {
  readonly altered = new Altered()
  store = new FlakyStore()
  client: Cordon
  readonly operation: string

  constructor(client: Cordon, store: FlakyStore, operation: string) {
    this.client = client
    this.store = store
    this.operation = operation
  }

  follow(): Promise<OperationSession> {
    return this.client.follow(this.operation)
  }

  /** The process ends, and another one starts from what is on the disk. */
  async restart(): Promise<void> {
    const left = await this.store.copy()
    await this.client.close()
    this.store = left
    this.client = new Cordon({ store: left, platform: webPlatform(systemClock, this.altered.platform) })
    await this.client.load()
  }

  async floor(): Promise<Floor | undefined> {
    return (await this.store.get(`operation/${this.operation}/floor`)) as Floor | undefined
  }

  /** Devices that something was sealed for. */
  sealedFor(): string[] {
    const bodies = this.altered.requests.map(
      ({ body }) => body as { grants?: readonly { device: string }[] } | undefined,
    )
    return bodies.flatMap((body) => body?.grants ?? []).map(({ device }) => device)
  }
}

async function within<T>(milliseconds: number, what: () => string, work: Promise<T>): Promise<T> {
  const late = sleep(milliseconds, undefined, { ref: false }).then(() => {
    throw new Error(`${what()}: not within ${String(milliseconds)} ms`)
  })
  return Promise.race([work, late])
}

t.test(
  'INV-120: nothing that a lying service sends ends, lowers or widens what a device goes by',
  patience,
  async (t) => {
    const { server, administrator, coordinator, operation } = await usualOperation(t)
    const bought = await partyOf(t, administrator, { kind: 'administration', name: 'Bought', country: 'TH' })
    await takeIn(coordinator, operation, bought, 'ncp')
    const victims: Victim[] = []
    for (const [name, country] of [
      ['Kenya', 'KE'],
      ['Peru', 'PE'],
    ] as const) {
      const store = new FlakyStore()
      const party = await partyOf(t, administrator, { kind: 'administration', name, country, store })
      await takeIn(coordinator, operation, party, 'ncp')
      const victim = new Victim(party.client, store, operation)
      await victim.restart()
      victims.push(victim)
    }
    t.teardown(() => Promise.all(victims.map(({ client }) => client.close())))
    const leading = await coordinator.follow(operation)
    const leaver = await enrolWith(t, bought.client, {
      name: 'Leaver',
      organization: bought.organization,
      tier: 'person',
    })
    await bought.client.operations.admit(operation, {
      person: leaver.person,
      organization: bought.organization,
      role: 'officer',
    })
    await leading.post(text('Before.'))
    await bought.client.operations.remove(operation, leaver.person)
    const shown: Frame[] = []
    const forged = await newDevice()
    for (const { altered } of victims)
      altered.frame = (frame) => {
        if (frame.type === 'entry') shown.push(frame)
        return frame
      }
    for (const victim of victims) await (await victim.follow()).ready()

    const round = async (lies: readonly Lie[], failing: number, restarts: boolean) => {
      for (const victim of victims) {
        const before = await victim.floor()
        const session = await victim.follow()
        const liar: Liar = {
          operation,
          member: signing(bought.client),
          administrator: signing(administrator),
          forged,
          persons: [
            coordinator.person,
            bought.client.person,
            leaver.person,
            victim.client.person,
            administrator.person,
          ],
          devices: [coordinator.device, bought.client.device, leaver.device, victim.client.device],
          shown,
          position: () => session.position,
          head: () => session.view.head ?? null,
        }
        const from = victim.store.writes
        victim.store.fails = (write) => failing > 0 && (write - from) % 7 === failing
        victim.altered.requests.length = 0
        for (const one of lies) {
          victim.altered.inject(await tell(liar, one))
          if (one.flag) await sleep(0)
        }
        await sleep(20)
        session.post(text('While it lies.'), 2_000).catch(() => {})
        await sleep(30)
        victim.store.fails = () => false
        // From here on the service is honest again.
        if (restarts) await victim.restart()
        else victim.altered.cut()
        const mended = await victim.follow()
        const going = within(30_000, () => said(mended), goesOn(mended, leading))
        await going.catch(() => {})
        const allowed = new Set<string>(leading.view.devices.keys())
        for (const device of victim.sealedFor()) t.ok(allowed.has(device), 'sealed for a device of a member alone')
        await going
        // A bought member may vouch for it: for itself, it is then asked for in the directory; for
        // who is no member, it gets nothing.
        const recipients = mended.view.recipients(operation as CompartmentId)
        t.notOk(recipients.includes(forged.id), 'the forged device is no recipient')
        if (before) t.same(missing(before, mended.view), [], 'the floor did not fall')
      }
    }
    await fc.assert(
      fc.asyncProperty(
        fc.array(lie, { minLength: liesAtOnce, maxLength: liesAtOnce }),
        fc.nat(3),
        fc.boolean(),
        async (lies, failing, restarts) => round(lies, failing, restarts),
      ),
      // What fails is shown by its seed: the lies themselves fill screens.
      {
        reporter: (run) => {
          if (run.failed)
            throw new Error(`seed ${String(run.seed)}, path ${run.counterexamplePath ?? ''}`, {
              cause: run.errorInstance,
            })
        },
        numRuns: howMany(4, 100_000 / liesAtOnce / victims.length),
        endOnFailure: true,
      },
    )
    t.same([...handled], [], 'no promise was left to nobody')
    await checkLog(server)
  },
)

function signing({ self, person }: Cordon) {
  const { device, certificate, account } = self
  return { device, crt: certificate?.hash ?? '', person, organization: account.organization }
}

const said = ({ status, alarms }: OperationSession) =>
  `${status} ${JSON.stringify(alarms.slice(-4)).slice(0, 800)} ${JSON.stringify([...failures]).slice(0, 600)}`

/** It catches up, posts, and opens what others post. */
async function goesOn(session: OperationSession, leading: OperationSession): Promise<void> {
  for (;;) {
    try {
      await session.ready(10_000)
      const { message } = await session.post(text('Going on.'), 10_000)
      while (!leading.message(message)) await sleep(20)
      const answer = await leading.post(text('Heard.'))
      while (!session.message(answer.message)) await sleep(20)
      return
    } catch (error) {
      // What was not believed is read again a little later.
      if (!(error instanceof Error)) throw error
      failures.set(String((error as { code?: string }).code), error.message)
      session.readAgain()
      await sleep(200)
    }
  }
}
