import { readFileSync } from 'node:fs'
import type { Role } from '../../src/access.ts'
import { base64url, fromBase64url } from '../../src/protocol/index.ts'
import { grantHistory } from './busy-service.ts'
import { startScene } from './scenes.ts'
import { startServer, type TestServer, type TestServerOptions } from './server.ts'
import { createOperation, went, WireOperation, type OperationOptions } from './wire-operation.ts'
import { freshId, invite, keepActor, newcomer, setUp, takeUpActor, type WireActor } from './wire.ts'

interface Owner {
  teardown(clean: () => Promise<unknown>): void
}

export interface Cell {
  readonly row: string
  readonly column: string
  readonly value: string
}

/**
 * The cells of one of the design's tables, as they were copied: the expected values, never
 * computed.
 */
export function cellsOf(name: 'access-roles' | 'access-states' | 'access-entries'): Cell[] {
  const text = readFileSync(new URL(`../tables/${name}.csv`, import.meta.url), 'utf8')
  const [head = '', ...lines] = text.trimEnd().split(/\r?\n/)
  const columns = head.split(',').slice(1)
  return lines.flatMap((line) => {
    const [row = '', ...values] = line.split(',')
    return values.map((value, n) => ({ row, column: columns[n] ?? '', value }))
  })
}

/**
 * An active operation with one member of each role, a compartment that they share, and one that
 * they do not.
 */
export interface EveryRole {
  readonly server: TestServer
  readonly administrator: WireActor
  readonly operation: WireOperation
  readonly byRole: Readonly<Record<Role, WireActor>>
  /** Of nobody who is in `byRole`. */
  readonly ncpOfThailand: WireActor
  /** Everybody but the auditor is in it. */
  readonly shared: string
  /** Of the NCP of Thailand alone. */
  readonly other: string
  readonly messages: {
    text: string
    textThread: string
    warning: string
    warningThread: string
    inOther: string
    otherThread: string
    /** A plain one in the thread of `inOther`. */
    textInOther: string
  }
  readonly organizations: { kenya: string; thailand: string }
  roleOf(actor: WireActor): Role
  /**
   * Posts what `messages` names, where that was not possible before: in an operation that was left
   * in its first state.
   */
  fill(): Promise<void>
  /** Somebody who exists, has no device, and can be admitted. */
  candidate(organization: string): Promise<{ person: string; organization: string }>
  /** A member without a device. */
  member(organization: string, role: Role): Promise<string>
  /** An organization without members, in the operation or not yet. */
  organization(admitted: boolean): Promise<string>
  /**
   * Makes so many officers of Kenya and organizations beforehand, for states in which nobody can be
   * admitted.
   */
  lay(members: number, organizations: number): Promise<void>
}

/** What of `EveryRole` is there once people have acted. */
type Cast = Pick<
  EveryRole,
  'administrator' | 'byRole' | 'ncpOfThailand' | 'operation' | 'shared' | 'other' | 'messages' | 'organizations'
>

interface MakeOptions extends OperationOptions {
  readonly advance?: boolean
}

/** Made once per run, unless its operation is left in its first state. */
export async function everyRole(
  owner: Owner,
  options: { advance?: boolean; server?: TestServerOptions } = {},
): Promise<EveryRole> {
  if (options.advance === false) {
    const server = await startServer(owner, options.server)
    return sceneOf(server, await makeEveryRole(owner, server, { advance: false }))
  }
  const { server, data } = await startScene(
    owner,
    'every-role',
    async (maker, on) => keepCast(await makeEveryRole(maker, on)),
    options.server,
  )
  return sceneOf(server, await takeUpCast(owner, server, data))
}

async function keepCast({ administrator, byRole, ncpOfThailand, operation, ...ids }: Cast) {
  const roles = Object.entries(byRole).map(async ([role, actor]) => [role, await keepActor(actor)] as const)
  return {
    administrator: await keepActor(administrator),
    byRole: await Promise.all(roles),
    ncpOfThailand: await keepActor(ncpOfThailand),
    operation: { id: operation.id, keys: [...operation.keys].map(([name, key]) => [name, base64url(key)] as const) },
    ...ids,
  }
}

async function takeUpCast(
  owner: Owner,
  server: TestServer,
  { administrator, byRole, ncpOfThailand, operation: { id, keys }, ...ids }: Awaited<ReturnType<typeof keepCast>>,
): Promise<Cast> {
  const [first, thailand, ...actors] = await Promise.all(
    [administrator, ncpOfThailand, ...byRole.map(([, kept]) => kept)].map((kept) => takeUpActor(server, kept)),
  )
  const roles = Object.fromEntries(byRole.map(([role], n) => [role, actors[n]])) as Record<Role, WireActor>
  const operation = new WireOperation(owner, server, roles.coordinator, id)
  for (const [name, key] of keys) operation.keys.set(name, fromBase64url(key))
  return { administrator: first as WireActor, byRole: roles, ncpOfThailand: thailand as WireActor, operation, ...ids }
}

const register = async (administrator: WireActor, kind: string, country?: string) => {
  const id = freshId()
  const name = `${kind} ${id.slice(-6)}`
  await administrator.must('POST', '/v1/organizations', { id, kind, name, ...(country ? { country } : {}) })
  return id
}

