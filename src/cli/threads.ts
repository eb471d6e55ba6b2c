import type { Message } from '../client/index.ts'
import type { FileStore } from '../client/node/index.ts'
import { idEnd } from './choice.ts'
import { CommandFailure } from './failures.ts'

/**
 * A message as people name it: # and the index of its entry in the log of the operation, which is
 * the same for each reader and never changes.
 */
export const messageReference = (index: number): string => `#${String(index)}`

/** A thread as people name it: @ and the index of its first message. */
export const threadReference = (number: number): string => `@${String(number)}`

/** A thread as this device has it. Its number is the index of its first message in the log. */
export interface Thread {
  readonly number: number
  readonly thread: string
  readonly messages: readonly Message[]
  readonly unread: number
}

/** The threads of messages, the newest first. */
export function threadsOf(messages: readonly Message[], read: ReadonlySet<string>): Thread[] {
  const threads = [...Map.groupBy(messages, ({ thread }) => thread)].map(([thread, all]) => ({
    number: all[0]?.index ?? 0,
    thread,
    messages: all,
    unread: all.filter((message) => isUnread(message, read)).length,
  }))
  return threads.sort((a, b) => newestOf(b) - newestOf(a))
}

/** Index of the newest message of a thread. */
export function newestOf({ messages }: Thread): number {
  return messages.at(-1)?.index ?? 0
}

export function isUnread({ id, own }: Message, read: ReadonlySet<string>): boolean {
  return !own && !read.has(id)
}

/** Ids of the messages that were read on this device. */
export async function readMarks(store: FileStore, operation: string): Promise<Set<string>> {
  const prefix = `read/${operation}/`
  return new Set((await store.list(prefix)).map(([name]) => name.slice(prefix.length)))
}

export async function keepReadMarks(store: FileStore, operation: string, messages: readonly string[]): Promise<void> {
  await store.write(messages.map((message) => ({ name: `read/${operation}/${message}`, value: true })))
}

/** The number in a reference such as 49, #49 or @41; undefined for another word. */
export function numberIn(word: string): number | undefined {
  const number = /^[#@]?(\d{1,15})$/.exec(word.trim())?.[1]
  return number === undefined ? undefined : Number(number)
}

/**
 * The message that a word names: 49 or #49 by the index of its entry; @41 as the first message of
 * the thread that has entry 41, so that a thread is found by each message of it; an id, or its end,
 * of a message or a thread. Throws CommandFailure.
 */
export function findMessage(messages: readonly Message[], word: string): Message {
  const found = word.trim().startsWith('@') ? firstOf(messages, numberIn(word)) : named(messages, word)
  if (found) return found
  throw new CommandFailure(
    `This device has no message ${JSON.stringify(word)}: \`cordon read\` lists the threads with their numbers.`,
  )
}

function firstOf(messages: readonly Message[], number: number | undefined): Message | undefined {
  const thread = messages.find(({ index }) => index === number)?.thread
  return messages.find((message) => message.thread === thread)
}

function named(messages: readonly Message[], word: string): Message | undefined {
  const number = numberIn(word)
  const wanted = word.trim().toLowerCase()
  const whole = messages.find(({ index, id, thread }) => index === number || id === wanted || thread === wanted)
  const end = idEnd(word)
  if (whole !== undefined || number !== undefined || end === undefined) return whole
  const found = messages.filter(({ id }) => id.endsWith(end))
  if (found.length > 1) {
    const which = found.map(({ index }) => messageReference(index)).join(', ')
    throw new CommandFailure(`Several messages have an id that ends in ${end}: ${which}. Give a number.`)
  }
  return found[0] ?? messages.find(({ thread }) => thread.endsWith(end))
}

/**
 * The corrections and withdrawals of messages by their own organization, by the id of the message
 * that they change.
 */
export function changesTo(
  messages: readonly Message[],
): Map<string, { readonly as: string; readonly index: number }[]> {
  const byId = new Map(messages.map((message) => [message.id, message]))
  const changes = new Map<string, { as: string; index: number }[]>()
  for (const { refersTo, organization, index } of messages) {
    const target = refersTo && byId.get(refersTo.message)
    if (!target || target.organization !== organization) continue
    if (refersTo.as !== 'correction' && refersTo.as !== 'withdrawal') continue
    changes.set(target.id, [...(changes.get(target.id) ?? []), { as: refersTo.as, index }])
  }
  return changes
}

/** The subject of a message; without one, the first words of its text. */
export function subjectOf({ subject, fields, form }: Message): string {
  if (subject !== undefined) return subject
  const { text, suspicion, narrative } = fields
  const words = [text, suspicion, narrative].find((one) => typeof one === 'string') ?? `(${form})`
  const [line = ''] = words.trim().split('\n')
  return line.length > 60 ? `${[...line].slice(0, 59).join('')}…` : line
}
