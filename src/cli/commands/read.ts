import { Option, type Command } from 'commander'
import { forms } from '../../forms/index.ts'
import type { Message } from '../../client/index.ts'
import { asMember, type CommandDevice } from '../device.ts'
import {
  inOperation,
  leaveReading,
  openOperation,
  organizationIn,
  senderOf,
  type Names,
  type FollowedOperation,
  type OperationOptions,
} from '../followed-operation.ts'
import { lookOfTlp, painted, type Look } from '../looks.ts'
import { countOf } from '../numbers.ts'
import { readershipLine, readershipsOf, type Readership } from '../readers.ts'
import { table } from '../table.ts'
import { harmless, harmlessLine, isolated } from '../terminal.ts'
import {
  changesTo,
  findMessage,
  isUnread,
  keepReadMarks,
  messageReference,
  readMarks,
  subjectOf,
  threadReference,
} from '../threads.ts'
import { listByNeed, type ListedThread, type ThreadFilters, type ThreadList } from '../thread-list.ts'
import { counted, fieldLines, markWords, timesIn } from '../words.ts'
import { instantIn } from '../zones.ts'

interface Options extends OperationOptions {
  readonly limit: string
  readonly from?: string
  readonly form?: string
  readonly since?: string
  readonly urgent?: true
  readonly unread?: true
  readonly imported?: true
  readonly markAll?: true
}

export function addRead(command: Command): void {
  inOperation(
    command
      .argument('[thread]', 'a thread, such as @41, or a message in it, such as 49')
      .option('--limit <n>', 'list at most so many threads', '40')
      .option('--from <organization>', 'list only threads in which this organization wrote')
      .addOption(
        new Option('--form <form>', 'list only threads with a message of this form').choices([
          ...new Set(forms.map(({ id }) => id)),
        ]),
      )
      .option(
        '--since <time>',
        'list only threads with a message from this day or time on, on the clocks of the operation',
      )
      .option('--urgent', 'list only threads with an urgent message')
      .option('--unread', 'list only what is unread')
      .option('--imported', 'list the rows of imports, which are one line otherwise')
      .option('--mark-all', 'mark everything read'),
  )
    .addHelpText(
      'after',
      `
The list begins with what is urgent and unread, then come the answers that your organization owes, then what else is unread.
A thread has the number of its first message, and @ before it; a message has the number of its entry in the log, and # before it. All members see
the same numbers. In most shells # begins a comment: type 49, or '#49'.

Examples:
  $ cordon read
  $ cordon read @41
  $ cordon read --from 'Hong Kong Customs' --form warning --since 2026-11-01
  $ cordon read --json --limit 1000`,
    )
    .action((word: string | undefined, options: Options) =>
      asMember(options, async (device) => {
        const limit = countOf('--limit', options.limit)
        const followed = await openOperation(device, options.operation)
        if (options.markAll === true) await markAll(device, followed)
        else if (word === undefined) await list(device, followed, limit, options)
        else await showThread(device, followed, word)
        await leaveReading(followed, device)
      }),
    )
}

async function list(
  { client, store, terminal }: CommandDevice,
  followed: FollowedOperation,
  limit: number,
  options: Options,
): Promise<void> {
  const { session, facts, names } = followed
  const read = await readMarks(store, session.operation)
  const filters = filtersOf(followed, options)
  const listed = listByNeed(session.messages, read, client.organization, filters)
  // A program gets each thread, and folds nothing.
  const { threads: fitting, folded } = terminal.json ? unfolded(listed) : listed
  const threads = fitting.slice(0, limit)
  const time = timesIn(facts.timeZone)
  const unread = session.messages.filter((message) => isUnread(message, read)).length
  const of = fitting.length + folded.length
  const value = threads.map((thread) => summary(thread, names))
  const { operation, alarms, aside } = session
  terminal.result({ operation, unread, threads: value, of, alarms, aside }, () => {
    const head = `${isolated(facts.name)} (${isolated(facts.reference)}), ${facts.state}. ${counted(of, 'thread')}, ${counted(unread, 'unread message')}. Times in ${facts.timeZone}.`
    const rows = threads.map((thread, n) => {
      const { subject, form, precedence, tlp, from, at, exercise, owedBy } = value[n] as ReturnType<typeof summary>
      const news = thread.unread === 0 ? '' : thread.unread === 1 ? 'new' : `${String(thread.unread)} new`
      return [
        threadReference(thread.number),
        news,
        (exercise ? 'EXERCISE ' : '') + subject,
        form,
        precedence === 'routine' ? '' : precedence,
        tlp,
        from,
        time(at),
        owedBy === null ? '' : `by ${time(owedBy)}`,
      ]
    })
    const more = fitting.length - threads.length
    return [
      harmless(head),
      ...(rows.length === 0
        ? []
        : ['', ...table(listHead, rows, (row, column) => lookOf(column, rows[row]?.[column]))]),
      ...(folded.length > 0 ? ['', foldedLine(folded)] : []),
      ...(more > 0 ? ['', `${counted(more, 'thread')} more: --limit shows them.`] : []),
    ]
  })
}

