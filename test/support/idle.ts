import { setTimeout as sleep } from 'node:timers/promises'
import type { Cordon } from '../../src/client/index.ts'
import { administratorOf, enrolWith, partyOf, passphrase, takeIn } from './actors.ts'
import { headerOf, startMailServer, textOf, type Mail, type MailServer } from './mail-server.ts'
import { startServer, type TestServer, type TestServerOptions } from './server.ts'

interface Owner {
  teardown(clean: () => Promise<unknown>): void
}

export const day = 24 * 3600_000
const from = 'cordon@service.example'

export interface IdleScene {
  readonly server: TestServer
  readonly mail: MailServer
  readonly administrator: Cordon
  readonly coordinator: Cordon
  readonly ncp: Cordon
  readonly officer: Cordon
  readonly organization: string
  readonly operation: string
  /** Everybody but the officer, who keep their accounts in use. */
  readonly others: readonly Cordon[]
}

/** A service with a mail server, an operation in draft, and an officer of Kenya in it beside the contact point: everybody goes by the service's clock. */
export async function idleScene(owner: Owner, options: TestServerOptions = {}): Promise<IdleScene> {
  const mail = await startMailServer(owner)
  const server = await startServer(owner, { notices: { url: mail.url, from }, ...options })
  const platform = { clock: () => server.clock.now() }
  const administrator = await administratorOf(owner, server, { platform })
  const unit = { kind: 'rilo', name: 'Coordination unit', platform } as const
  const { client: coordinator, organization: secretariat } = await partyOf(owner, administrator, unit)
  const operation = await administrator.operations.create({
    name: 'Operation Test',
    reference: 'T-1',
    timeZone: 'Europe/Brussels',
    coordinators: [{ person: coordinator.person, organization: secretariat }],
  })
  await coordinator.follow(operation)
  const kenyaIs = { kind: 'administration', name: 'Customs of Kenya', country: 'KE', platform } as const
  const kenya = await partyOf(owner, administrator, kenyaIs)
  await takeIn(coordinator, operation, kenya, 'ncp')
  const { client: ncp, organization } = kenya
  const officer = await enrolWith(owner, ncp, { name: 'Amina Otieno', organization, tier: 'person', platform })
  await ncp.operations.admit(operation, { person: officer.person, organization, role: 'officer' })
  const others = [administrator, coordinator, ncp]
  return { server, mail, administrator, coordinator, ncp, officer, organization, operation, others }
}

/** What servers do by themselves every few minutes, done by all of these at once. */
export async function review(...servers: readonly TestServer[]): Promise<void> {
  await Promise.all(servers.map(({ identity }) => identity.idleness.review()))
  await Promise.all(servers.map(({ identity }) => identity.outbox.deliver()))
}

/** Days go by, each with a review, while those who are named sign in now and then; answers what `each` saw on which day. */
export async function pass(
  days: number,
  {
    servers,
    using,
    each,
  }: { servers: readonly TestServer[]; using: readonly Cordon[]; each?: (day: number) => unknown },
): Promise<void> {
  for (let n = 1; n <= days; n++) {
    for (const { clock } of servers) clock.advance(day)
    if (n % 20 === 0) for (const client of using) await client.signIn({ passphrase })
    await review(...servers)
    await each?.(n)
  }
}

/** Mails to an address, once the mail server has said all of them. */
export async function mailsTo(mail: MailServer, address: string): Promise<Mail[]> {
  await sleep(5)
  return mail.mails.filter(({ to }) => to.includes(address))
}

/** Sets and confirms somebody's address by the code that the mail server got. */
export async function setAddress(
  { mail, server }: Pick<IdleScene, 'mail' | 'server'>,
  client: Cordon,
  address: string,
) {
  await client.notices.setAddress(address)
  await client.notices.confirm(await codeFor({ mail, server }, address))
}

/** The newest code that went to an address. */
export async function codeFor({ mail, server }: Pick<IdleScene, 'mail' | 'server'>, address: string): Promise<string> {
  await server.identity.outbox.deliver()
  const codes = (await mailsTo(mail, address)).flatMap((one) => /^ {4}(\d{8})$/m.exec(textOf(one))?.[1] ?? [])
  const code = codes.at(-1)
  if (code === undefined) throw new Error(`no code went to ${address}`)
  return code
}

export const subjects = (mails: readonly Mail[]) => mails.map((one) => headerOf(one, 'Subject') ?? '')
/** When a mail says that the account sleeps. */
export const sleepsAt = (one: Mail) => new Date(`${/sleep at (\S+ \S+) \(UTC\)/.exec(textOf(one))?.[1] ?? ''}Z`)
