import { Cordon, MemoryStore, webPlatform, type CordonOptions, type Platform } from '../../src/client/index.ts'
import type { OrganizationKind, Role } from '../../src/access.ts'
import type { TestServer } from './server.ts'

export const passphrase = 'seven warm otters by the pier'

export const systemClock = () => new Date()

export interface ActorOptions {
  readonly platform?: Partial<Platform>
  readonly store?: CordonOptions['store']
  readonly keep?: 'all' | 'none'
}

interface Owner {
  teardown(clean: () => Promise<unknown>): void
}

/** An SDK client with an empty store, closed when the test ends. */
export function newClient(owner: Owner, options: ActorOptions = {}): Cordon {
  const client = new Cordon({
    store: options.store ?? new MemoryStore(),
    platform: webPlatform(systemClock, options.platform),
    ...(options.keep === undefined ? {} : { keep: options.keep }),
  })
  owner.teardown(() => client.close())
  return client
}

/** The first administrator of a service, signed in. */
export async function administratorOf(owner: Owner, server: TestServer, options: ActorOptions = {}): Promise<Cordon> {
  const administrator = newClient(owner, options)
  await administrator.initialize({
    server: server.url,
    setupString: (await server.setUpString()) ?? '',
    organization: { name: 'Secretariat' },
    person: { name: 'Administrator' },
    passphrase,
  })
  await administrator.signIn({ passphrase })
  return administrator
}

export interface Newcomer extends ActorOptions {
  readonly name: string
  readonly organization: string
  readonly tier?: 'administrator' | 'ncp' | 'person' | 'auditor'
}

/** Invited by somebody, enrolled, certified and signed in. */
export async function enrolWith(owner: Owner, inviter: Cordon, newcomer: Newcomer): Promise<Cordon> {
  const { name, organization, tier = 'ncp' } = newcomer
  const { text } = await inviter.directory.invite({ person: { name }, organization, tier })
  const client = newClient(owner, newcomer)
  await client.enrol({ invitation: text, passphrase })
  await inviter.directory.certifyWaiting()
  await client.signIn({ passphrase })
  return client
}

export interface Party {
  readonly client: Cordon
  readonly organization: string
}

/** Registers an organization and enrols its first person there, as an administrator does. */
export async function partyOf(
  owner: Owner,
  administrator: Cordon,
  input: { kind: OrganizationKind; name: string; country?: string } & ActorOptions,
): Promise<Party> {
  const { kind, name, country, ...options } = input
  const organization = await administrator.directory.registerOrganization({
    kind,
    name,
    ...(country === undefined ? {} : { country }),
  })
  const client = await enrolWith(owner, administrator, { name: `${name} officer`, organization, ...options })
  return { client, organization }
}

/** Takes somebody's organization and person into an operation with a role. */
export async function takeIn(coordinator: Cordon, operation: string, { client, organization }: Party, role: Role) {
  await coordinator.operations.admitOrganization(operation, organization)
  await coordinator.operations.admit(operation, { person: client.person, organization, role })
}

export interface Scene {
  readonly server: TestServer
  readonly administrator: Cordon
  readonly coordinator: Cordon
  readonly secretariat: string
  readonly operation: string
}

export interface OperationTerms {
  readonly history?: 'full' | 'from-joining'
  readonly state?: 'draft' | 'rehearsal' | 'active'
}

/** A service with one operation that has a coordinator of its own and is active. */
export async function operationOn(
  owner: Owner,
  server: TestServer,
  options: OperationTerms & { coordinator?: ActorOptions; administrator?: Cordon } = {},
): Promise<Scene> {
  const administrator = options.administrator ?? (await administratorOf(owner, server))
  const unit = await coordinationUnit(owner, administrator, options.coordinator)
  const operation = await operationOf(administrator, unit, options)
  return { server, administrator, coordinator: unit.client, secretariat: unit.organization, operation }
}

export function coordinationUnit(owner: Owner, administrator: Cordon, options: ActorOptions = {}): Promise<Party> {
  return partyOf(owner, administrator, { kind: 'rilo', name: 'Coordination unit', ...options })
}

/** A new operation, which its coordinator follows from then on. */
export async function operationOf(
  administrator: Cordon,
  { client: coordinator, organization }: Party,
  { history = 'full', state: last = 'active' }: OperationTerms = {},
): Promise<string> {
  const operation = await administrator.operations.create({
    name: 'Operation Test',
    reference: 'T-1',
    timeZone: 'Europe/Brussels',
    coordinators: [{ person: coordinator.person, organization }],
    history,
  })
  await coordinator.follow(operation)
  for (const state of ['rehearsal', 'active'] as const) {
    if (last === 'draft') break
    await coordinator.operations.advance(operation, state)
    if (last === state) break
  }
  return operation
}

/** Resolves when a client has opened this message. */
export async function opened(client: Cordon, operation: string, message: string) {
  const session = await client.follow(operation)
  return session.message(message) ?? session.events.once('message', ({ id }) => id === message)
}