async function makeEveryRole(owner: Owner, server: TestServer, options: MakeOptions = {}): Promise<Cast> {
  const { administrator } = await setUp(server)
  const rilo = await register(administrator, 'rilo')
  const kenya = await register(administrator, 'administration', 'KE')
  const thailand = await register(administrator, 'administration', 'TH')
  const partner = await register(administrator, 'partner')
  const brand = await register(administrator, 'right-holder')
  const person = (name: string, organization: string) => newcomer(administrator, { name, organization, tier: 'ncp' })
  const byRole: Record<Role, WireActor> = {
    coordinator: await person('Coordinator', rilo),
    analyst: await person('Analyst', rilo),
    ncp: await person('NCP of Kenya', kenya),
    officer: await person('Officer of Kenya', kenya),
    partner: await person('Partner', partner),
    'right-holder': await person('Right holder', brand),
    observer: await person('Observer of Kenya', kenya),
    auditor: await person('Auditor', rilo),
  }
  const ncpOfThailand = await person('NCP of Thailand', thailand)
  const { coordinator } = byRole
  const operation = await createOperation(owner, administrator, coordinator, {
    allHolds: ['partner', 'observer'],
    ...options,
  })
  for (const id of [kenya, thailand, partner, brand]) went(await operation.admitOrganization(id))
  for (const [role, actor] of Object.entries(byRole))
    if (role !== 'coordinator') went(await operation.admit(actor, role as Role))
  went(await operation.admit(ncpOfThailand, 'ncp'))
  if (options.advance !== false) {
    went(await operation.advance('rehearsal'))
    went(await operation.advance('active'))
  }
  went(await operation.openEpoch(coordinator))
  const { auditor: _, coordinator: __, ...others } = byRole
  const { id: shared } = went(
    await operation.createCompartment(
      coordinator,
      Object.values(others)
        .filter((actor) => actor !== byRole['right-holder'])
        .map((actor) => actor.person),
    ),
  )
  went(await operation.openEpoch(coordinator, shared))
  const { id: other } = went(await operation.createCompartment(ncpOfThailand, []))
  went(await operation.openEpoch(ncpOfThailand, other))
  const messages = {
    text: freshId(),
    textThread: freshId(),
    warning: freshId(),
    warningThread: freshId(),
    inOther: freshId(),
    otherThread: freshId(),
    textInOther: freshId(),
  }
  const organizations = { kenya, thailand }
  const cast: Cast = { administrator, byRole, ncpOfThailand, operation, shared, other, messages, organizations }
  if (options.advance !== false) await fill(cast)
  went(await operation.addTo(shared, byRole['right-holder'].person))
  await grantHistory(operation, coordinator, byRole['right-holder'], shared, 1)
  return cast
}

async function fill({
  operation,
  byRole: { coordinator },
  ncpOfThailand,
  shared,
  other,
  messages,
}: Cast): Promise<void> {
  const { text, textThread, warning, warningThread, inOther, otherThread, textInOther } = messages
  for (const compartment of [shared, other])
    if (await operation.isStale(compartment))
      went(await operation.openEpoch(compartment === other ? ncpOfThailand : coordinator, compartment))
  const of = (compartment: string, id: string, thread: string) => ({ compartment, id, thread })
  went(await operation.post(coordinator, of(shared, text, textThread)))
  went(await operation.post(coordinator, { ...of(shared, warning, warningThread), form: 'warning' }))
  went(await operation.post(ncpOfThailand, { ...of(other, inOther, otherThread), form: 'warning' }))
  const refersTo = { message: inOther, as: 'reply' } as const
  went(await operation.post(ncpOfThailand, { ...of(other, textInOther, otherThread), refersTo }))
}
/** The cast with what a test asks of it. */
function sceneOf(server: TestServer, cast: Cast): EveryRole {
  const { administrator, operation, byRole, organizations } = cast
  const candidate = async (organization: string) => {
    const { actor } = await invite(administrator, { name: 'Candidate', organization, tier: 'ncp' })
    return { person: actor.person, organization }
  }
  const spare: { members: string[]; organizations: string[] } = { members: [], organizations: [] }
  const admitted = async (organization: string, role: Role) => {
    const made = await candidate(organization)
    went(await operation.admit(made, role))
    return made.person
  }
  const invited = async (isAdmitted: boolean) => {
    const id = await register(administrator, 'administration', 'UG')
    if (isAdmitted) went(await operation.admitOrganization(id))
    return id
  }
  return {
    ...cast,
    server,
    fill: () => fill(cast),
    roleOf: (actor) => (Object.entries(byRole).find(([, one]) => one === actor)?.[0] ?? 'ncp') as Role,
    candidate,
    async member(organization, role) {
      return spare.members.pop() ?? admitted(organization, role)
    },
    async organization(isAdmitted) {
      return (isAdmitted ? spare.organizations.pop() : undefined) ?? invited(isAdmitted)
    },
    async lay(members, more) {
      for (let i = 0; i < members; i++) spare.members.push(await admitted(organizations.kenya, 'officer'))
      for (let i = 0; i < more; i++) spare.organizations.push(await invited(true))
    },
  }
}
