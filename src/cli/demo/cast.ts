import { join } from 'node:path'
import { Cordon, MemoryStore, webPlatform, type ClientStore, type OperationSession } from '../../client/index.ts'
import { FileStore } from '../../client/node/index.ts'
import type { Role } from '../../access.ts'
import { definedMembers } from '../../protocol/index.ts'
import type { Participant } from './participants.ts'
import type { DemoService } from './service.ts'

export const passphrases = {
  signIn: 'a demonstration is not a secret',
  store: 'nor is the store of a demonstration',
} as const

/** A participant of the demonstration: one real client on one device. */
export interface Player {
  readonly name: string
  readonly organization: string
  readonly client: Cordon
  session: OperationSession
  /** The number of messages that this client has opened. */
  opened: number
  /** The index of the newest message that it opened. */
  newest: number
}

export interface Cast {
  readonly operation: string
  readonly root: string
  readonly coordinator: Player
  /** One for each organization of the plan, in its order. */
  readonly players: readonly Player[]
  /** The path of the coordinator's store, if the service goes on running. */
  readonly storePath: string | undefined
  close(): Promise<void>
}

const clock = () => new Date()
const roles: Readonly<Record<Participant['kind'], Role>> = {
  administration: 'ncp',
  rilo: 'analyst',
  partner: 'partner',
}

const newClient = (store: ClientStore, keep: 'all' | 'none') =>
  new Cordon({ store, platform: webPlatform(clock), keep })

/**
 * Prepares the demonstration: the root, the organizations, a client for each, and the operation
 * with all of them.
 */
export async function gather(
  service: DemoService,
  participants: readonly Participant[],
  options: { keep: boolean; progress: (done: number) => void },
): Promise<Cast> {
  const administrator = newClient(new MemoryStore(), 'none')
  await administrator.initialize({
    server: service.url,
    setupString: service.setUpString,
    organization: { name: 'Secretariat' },
    person: { name: 'Administrator' },
    passphrase: passphrases.signIn,
  })
  await administrator.signIn({ passphrase: passphrases.signIn })

  const storePath = options.keep ? join(service.directory, 'coordinator.store') : undefined
  const coordinatorStore =
    storePath === undefined ? new MemoryStore() : await FileStore.open(storePath, passphrases.store)
  const unit = await administrator.directory.registerOrganization({
    kind: 'secretariat',
    name: 'Operational coordination unit',
  })
  const coordinator = await enrol(administrator, { name: 'Coordinator', organization: unit }, coordinatorStore, 'all')
  const operation = await administrator.operations.create({
    name: 'Operation GOALS (demonstration)',
    reference: 'GOALS',
    timeZone: 'Europe/Brussels',
    coordinators: [{ person: coordinator.person, organization: unit }],
    allHolds: ['partner'],
  })
  const leading = await coordinator.follow(operation)
  await leading.ready()

  const clients = await inGroups(participants, 8, async ({ kind, name, country, region }, i) => {
    const organization = await administrator.directory.registerOrganization({
      kind,
      name,
      ...definedMembers({ country, region }),
    })
    // One administration keeps the messages that it opens: its figures are compared with the
    // server's. The others only count them.
    const keep = i === 0 ? 'all' : 'none'
    return { name, organization, client: await enrol(administrator, { name, organization }, new MemoryStore(), keep) }
  })
  for (const [i, { kind }] of participants.entries()) {
    const { organization, client } = clients[i] as (typeof clients)[number]
    await coordinator.operations.admitOrganization(operation, organization)
    await coordinator.operations.admit(operation, { person: client.person, organization, role: roles[kind] })
    options.progress(i + 1)
  }
  for (const state of ['rehearsal', 'active'] as const) await coordinator.operations.advance(operation, state)
  const players = await inGroups(clients, 8, (person) => follow(operation, person))
  const lead = await follow(operation, { name: 'Coordinator', organization: unit, client: coordinator })
  await lead.session.openEpoch()
  return {
    operation,
    root: administrator.self.account.pins.root,
    coordinator: lead,
    players,
    storePath,
    async close() {
      await Promise.all([lead, ...players].map(({ client }) => client.close()))
      await administrator.close()
    },
  }
}

/** Enrols a newcomer of an organization: invited, enrolled, certified and signed in. */
async function enrol(
  administrator: Cordon,
  { name, organization }: { readonly name: string; readonly organization: string },
  store: ClientStore,
  keep: 'all' | 'none',
): Promise<Cordon> {
  const { text } = await administrator.directory.invite({ person: { name }, organization, tier: 'ncp' })
  const client = newClient(store, keep)
  await client.enrol({ invitation: text, passphrase: passphrases.signIn })
  await administrator.directory.certifyWaiting()
  await client.signIn({ passphrase: passphrases.signIn })
  return client
}

/** Follows the operation, and counts the messages that the client opens. */
async function follow(operation: string, person: Pick<Player, 'name' | 'organization' | 'client'>): Promise<Player> {
  const session = await person.client.follow(operation)
  const player: Player = { ...person, session, opened: 0, newest: -1 }
  session.events.on('message', ({ index }) => {
    player.opened++
    player.newest = Math.max(player.newest, index)
  })
  await session.ready()
  return player
}

/** Runs work for each item of a list, so many at a time. Answers the results in their order. */
async function inGroups<T, R>(
  list: readonly T[],
  atOnce: number,
  work: (item: T, i: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  for (let at = 0; at < list.length; at += atOnce) {
    results.push(...(await Promise.all(list.slice(at, at + atOnce).map((item, i) => work(item, at + i)))))
  }
  return results
}
