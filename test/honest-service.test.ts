// What this holds: whatever the service accepts of acts that come at random, also of those that no
// client would send, every client believes and `cordon verify` accepts. What makes it fail: a
// demand of src/protocol/entry-rules.ts or verify-entry.ts that the service does not make.
import t, { type Test as Tap } from 'tap'
import { roles, type State } from '../src/access.ts'
import { memberVersion, type CompartmentId, type MemberAct, type PersonId } from '../src/protocol/index.ts'
import { enrolWith, operationOn, partyOf, passphrase, takeIn } from './support/actors.ts'
import { chance, seed } from './support/chance.ts'
import { verifyAll } from './support/check-log.ts'
import { howMany, whole } from './support/counts.ts'
import { startServer, type TestServer } from './support/server.ts'
import { WireOperation } from './support/wire-operation.ts'
import { byHand, freshId, now, type WireActor } from './support/wire.ts'

type Pick = ReturnType<typeof generator>

const wanted = howMany(500, 20_000)
/**
 * Accepted acts in one operation: what it costs to open an epoch and to check a log grows with its
 * length.
 */
const wantedInOne = 500
/** Acts that arrive together. */
const atOnce = 8

function generator(state: number): <T>(of: readonly T[]) => T {
  const below = chance(state)
  return (of) => of[below(of.length)] as (typeof of)[number]
}

/**
 * Two who open a key at once leave a third who seals with none of them: what is within a body the
 * service cannot see.
 */
const isOfTheService = ({ reason }: { readonly reason?: string }) => reason !== 'BODY_OPEN'

/**
 * Those who act at random, those whom they move, and who reads along: in one operation after the
 * other.
 */
async function makePeople(t: Tap, server: TestServer) {
  const { administrator, coordinator, secretariat } = await operationOn(t, server, { state: 'draft' })
  const kenya = await partyOf(t, administrator, { kind: 'administration', name: 'Kenya', country: 'KE' })
  const peru = await partyOf(t, administrator, { kind: 'administration', name: 'Peru', country: 'PE' })
  const firm = await partyOf(t, administrator, { kind: 'right-holder', name: 'A firm' })
  const reading = await enrolWith(t, coordinator, { name: 'Analyst', organization: secretariat, tier: 'person' })
  const people: { person: string; organization: string }[] = []
  for (const { client, organization } of [kenya, peru, kenya, peru]) {
    const one = await enrolWith(t, client, { name: `Officer ${String(people.length)}`, organization, tier: 'person' })
    people.push({ person: one.person, organization })
  }
  const by = await Promise.all(
    [coordinator, kenya.client, peru.client, firm.client].map((one) => byHand(server, one, passphrase)),
  )
  const everybody = [...people, ...by.map(({ person, organization }) => ({ person, organization }))]
  return { server, administrator, coordinator, secretariat, kenya, peru, firm, reading, people, by, everybody }
}
type People = Awaited<ReturnType<typeof makePeople>>

async function newOperation(t: Tap, { server, administrator, coordinator, secretariat, by, ...others }: People) {
  const operation = await administrator.operations.create({
    name: 'Operation Honest',
    reference: 'H-1',
    timeZone: 'Europe/Brussels',
    coordinators: [{ person: coordinator.person, organization: secretariat }],
  })
  await coordinator.follow(operation)
  await coordinator.operations.advance(operation, 'rehearsal')
  await coordinator.operations.advance(operation, 'active')
  const { kenya, peru, firm, reading } = others
  await takeIn(coordinator, operation, kenya, 'ncp')
  await takeIn(coordinator, operation, peru, 'ncp')
  await takeIn(coordinator, operation, firm, 'right-holder')
  await coordinator.operations.admit(operation, {
    person: reading.person,
    organization: secretariat,
    role: 'analyst',
  })
  const live = await reading.follow(operation)
  await live.ready()
  const [leading] = by as [WireActor]
  return { operation, live, wire: new WireOperation(t, server, leading, operation) }
}

