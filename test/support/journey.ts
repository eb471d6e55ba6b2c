import type { Test } from 'tap'
import { FileStore } from '../../src/client/node/index.ts'
import { opened, type Scene } from './actors.ts'
import { passphrases, seat, temporary, until, type Desk, type Done, type Seated } from './command.ts'
import { admin } from './database.ts'
import type { startServer } from './server.ts'
import { usualOperation } from './usual-operation.ts'

type Owner = Parameters<typeof startServer>[0]

/**
 * An operation that is active, with the contact point and an officer of Kenya at their desks; who
 * coordinates is always online.
 */
export interface Journey extends Scene {
  readonly directory: string
  readonly kenya: string
  readonly ncp: Seated
  readonly officer: Seated
}

export async function setOut(owner: Owner): Promise<Journey> {
  const scene = await usualOperation(owner)
  const { administrator, coordinator, operation } = scene
  const directory = temporary(owner)
  const kenya = await administrator.directory.registerOrganization({
    kind: 'administration',
    name: 'Kenya',
    country: 'KE',
  })
  const ncp = await seat(owner, directory, administrator, { name: 'Wanjiru Kamau', organization: kenya, tier: 'ncp' })
  const inviter = ncp.client
  const officer = await seat(owner, directory, inviter, { name: 'Amina Otieno', organization: kenya, tier: 'person' })
  await coordinator.operations.admitOrganization(operation, kenya)
  await coordinator.operations.admit(operation, { person: ncp.person, organization: kenya, role: 'ncp' })
  await inviter.operations.admit(operation, { person: officer.person, organization: kenya, role: 'officer' })
  for (const { leave } of [officer, ncp]) await leave()
  return { ...scene, directory, kenya, ncp, officer }
}

export interface Sealed {
  /** Number of the message. */
  readonly index: number
  readonly epoch: number
  /** Devices that were given its key, as the statement says and as the database has it. */
  readonly recipients: readonly string[]
}

/** Who coordinates posts to everybody. */
export async function tell(
  { server, coordinator }: Pick<Journey, 'server' | 'coordinator'>,
  operation: string,
  text: string,
): Promise<Sealed> {
  const session = await coordinator.follow(operation)
  const { message, index } = await session.post({ form: 'text', fields: { text }, subject: text })
  const { epoch } = await opened(coordinator, operation, message)
  const stated: readonly string[] = session.view.epoch(session.view.all, epoch)?.recipients ?? []
  const { rows } = await admin(server.database.superUrl, (client) =>
    client.query<{ device: string }>(
      'SELECT device_id AS device FROM epoch_grant WHERE operation_id = $1 AND compartment_id = $1 AND epoch = $2',
      [operation, epoch],
    ),
  )
  return { index, epoch, recipients: [...new Set([...stated, ...rows.map(({ device }) => device)])] }
}

/**
 * What a store on the disk holds of an operation, whatever the service says of its owner: numbers
 * of its keys, and opened texts.
 */
export async function heldBy({ store: path }: Desk, operation: string): Promise<{ keys: number[]; texts: unknown[] }> {
  const store = await FileStore.open(path, passphrases.store)
  const keys = await store.list(`operation/${operation}/key/${operation}#`)
  const messages = await store.list(`operation/${operation}/message/`)
  await store.close()
  return {
    keys: keys.map(([name]) => Number(name.split('#')[1])),
    texts: messages.map(([, value]) => (value as { fields?: { text?: unknown } }).fields?.text),
  }
}

/** `cordon follow` at a desk, once it has caught up. */
export async function follow(desk: Desk, ...args: string[]) {
  const child = desk.start(['follow', ...args])
  let shown = ''
  let notes = ''
  child.stdout?.on('data', (chunk) => (shown += String(chunk)))
  child.stderr?.on('data', (chunk) => (notes += String(chunk)))
  const code = new Promise<number | null>((resolve) => child.once('close', resolve))
  await until('it follows', () => notes.includes('Ctrl-C ends it'))
  return { code, shown: () => shown, notes: () => notes }
}

/** The invitation that a command has shown. */
export function invitationIn({ stdout }: Done): string {
  const [invitation = ''] = /cordon-invitation:\S+/.exec(stdout) ?? []
  return invitation
}

/** Whoever sits there does none of this, and cannot sign in again. */
export async function isOut(
  t: Test,
  desk: Desk,
  acts: readonly string[][] = [['read'], ['post', 'I am still here.']],
  signIn = /Sign-in refused/,
): Promise<void> {
  for (const args of acts) {
    const { code, stderr } = await desk.run(args)
    t.equal(code, 1, args.join(' '))
    t.match(stderr, /The session has ended/, args.join(' '))
  }
  const { code, stderr } = await desk.run(['sign-in'])
  t.equal(code, 1, 'sign-in')
  t.match(stderr, signIn, 'sign-in')
}
