import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import {
  isProblem,
  pendingMessages,
  sealedMessages,
  type Alarm,
  type OperationFacts,
  type OperationListed,
  type OperationSession,
} from '../client/index.ts'
import { gapWords, type LogGap, type PersonId } from '../protocol/index.ts'
import { choose, idOf, type Choice } from './choice.ts'
import { onStore, type CommandDevice, type DeviceOptions } from './device.ts'
import { CommandFailure, failAtEnd } from './failures.ts'
import { harmlessLine, isolated } from './terminal.ts'
import { counted } from './words.ts'

export interface OperationOptions extends DeviceOptions {
  readonly operation?: string
}

/** An operation that this device follows, with the names of its members and organizations. */
export interface FollowedOperation {
  readonly session: OperationSession
  readonly facts: OperationFacts
  readonly names: Names
  /** The messages that an earlier command left unsent, and their outcome. */
  readonly unsent: UnsentMessages
}

interface UnsentMessages {
  readonly settled: Promise<void>
  tell(): void
}

/**
 * Names of organizations and people by id, also of those that have left, as far as this device has
 * seen them.
 */
export interface Names {
  readonly organizations: Readonly<Record<string, string>>
  readonly people: Readonly<Record<string, string>>
}

/**
 * What the store keeps of an operation for the command, beside the records of the SDK: facts and
 * names, for output without the service.
 */
export interface KnownOperation {
  readonly facts: OperationFacts
  readonly names: Names
}

/**
 * Milliseconds that a command waits at its end for messages that an earlier command left unsent.
 */
const sendWithinMs = 3_000
const keysWithinMs = 2_000
const askForKeysEveryMs = 100

/** The number of set-aside items that a command shows. */
const mostSetAsideShown = 10

export function inOperation(command: Command): Command {
  return onStore(
    command.option(
      '-o, --operation <operation>',
      'id, reference or beginning of the name; not needed where you are in a single operation',
    ),
  )
}

/**
 * The operation that a word names: by id, by reference or by the beginning of its name. Without a
 * word, the only operation of this person. Throws CommandFailure.
 */
export async function chooseOperation({ client }: CommandDevice, word: string | undefined): Promise<OperationListed> {
  const all = await client.operations.list()
  if (all.length === 0)
    throw new CommandFailure('You are in no operation: a coordinator admits you (cordon operation admit).')
  if (word === undefined && all.length === 1) return all[0] as OperationListed
  const named = all.map((one) => ({ ...one, id: one.operation, also: one.reference }))
  if (word === undefined)
    throw new CommandFailure(
      `You are in ${String(all.length)} operations: name an operation with --operation (${named.map(({ reference }) => isolated(reference)).join(', ')}).`,
    )
  return choose('operation', word, named)
}

/**
 * Follows an operation until this device has caught up, and sends the messages that an earlier
 * command left unsent.
 */
export async function openOperation(device: CommandDevice, word: string | undefined): Promise<FollowedOperation> {
  const { client, store, terminal } = device
  const chosen = await chooseOperation(device, word)
  const { operation } = chosen
  const unsent = await pendingMessages(store, operation)
  const session = await client.follow(operation)
  const told = new Set<string>()
  const tell = (alarm: Alarm) => {
    const line = alarmLine(alarm)
    if (!told.has(line)) terminal.note(line)
    told.add(line)
  }
  for (const alarm of session.alarms) tell(alarm)
  device.atEnd(session.events.on('alarm', tell))
  const sending = tellSent(session, device, new Set(unsent))
  await caughtUp(device, session)
  if (session.gap !== undefined) terminal.note(harmlessLine(copyLine(session.gap)))
  const waiting = await sealedAfterAMoment(store, operation)
  if (waiting > 0)
    terminal.note(`${counted(waiting, 'message')} cannot be opened yet: the key comes once another member is online.`)
  // What was listed just now is newer than what a session knows that has long been followed.
  const facts = { ...session.facts, ...chosen }
  return { session, facts, names: await learnNames(device, operation, facts), unsent: sending }
}

/**
 * The number of messages that stay sealed. It waits a moment for keys that another member grants
 * now.
 */
async function sealedAfterAMoment(store: CommandDevice['store'], operation: string): Promise<number> {
  let waiting = await sealedMessages(store, operation)
  for (let waited = 0; waiting > 0 && waited < keysWithinMs; waited += askForKeysEveryMs) {
    await sleep(askForKeysEveryMs)
    waiting = await sealedMessages(store, operation)
  }
  return waiting
}

export function alarmLine({ code, detail, index }: Alarm): string {
  return `ALARM ${code}${index === undefined ? '' : ` at entry ${String(index)}`}: ${detail} Tell a coordinator and the auditors.`
}

/** Says that the service is an older copy, and what it lacks. */
function copyLine(gap: LogGap): string {
  return `The service holds an older copy: ${gapWords(gap)}. It is read here; nothing is sent until the newest state is back.`
}

/** Ends following, after it gave keys of earlier epochs to the members who wait for them. */
export async function leaveOperation({
  session,
  unsent,
}: Pick<FollowedOperation, 'session' | 'unsent'>): Promise<void> {
  await Promise.race([unsent.settled, sleep(sendWithinMs)])
  unsent.tell()
  try {
    await session.giveGrants()
  } catch (error) {
    // The next member who is online gives them.
    if (!isProblem(error)) throw error
  }
}

