import { isProblem, type Cordon, type DueCertificate, type Platform, type RootSecrets } from '../../src/client/index.ts'
import { issueCertificate, timestamp, type Device } from '../../src/protocol/index.ts'
import { enrolWith, newClient, operationOn, partyOf, passphrase, takeIn } from './actors.ts'
import { startServer, type TestServer } from './server.ts'

export const day = 24 * 3_600_000
export const text = (words: string) => ({ form: 'text', fields: { text: words } })
export const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )
type Owner = Parameters<typeof operationOn>[0]

/** Kenya with a contact point and an officer in an operation, by the clock of the server, and the key of the root. */
export async function renewing(owner: Owner) {
  const server = await startServer(owner)
  const platform = { clock: () => server.clock.now() }
  const administrator = newClient(owner, { platform })
  const { root } = await initialized(administrator, server)
  const it = await operationOn(owner, server, { administrator, coordinator: { platform } })
  const { coordinator, operation } = it
  const kenya = await partyOf(owner, administrator, { kind: 'administration', name: 'Kenya', country: 'KE', platform })
  await takeIn(coordinator, operation, kenya, 'ncp')
  const { organization } = kenya
  const enrolled = (inviter: Cordon, name: string, tier: 'ncp' | 'person' | 'administrator') =>
    enrolWith(owner, inviter, { name, organization: inviter.organization, tier, platform })
  const officer = await enrolled(kenya.client, 'Amina', 'person')
  await kenya.client.operations.admit(operation, { person: officer.person, organization, role: 'officer' })
  /** Sessions do not last for months: everybody signs in again. */
  const later = async (days: number, ...who: Cordon[]) => {
    server.clock.advance(days * day)
    for (const one of who) await one.signIn({ passphrase })
  }
  return { ...it, platform, root, kenya: kenya.client, organization, officer, enrolled, later }
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
