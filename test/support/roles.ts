import { readFileSync } from 'node:fs'
import type { Role } from '../../src/access.ts'
import { grantHistory } from './busy-service.ts'
import { startServer, type TestServer, type TestServerOptions } from './server.ts'
import { createOperation, went, type OperationOptions, type WireOperation } from './wire-operation.ts'
import { freshId, invite, newcomer, setUp, type WireActor } from './wire.ts'

interface Owner {
  teardown(clean: () => Promise<unknown>): void
}

export interface Cell {
  readonly row: string
  readonly column: string
  readonly value: string
}

/** The cells of one of the design's tables, as they were copied: the expected values, never computed. */
export function cellsOf(name: 'access-roles' | 'access-states' | 'access-entries'): Cell[] {
  const text = readFileSync(new URL(`../tables/${name}.csv`, import.meta.url), 'utf8')
  const [head = '', ...lines] = text.trimEnd().split(/\r?\n/)
  const columns = head.split(',').slice(1)
  return lines.flatMap((line) => {
    const [row = '', ...values] = line.split(',')
    return values.map((value, n) => ({ row, column: columns[n] ?? '', value }))
  })
}

/** An active operation with one member of each role, a compartment that they share, and one that they do not. */
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
  /** Posts what `messages` names, where that was not possible before: in an operation that was left in its first state. */
  fill(): Promise<void>
  /** Somebody who exists, has no device, and can be admitted. */
  candidate(organization: string): Promise<{ person: string; organization: string }>
  /** A member without a device. */
  member(organization: string, role: Role): Promise<string>
  /** An organization without members, in the operation or not yet. */
  organization(admitted: boolean): Promise<string>
  /** Makes so many officers of Kenya and organizations beforehand, for states in which nobody can be admitted. */
  lay(members: number, organizations: number): Promise<void>
}

export async function everyRole(
  owner: Owner,
  options: OperationOptions & { advance?: boolean; server?: TestServerOptions } = {},
): Promise<EveryRole> {
  const server = await startServer(owner, options.server)
  const { administrator } = await setUp(server)
  const register = async (kind: string, country?: string) => {
    const id = freshId()
    const name = `${kind} ${id.slice(-6)}`
    await administrator.must('POST', '/v1/organizations', { id, kind, name, ...(country ? { country } : {}) })
    return id
  }
  const rilo = await register('rilo')
  const kenya = await register('administration', 'KE')
  const thailand = await register('administration', 'TH')
  const partner = await register('partner')
  const brand = await register('right-holder')
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
  const fill = async () => {
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
  if (options.advance !== false) await fill()
  went(await operation.addTo(shared, byRole['right-holder'].person))
  await grantHistory(operation, coordinator, byRole['right-holder'], shared, 1)

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
    const id = await register('administration', 'UG')
    if (isAdmitted) went(await operation.admitOrganization(id))
    return id
  }
  return {
    server,
    administrator,
    operation,
    byRole,
    ncpOfThailand,
    shared,
    other,
    messages,
    fill,
    roleOf: (actor) => (Object.entries(byRole).find(([, one]) => one === actor)?.[0] ?? 'ncp') as Role,
    organizations: { kenya, thailand },
    candidate,
    async member(organization, role) {
      return spare.members.pop() ?? admitted(organization, role)
    },
    async organization(isAdmitted) {
      return (isAdmitted ? spare.organizations.pop() : undefined) ?? invited(isAdmitted)
    },
    async lay(members, organizations) {
      for (let i = 0; i < members; i++) spare.members.push(await admitted(kenya, 'officer'))
      for (let i = 0; i < organizations; i++) spare.organizations.push(await invited(true))
    },
  }
}