/**
 * Ends following for a command that shows messages. An alarm, or an item that was set aside, means
 * that the output lacks something: it is shown, and the command fails.
 */
export async function leaveReading(
  followed: FollowedOperation,
  { terminal }: Pick<CommandDevice, 'terminal'>,
): Promise<void> {
  await leaveOperation(followed)
  const { alarms, aside } = followed.session
  const told = new Set(alarms.map(({ index }) => index))
  const before = aside.filter(({ index }) => !told.has(index))
  if (alarms.length === 0 && before.length === 0) return
  for (const { code, index, detail } of before.slice(-mostSetAsideShown))
    terminal.note(harmlessLine(`SET ASIDE before, ${code} at entry ${String(index)}: ${detail}`))
  if (before.length > mostSetAsideShown)
    terminal.note(
      `… and ${counted(before.length - mostSetAsideShown, 'entry', 'entries')} more; cordon read --json lists them.`,
    )
  const things = counted(alarms.length + before.length, 'thing')
  terminal.note(`NOT everything could be believed: ${things}, above. The output leaves them out.`)
  failAtEnd()
}

async function caughtUp({ client, terminal }: CommandDevice, session: OperationSession): Promise<void> {
  let bar = terminal.interactive ? await barToHead() : undefined
  const timer = bar && setInterval(() => bar?.advance(session.position + 1), 100)
  try {
    await session.ready(15 * 60_000)
  } finally {
    clearInterval(timer)
    bar?.stop()
    bar = undefined
  }

  async function barToHead() {
    const path = `/v1/logs/${session.operation}/checkpoint`
    const note = await client.transport.text(path).catch(() => '')
    return terminal.progress('Catching up', Math.max(Number(note.split('\n')[1]) || 0, session.position + 1))
  }
}

/**
 * Follows the outcome of messages that an earlier command left unsent. The command does not wait
 * for them.
 */
function tellSent(session: OperationSession, { terminal, atEnd }: CommandDevice, unsent: Set<string>): UnsentMessages {
  let sent = 0
  const { promise: settled, resolve } = Promise.withResolvers<void>()
  const isLast = (message: string) => {
    const known = unsent.delete(message)
    if (unsent.size === 0) resolve()
    return known
  }
  if (unsent.size === 0) resolve()
  atEnd(session.events.on('posted', ({ message }) => void (isLast(message) && sent++)))
  atEnd(
    session.events.on('refused', ({ message, problem }) => {
      if (isLast(message))
        terminal.note(`Not sent: a message that an earlier command had to leave. ${problem.detail} ${problem.advice}`)
    }),
  )
  const tell = () => {
    if (sent > 0) terminal.note(`Sent now: ${counted(sent, 'message')} that an earlier command had to leave.`)
    sent = 0
  }
  return { settled, tell }
}

async function learnNames({ client, store }: CommandDevice, operation: string, facts: OperationFacts): Promise<Names> {
  const before = await knownOperation({ store }, operation)
  const [organizations, people] = await Promise.all([
    client.operations.organizations(operation),
    client.operations.members(operation),
  ])
  const names: Names = {
    organizations: { ...before?.names.organizations, ...byId(organizations, 'organization') },
    people: { ...before?.names.people, ...byId(people, 'person') },
  }
  const value: KnownOperation = { facts, names }
  if (JSON.stringify(before) !== JSON.stringify(value)) await store.write([{ name: `known/${operation}`, value }])
  return names
}

function byId<K extends string>(list: readonly (Record<K, string> & { name: string })[], key: K) {
  return Object.fromEntries(list.map((one) => [one[key], one.name]))
}

/**
 * The facts and names of an operation that this device knows; undefined where no command was ever
 * in it.
 */
export async function knownOperation(
  { store }: Pick<CommandDevice, 'store'>,
  operation: string,
): Promise<KnownOperation | undefined> {
  return (await store.get(`known/${operation}`)) as KnownOperation | undefined
}

/** The names of the sender of a message. */
export function senderOf(
  { organizations, people }: Names,
  { organization, person }: Record<'organization' | 'person', string>,
) {
  return { organization: organizations[organization] ?? organization, person: people[person] ?? person }
}

/** The organization of an operation that a word names; an id is taken as it is. */
export function organizationIn({ names }: Pick<FollowedOperation, 'names'>, word: string): Choice {
  const id = idOf(word)
  if (id !== undefined) return { id, name: names.organizations[id] ?? id }
  return choose('organization', word, entries(names.organizations))
}

/** The present members of the operation. */
export function membersIn({ session, names }: FollowedOperation): Choice[] {
  return entries(names.people).flatMap((one) => {
    const member = session.view.member(one.id as PersonId)
    if (member === undefined) return []
    const of = names.organizations[member.organization]
    return [of === undefined ? one : { ...one, of }]
  })
}

export function entries(names: Readonly<Record<string, string>>): Choice[] {
  return Object.entries(names).map(([id, name]) => ({ id, name }))
}
