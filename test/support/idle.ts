import { setTimeout as sleep } from 'node:timers/promises'
import type { Cordon } from '../../src/client/index.ts'
import { administratorOf, coordinationUnit, enrolWith, operationOf, partyOf, passphrase, takeIn } from './actors.ts'
import { startClientScene, type MakeClientScene } from './client-scenes.ts'
import { headerOf, startMailServer, textOf, type Mail, type MailServer } from './mail-server.ts'
import type { Owner } from './scenes.ts'
import type { TestServer, TestServerOptions } from './server.ts'

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

const makeIdle: MakeClientScene<
  'administrator' | 'coordinator' | 'ncp' | 'officer',
  { organization: string; operation: string }
> = async (owner, server, as) => {
  const administrator = await administratorOf(owner, server, as('administrator'))
  const unit = await coordinationUnit(owner, administrator, as('coordinator'))
  const operation = await operationOf(administrator, unit, { state: 'draft' })
  const kenyaIs = { kind: 'administration', name: 'Customs of Kenya', country: 'KE' } as const
  const kenya = await partyOf(owner, administrator, { ...kenyaIs, ...as('ncp') })
  await takeIn(unit.client, operation, kenya, 'ncp')
  const { client: ncp, organization } = kenya
  const officer = await enrolWith(owner, ncp, { name: 'Amina Otieno', organization, tier: 'person', ...as('officer') })
  await ncp.operations.admit(operation, { person: officer.person, organization, role: 'officer' })
  return { clients: { administrator, coordinator: unit.client, ncp, officer }, made: { organization, operation } }
}

/**
 * A service with a mail server, an operation in draft, and an officer of Kenya in it beside the
 * contact point: everybody goes by the service's clock.
 */
export async function idleScene(owner: Owner, options: TestServerOptions = {}): Promise<IdleScene> {
  const mail = await startMailServer(owner)
  const { server, clients, made } = await startClientScene(owner, 'idle-accounts', makeIdle, {
    server: { notices: { url: mail.url, from }, ...options },
    of: (_, on) => ({ platform: { clock: () => on.clock.now() } }),
  })
  const { administrator, coordinator, ncp } = clients
  // Nobody follows: what a live client asks for by itself is a use of its account, on whichever day
  // it comes.
  return { server, mail, ...clients, ...made, others: [administrator, coordinator, ncp] }
}

/** What servers do by themselves every few minutes, done by all of these at once. */
export async function review(...servers: readonly TestServer[]): Promise<void> {
  await Promise.all(servers.map(({ identity }) => identity.idleness.review()))
  await Promise.all(servers.map(({ identity }) => identity.outbox.deliver()))
}

/**
 * Days go by, each with a review, while those who are named sign in now and then; answers what
 * `each` saw on which day.
 */
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