/** One act after the other, as chance has it; answers the status of each. */
function randomActs(pick: Pick, { by, people, everybody, secretariat }: People, wire: WireOperation) {
  const operation = wire.id
  const compartments: string[] = [operation]
  const states: readonly State[] = ['draft', 'rehearsal', 'active', 'active', 'archived']

  const one = async (): Promise<number> => {
    const actor = pick(by)
    const { person, organization } = pick(everybody)
    const compartment = pick(compartments)
    switch (
      pick([
        'admit',
        'remove',
        'role',
        'rules',
        'advance',
        'make',
        'add',
        'take',
        'epoch',
        'odd',
        'post',
        'post',
        'post',
        'post',
        'post',
        'post',
        'post',
        'post',
      ])
    ) {
      case 'admit':
        return (await wire.admit({ person, organization: pick([organization, secretariat]) }, pick(roles), actor))
          .status
      case 'remove':
        // Those who act stay, or soon nobody does anything.
        return (await wire.remove(pick(people).person, actor)).status
      case 'role':
        return (await wire.changeRole(pick(people).person, pick(roles), actor)).status
      case 'rules':
        return (
          await wire.setRules(
            { history: pick(['full', 'from-joining']), allHolds: pick([[], ['partner'], ['observer', 'partner']]) },
            actor,
          )
        ).status
      case 'advance':
        return (await wire.advance(pick(states), actor)).status
      case 'make': {
        const made = await wire.createCompartment(actor, [...new Set([pick(everybody).person, person])])
        if (made.status < 400) compartments.push(made.id)
        return made.status
      }
      case 'add':
        return (await wire.addTo(compartment, person, actor)).status
      case 'take':
        return (await wire.removeFrom(compartment, pick(people).person, actor)).status
      case 'epoch':
        return (await wire.openEpoch(actor, compartment)).status
      case 'post': {
        const view = await wire.view()
        const id = compartment as CompartmentId
        const members = by.filter((each) => view.isIn(each.person as PersonId, id))
        const sender = members.length === 0 ? actor : pick(members)
        const { stale, epochs } = view.compartments.get(id) ?? { stale: false, epochs: [] }
        if (stale || epochs.length === 0) return (await wire.openEpoch(sender, compartment)).status
        return (await wire.post(sender, { compartment })).status
      }
      default:
        return odd(actor, person, organization)
    }
  }

  /** What no client would send. */
  const odd = async (actor: WireActor, person: string, organization: string): Promise<number> => {
    const view = await wire.view()
    const act = {
      v: pick([1, memberVersion, memberVersion]),
      operation: pick([operation, operation, freshId()]),
      previous: pick([view.head ?? null, null, 'A'.repeat(43)]),
      at: now(),
      ...pick<object>([
        { act: 'admit', person, organization, role: pick(roles) },
        { act: 'wake', person },
        { act: 'remove', organization: pick([secretariat, freshId()]) },
        { act: 'advance', state: pick(states) },
        { act: 'create-operation', history: 'full', allHolds: [], coordinators: [{ person, organization }] },
      ]),
    } as MemberAct
    const statement = await actor.signAct(act)
    const path = pick([
      '/members',
      '/advance',
      '/rules',
      `/members/${person}/removal`,
      `/members/${person}/role`,
      '/compartments',
    ])
    return (
      await actor.call('POST', wire.path + path, { statement, ...(path === '/compartments' ? { name: 'Odd' } : {}) })
    ).status
  }

  return one
}

/**
 * Acts until so many were accepted; then every reader is asked whether it believes all of them.
 * Answers how many were.
 */
async function actAndRead(t: Tap, people: People, pick: Pick, wanted: number): Promise<number> {
  const { reading, firm } = people
  const { operation, live, wire } = await newOperation(t, people)
  const one = randomActs(pick, people, wire)
  let accepted = 0
  let refused = 0
  for (let n = 0; accepted < wanted && n < wanted * 20; n += atOnce) {
    // An access token lives for five minutes, and these acts may take longer.
    if (n % 160 === 0) for (const actor of people.by) await actor.refresh()
    for (const status of await Promise.all(Array.from({ length: atOnce }, one))) {
      if (status < 400) accepted++
      else if (status < 500 && status !== 401 && status !== 429) refused++
      else t.fail(`${String(status)} at step ${String(n)}, seed ${String(seed)}`)
    }
  }
  t.ok(accepted >= wanted, `${String(accepted)} accepted, ${String(refused)} refused, seed ${String(seed)}`)
  t.ok(refused > wanted / 10, 'and what may not be is refused')

  const expected = await wire.view()
  const seen = (view: typeof expected) => ({
    members: [...view.members.values()].map(({ person, role }) => `${person} ${role}`).sort(),
    recipients: [...view.compartments.keys()]
      .filter((id) => view.isIn(reading.person as PersonId, id))
      .map((id) => view.recipients(id)),
    state: view.state,
  })
  await live.reached(expected.position, 60_000)
  t.same(live.alarms.filter(isOfTheService), [], `who read along, seed ${String(seed)}`)
  t.same(live.aside.filter(isOfTheService), [])
  t.same(seen(live.view), seen(expected))
  t.comment(`${String(expected.compartments.size)} compartments, ${String(expected.position + 1)} entries`)

  // The right holder's view is partial.
  const partial = await firm.client.follow(operation)
  await partial.ready(120_000)
  t.same(partial.alarms.filter(isOfTheService), [], `whose view is partial, seed ${String(seed)}`)
  await reading.operations.leave(operation)
  const again = await reading.follow(operation)
  again.readAgain()
  await again.ready(120_000)
  t.same(again.alarms.filter(isOfTheService), [], `who reads again, seed ${String(seed)}`)
  t.ok(again.view.compartments.get(operation as CompartmentId))
  for (const client of [people.coordinator, firm.client, reading]) await client.operations.leave(operation)
  return accepted
}

t.test(
  'INV-121: every client and the verifier believe whatever the service accepts',
  { timeout: whole ? 2_400_000 : 280_000 },
  async (t) => {
    const pick = generator(seed)
    const server = await startServer(t, { quotas: { 'account-writing': 1_000_000, 'account-posting': 1_000_000 } })
    const people = await makePeople(t, server)
    for (let accepted = 0; accepted < wanted;) {
      accepted += await actAndRead(t, people, pick, Math.min(wantedInOne, wanted - accepted))
      t.comment(`${String(accepted)} of ${String(wanted)}`)
    }
    const { discrepancies } = await verifyAll(server)
    t.same(discrepancies, [], 'the verifier')
  },
)
