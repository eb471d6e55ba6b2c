import { isProblem, type Cordon, type DueCertificate, type Platform, type RootSecrets } from '../../src/client/index.ts'
import { issueCertificate, timestamp, type Device } from '../../src/protocol/index.ts'
import { coordinationUnit, enrolWith, newClient, operationOf, partyOf, passphrase, takeIn } from './actors.ts'
import { startClientScene, type MakeClientScene } from './client-scenes.ts'
import type { Owner } from './scenes.ts'
import type { TestServer } from './server.ts'

export const day = 24 * 3_600_000
export const text = (words: string) => ({ form: 'text', fields: { text: words } })
export const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )

const makeRenewing: MakeClientScene<
  'administrator' | 'coordinator' | 'kenya' | 'officer',
  { secretariat: string; operation: string; organization: string; root: RootSecrets['root'] }
> = async (owner, server, as) => {
  const administrator = newClient(owner, as('administrator'))
  const { root } = await initialized(administrator, server)
  const { client: coordinator, organization: secretariat } = await coordinationUnit(
    owner,
    administrator,
    as('coordinator'),
  )
  const operation = await operationOf(administrator, { client: coordinator, organization: secretariat })
  const kenyaIs = { kind: 'administration', name: 'Kenya', country: 'KE' } as const
  const kenya = await partyOf(owner, administrator, { ...kenyaIs, ...as('kenya') })
  await takeIn(coordinator, operation, kenya, 'ncp')
  const { client, organization } = kenya
  const officer = await enrolWith(owner, client, { name: 'Amina', organization, tier: 'person', ...as('officer') })
  await client.operations.admit(operation, { person: officer.person, organization, role: 'officer' })
  return {
    clients: { administrator, coordinator, kenya: client, officer },
    made: { secretariat, operation, organization, root },
  }
}

/**
 * Kenya with a contact point and an officer in an operation, by the clock of the server, and the
 * key of the root.
 */
export async function renewing(owner: Owner) {
  const { server, clients, made } = await startClientScene(owner, 'renewing', makeRenewing, {
    of: (_, on) => ({ platform: { clock: () => on.clock.now() } }),
  })
  const platform = { clock: () => server.clock.now() }
  const { root, ...ids } = made
  await clients.coordinator.follow(ids.operation)
  const enrolled = (inviter: Cordon, name: string, tier: 'ncp' | 'person' | 'administrator') =>
    enrolWith(owner, inviter, { name, organization: inviter.organization, tier, platform })
  /** Sessions do not last for months: everybody signs in again. */
  const later = async (days: number, ...who: Cordon[]) => {
    server.clock.advance(days * day)
    for (const one of who) await one.signIn({ passphrase })
  }
  return { server, ...clients, ...ids, platform, root, enrolled, later }
}

async function initialized(administrator: Cordon, server: TestServer): Promise<RootSecrets> {
  const secrets = await administrator.initialize({
    server: server.url,
    setupString: (await server.setUpString()) ?? '',
    organization: { name: 'Secretariat' },
    person: { name: 'Administrator' },
    passphrase,
  })
  await administrator.signIn({ passphrase })
  return secrets
}

export const dueOf = (due: readonly DueCertificate[], client: Cordon) => {
  const found = due.find(({ device }) => device === client.device)
  if (!found) throw new Error(`nothing is due of ${client.person}`)
  return found
}

export const bring = (client: Cordon, certificate: string) =>
  code(client.transport.request('POST', '/v1/renewals', { certificate }))

/** A certificate like somebody's own, with something changed, by a device. */
export async function anew(
  issuer: Device,
  subject: Cordon,
  now: Date,
  change: Partial<Parameters<typeof issueCertificate>[1]> & { readonly days?: number } = {},
): Promise<string> {
  const { days = 365, ...changed } = change
  const { certificate } = subject.self
  if (!certificate) throw new Error('certified before')
  const { keys, person, organization, tier } = certificate
  const times = { issuedAt: timestamp(now), expiresAt: timestamp(new Date(now.getTime() + days * day)) }
  return issueCertificate(issuer, { keys, person, organization, tier, ...times, ...changed })
}

/** A further device of somebody, certified by one that there is. */
export async function furtherOf(owner: Owner, person: Cordon, platform: Partial<Platform>): Promise<Cordon> {
  const { text: invitation } = await person.directory.invite({
    person: { id: person.person, name: 'Amina' },
    organization: person.organization,
    tier: 'person',
  })
  const further = newClient(owner, { platform })
  await further.enrol({ invitation, passphrase })
  await person.directory.certifyWaiting()
  await further.signIn({ passphrase })
  return further
}