// Short heads, so that the list is a table at 80 columns too.
const listHead = ['thread', '', 'subject', 'form', '', 'TLP', 'from', 'newest', 'due']

/** What stands out in the list. */
function lookOf(column: number, cell = ''): Look | undefined {
  if (column === 1) return 'new'
  if (column === 4) return cell === 'urgent' ? 'urgent' : undefined
  if (column === listHead.indexOf('TLP')) return lookOfTlp(cell)
  return column === listHead.indexOf('due') ? 'due' : undefined
}

const unfolded = ({ threads, folded }: ThreadList): ThreadList => ({ threads: [...threads, ...folded], folded: [] })

function filtersOf(followed: FollowedOperation, options: Options): ThreadFilters {
  const { from, form, since, urgent, unread, imported } = options
  return {
    ...(from === undefined ? {} : { organization: organizationIn(followed, from).id }),
    ...(form === undefined ? {} : { form }),
    ...(since === undefined ? {} : { since: instantIn(followed.facts.timeZone, since, '--since') }),
    urgent: urgent === true,
    unread: unread === true,
    imported: imported === true,
  }
}

function foldedLine(folded: readonly ListedThread[]): string {
  const unread = folded.filter((thread) => thread.unread > 0).length
  return `${counted(folded.length, 'imported row')}${unread === 0 ? '' : `, ${counted(unread, 'of them unread', 'of them unread')}`}: cordon read --imported lists them.`
}

function summary({ number, thread, messages, unread, urgent, owedBy }: ListedThread, names: Names) {
  const [first] = messages
  const last = messages.at(-1)
  if (!first || !last) throw new RangeError('a thread has a message')
  const { compartment, form, precedence, exercise, handling } = first
  return {
    number,
    thread,
    unread,
    subject: subjectOf(first),
    form,
    precedence: urgent ? 'urgent' : precedence,
    tlp: handling.tlp,
    from: senderOf(names, first).organization,
    at: last.at,
    owedBy: owedBy ?? null,
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
  const readerships = await readershipsOf(followed, messages, device.client.organization)
  const time = timesIn(facts.timeZone)
  const [first] = messages
  const named = messages.map((message) => ({
    ...message,
    from: senderOf(names, message),
    changed: changes.get(message.id) ?? [],
    ...(readerships.has(message.id) ? { readership: readerships.get(message.id) } : {}),
  }))
  const { operation, alarms, aside } = session
  device.terminal.result({ operation, thread, messages: named, alarms, aside }, () => [
    ...(first ? [harmlessLine(subjectOf(first)), `Times in ${facts.timeZone}.`] : []),
    ...messages.flatMap((message) => [
      '',
      ...headOf(message, names, time, unread.includes(message)),
      ...(changes.get(message.id) ?? []).map(
        ({ as, index }) =>
          `  ${painted('urgent', as === 'withdrawal' ? 'WITHDRAWN' : 'CORRECTED')} by ${messageReference(index)}`,
      ),
      ...fieldLines(message.form, message.version, message.fields).map((line) => `  ${line}`),
      ...readershipLines(readerships.get(message.id), names),
    ]),
  ])
  await mark(device, followed, unread)
}

const readershipLines = (readership: Readership | undefined, { organizations }: Names) =>
  readership === undefined ? [] : [`  (${readershipLine(readership, organizations)})`]

function headOf(message: Message, names: Names, time: (at: string) => string, isNew: boolean): string[] {
  const { organization, person } = senderOf(names, message)
  const { index, form, precedence, handling, subject, refersTo, addressees, replyBy } = message
  const words = [
    harmlessLine(form),
    ...(precedence === 'routine' ? [] : [painted(precedence === 'urgent' ? 'urgent' : undefined, precedence)]),
    painted(lookOfTlp(handling.tlp), `TLP:${handling.tlp}`),
    ...markWords(message).map((mark) => harmlessLine(mark)),
  ]
  return [
    `${messageReference(index)}${isNew ? ' (new)' : ''}  ${isolated(organization)}, ${isolated(person)}, ${time(message.at)}`,
    `  ${words.join(', ')}${refersTo === undefined ? '' : `, ${refersTo.as}`}`,
    ...(subject === undefined ? [] : [`  Subject: ${isolated(subject)}`]),
    ...(addressees === undefined
      ? []
      : [`  To: ${addressees.map((id) => isolated(names.organizations[id] ?? id)).join(', ')}`]),
    ...(replyBy === undefined ? [] : [`  Reply by: ${time(replyBy)}`]),
  ]
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
