import type { Command } from 'commander'
import type { Message } from '../../client/index.ts'
import { asMember, type CommandDevice } from '../device.ts'
import {
  inOperation,
  leaveReading,
  openOperation,
  senderOf,
  type Names,
  type FollowedOperation,
  type OperationOptions,
} from '../followed-operation.ts'
import { countOf } from '../numbers.ts'
import { harmless, harmlessLine, table, isolated } from '../terminal.ts'
import {
  changesTo,
  findMessage,
  isUnread,
  keepReadMarks,
  readMarks,
  subjectOf,
  threadsOf,
  type Thread,
} from '../threads.ts'
import { counted, fieldLines, markWords, timesIn } from '../words.ts'

interface Options extends OperationOptions {
  readonly limit: string
  readonly unread?: true
  readonly markAll?: true
}

export function addRead(command: Command): void {
  inOperation(
    command
      .argument('[thread]', 'number of a thread, or of a message in it')
      .option('--limit <n>', 'list at most so many threads', '40')
      .option('--unread', 'list only what is unread')
      .option('--mark-all', 'mark everything read'),
  )
    .addHelpText('after', '\nExamples:\n  $ cordon read\n  $ cordon read 41\n  $ cordon read --json --limit 1000')
    .action((word: string | undefined, options: Options) =>
      asMember(options, async (device) => {
        const limit = countOf('--limit', options.limit)
        const followed = await openOperation(device, options.operation)
        if (options.markAll === true) await markAll(device, followed)
        else if (word === undefined) await listThreads(device, followed, limit, options.unread === true)
        else await showThread(device, followed, word)
        await leaveReading(followed, device)
      }),
    )
}

async function listThreads(
  { store, terminal }: CommandDevice,
  followed: FollowedOperation,
  limit: number,
  onlyUnread: boolean,
): Promise<void> {
  const { session, facts, names } = followed
  const all = threadsOf(session.messages, await readMarks(store, session.operation))
  const fitting = onlyUnread ? all.filter(({ unread }) => unread > 0) : all
  const threads = fitting.slice(0, limit)
  const time = timesIn(facts.timeZone)
  const unread = all.reduce((sum, thread) => sum + thread.unread, 0)
  const value = threads.map((thread) => summary(thread, names))
  const { operation, alarms, aside } = session
  terminal.result({ operation, unread, threads: value, of: fitting.length, alarms, aside }, () => {
    const head = `${isolated(facts.name)} (${isolated(facts.reference)}), ${facts.state}. ${counted(all.length, 'thread')}, ${counted(unread, 'unread message')}. Times in ${facts.timeZone}.`
    const rows = threads.map((thread, n) => {
      const { subject, form, precedence, from, at, exercise } = value[n] as ReturnType<typeof summary>
      const news = thread.unread === 0 ? '' : thread.unread === 1 ? 'new' : `${String(thread.unread)} new`
      return [
        String(thread.number),
        news,
        (exercise ? 'EXERCISE ' : '') + subject,
        form,
        precedence === 'routine' ? '' : precedence,
        from,
        time(at),
      ]
    })
    const more = fitting.length - threads.length
    return [
      harmless(head),
      ...(rows.length === 0
        ? []
        : ['', ...table(['number', '', 'subject', 'form', 'precedence', 'from', 'newest'], rows)]),
      ...(more > 0 ? ['', `${counted(more, 'older thread')} not listed: --limit shows more.`] : []),
    ]
  })
}

function summary({ number, thread, messages, unread }: Thread, names: Names) {
  const [first] = messages
  const last = messages.at(-1)
  if (!first || !last) throw new RangeError('a thread has a message')
  const { compartment, form, precedence, exercise } = first
  return {
    number,
    thread,
    unread,
    subject: subjectOf(first),
    form,
    precedence,
    from: senderOf(names, first).organization,
    at: last.at,
    compartment,
    exercise,
    messages: messages.length,
  }
}

async function showThread(device: CommandDevice, followed: FollowedOperation, word: string): Promise<void> {
  const { session, facts, names } = followed
  const { thread } = findMessage(session.messages, word)
  const messages = session.messages.filter((message) => message.thread === thread)
  const read = await readMarks(device.store, session.operation)
  const unread = messages.filter((message) => isUnread(message, read))
  const changes = changesTo(messages)
  const time = timesIn(facts.timeZone)
  const [first] = messages
  const named = messages.map((message) => ({
    ...message,
    from: senderOf(names, message),
    changed: changes.get(message.id) ?? [],
  }))
  const { operation, alarms, aside } = session
  device.terminal.result({ operation, thread, messages: named, alarms, aside }, () => [
    ...(first ? [harmlessLine(subjectOf(first)), `Times in ${facts.timeZone}.`] : []),
    ...messages.flatMap((message) => [
      '',
      ...headOf(message, names, time, unread.includes(message)),
      ...(changes.get(message.id) ?? []).map(
        ({ as, index }) => `  ${as === 'withdrawal' ? 'WITHDRAWN' : 'CORRECTED'} by ${String(index)}`,
      ),
      ...fieldLines(message.form, message.version, message.fields).map((line) => `  ${line}`),
    ]),
  ])
  await mark(device, followed, unread)
}

function headOf(message: Message, names: Names, time: (at: string) => string, isNew: boolean): string[] {
  const { organization, person } = senderOf(names, message)
  const { index, form, precedence, handling, subject, refersTo, addressees, replyBy } = message
  const words = [form, ...(precedence === 'routine' ? [] : [precedence]), `TLP:${handling.tlp}`, ...markWords(message)]
  const lines = [
    `${String(index)}${isNew ? ' (new)' : ''}  ${isolated(organization)}, ${isolated(person)}, ${time(message.at)}`,
    `  ${words.join(', ')}${refersTo === undefined ? '' : `, ${refersTo.as}`}`,
    ...(subject === undefined ? [] : [`  Subject: ${isolated(subject)}`]),
    ...(addressees === undefined
      ? []
      : [`  To: ${addressees.map((id) => isolated(names.organizations[id] ?? id)).join(', ')}`]),
    ...(replyBy === undefined ? [] : [`  Reply by: ${time(replyBy)}`]),
  ]
  return lines.map(harmlessLine)
}

async function markAll(device: CommandDevice, followed: FollowedOperation): Promise<void> {
  const { session } = followed
  const read = await readMarks(device.store, session.operation)
  const unread = session.messages.filter((message) => isUnread(message, read))
  await mark(device, followed, unread)
  device.terminal.result({ marked: unread.length }, () => [`Marked read: ${counted(unread.length, 'message')}.`])
}

/**
 * Marks messages read: first in the store, then at the service. A mark that the service did not get
 * only means that the sender does not learn of it.
 */
async function mark(
  { store }: CommandDevice,
  { session }: FollowedOperation,
  messages: readonly Message[],
): Promise<void> {
  if (messages.length === 0) return
  const ids = messages.map(({ id }) => id)
  await keepReadMarks(store, session.operation, ids)
  await session.markRead(ids)
}
