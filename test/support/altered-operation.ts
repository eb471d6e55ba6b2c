import { isProblem, type Alarm, type Cordon } from '../../src/client/index.ts'
import { administratorOf, partyOf, takeIn } from './actors.ts'
import { Altered } from './altered.ts'
import { startClientScene, type MakeClientScene } from './client-scenes.ts'
import type { Owner } from './scenes.ts'

export const text = (words: string) => ({ form: 'text', fields: { text: words } })

/** The code with which something was refused, or "accepted". */
export const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )

/** The first alarm with this code, also one that was raised already. */
export async function alarmOf(client: Cordon, operation: string, wanted: string): Promise<Alarm> {
  const session = await client.follow(operation)
  const before = session.alarms.find((alarm) => alarm.code === wanted)
  return before ?? session.events.once('alarm', (alarm) => alarm.code === wanted)
}

const makeParties: MakeClientScene<
  'administrator' | 'unit' | 'kenya' | 'thailand',
  Record<'unit' | 'kenya' | 'thailand', string>
> = async (owner, server, as) => {
  const administrator = await administratorOf(owner, server, as('administrator'))
  const [unit, kenya, thailand] = await Promise.all([
    partyOf(owner, administrator, { kind: 'rilo', name: 'Coordination unit', ...as('unit') }),
    partyOf(owner, administrator, {
      kind: 'administration',
      name: 'Customs of Kenya',
      country: 'KE',
      ...as('kenya'),
    }),
    partyOf(owner, administrator, {
      kind: 'administration',
      name: 'Customs of Thailand',
      country: 'TH',
      ...as('thailand'),
    }),
  ])
  return {
    clients: { administrator, unit: unit.client, kenya: kenya.client, thailand: thailand.client },
    made: { unit: unit.organization, kenya: kenya.organization, thailand: thailand.organization },
  }
}

async function peopleOf(owner: Owner) {
  const altered = new Altered()
  const { server, clients, made } = await startClientScene(owner, 'three-parties', makeParties, {
    of: (name) => (name === 'kenya' ? { platform: altered.platform } : {}),
  })
  const party = (name: 'unit' | 'kenya' | 'thailand') => ({ client: clients[name], organization: made[name] })
  const [unit, kenya, thailand] = [party('unit'), party('kenya'), party('thailand')]
  return { server, administrator: clients.administrator, altered, unit, kenya, thailand }
}

/**
 * Each call answers a new operation of the same people: Kenya sees the service through `altered`,
 * Thailand and the coordinator as it is.
 */
export function alteredOperations(owner: Owner) {
  const people = peopleOf(owner)
  return async () => {
    const { unit, kenya, thailand, administrator, ...rest } = await people
    const coordinator = unit.client
    rest.altered.reset()
    const operation = await administrator.operations.create({
      name: 'Operation Test',
      reference: 'T-1',
      timeZone: 'Europe/Brussels',
      coordinators: [{ person: coordinator.person, organization: unit.organization }],
    })
    await coordinator.follow(operation)
    await coordinator.operations.advance(operation, 'rehearsal')
    await coordinator.operations.advance(operation, 'active')
    await takeIn(coordinator, operation, kenya, 'ncp')
    await takeIn(coordinator, operation, thailand, 'ncp')
    return { ...rest, administrator, coordinator, operation, kenya: kenya.client, thailand: thailand.client }
  }
}
