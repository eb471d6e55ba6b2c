import type { Permission } from '../../src/access.ts'
import type { Cordon } from '../../src/client/index.ts'
import { newClient, type ActorOptions } from './actors.ts'

interface Owner {
  teardown(clean: () => Promise<unknown>): void
}

/** What a program needs that reads its compartments and reports seizures to them. */
export const reporting: readonly Permission[] = [
  'operation.read',
  'member.list',
  'compartment.list',
  'message.read',
  'message.post',
  'thread.open',
  'seizure.report',
  'epoch.open',
  'grant.give',
  'log.verify',
]

export const loopback = ['127.0.0.0/8', '::1/128']

const day = 24 * 3600_000
export const inDays = (days: number) => new Date(Date.now() + days * day)

export interface Service extends ActorOptions {
  readonly organization: string
  readonly name?: string
  readonly permissions?: readonly Permission[]
  readonly addresses?: readonly string[]
  readonly expiresAt?: Date
}

/** Invited by somebody, and enrolled; neither certified nor signed in yet. */
export async function enrolService(owner: Owner, inviter: Cordon, service: Service): Promise<Cordon> {
  const { organization, name = 'Declarations', permissions = reporting, addresses = loopback } = service
  const { text } = await inviter.directory.inviteService({
    name,
    organization,
    permissions,
    addresses,
    expiresAt: service.expiresAt ?? inDays(90),
  })
  const client = newClient(owner, service)
  await client.enrol({ invitation: text })
  return client
}

/** The same, certified and signed in. */
export async function serviceOf(owner: Owner, inviter: Cordon, service: Service): Promise<Cordon> {
  const client = await enrolService(owner, inviter, service)
  await inviter.directory.certifyWaiting()
  await client.signInService()
  return client
}
