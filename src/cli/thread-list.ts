import { isImportId } from '../protocol/index.ts'
import type { Message } from '../client/index.ts'
import { isUnread, newestOf, threadsOf, type Thread } from './threads.ts'

/** A thread in the list, with what it asks of the organization of this device. */
export interface ListedThread extends Thread {
  /** Whether a message of it is urgent and unread. */
  readonly urgent: boolean
  /** When the first answer is due that this organization still owes, RFC 3339; undefined: none. */
  readonly owedBy: string | undefined
}

export interface ThreadFilters {
  /** Id of an organization that wrote in the thread. */
  readonly organization?: string
  readonly form?: string
  /** The newest message came then or later, RFC 3339. */
  readonly since?: string
  readonly urgent?: boolean
  readonly unread?: boolean
  /** Rows of imports, which are folded into one line otherwise. */
  readonly imported?: boolean
}

export interface ThreadList {
  readonly threads: readonly ListedThread[]
  /** The threads of imported rows that were left out of `threads`, and nothing else was said in. */
  readonly folded: readonly ListedThread[]
}

/**
 * The threads that fit, in the order in which an officer needs them: urgent ones that are unread,
 * answers that the organization owes (the earliest first), what else is unread, and the others; the
 * newest first in each part.
 */
export function listByNeed(
  messages: readonly Message[],
  read: ReadonlySet<string>,
  organization: string,
  filters: ThreadFilters,
): ThreadList {
  const fitting = threadsOf(messages, read)
    .map((thread) => ({ ...thread, urgent: isUrgent(thread, read), owedBy: owedBy(thread, organization) }))
    .filter((thread) => fits(thread, filters))
    .sort(byNeed)
  if (filters.imported === true) return { threads: fitting.filter(isImport), folded: [] }
  return { threads: fitting.filter((thread) => !isImport(thread)), folded: fitting.filter(isImport) }
}

const isUrgent = ({ messages }: Thread, read: ReadonlySet<string>) =>
  messages.some((message) => message.precedence === 'urgent' && isUnread(message, read))

/** A thread in which nothing was said but rows of an import, and corrections of them. */
const isImport = ({ messages }: Thread) => messages.every(({ id }) => isImportId(id))

function owedBy({ messages }: Thread, organization: string): string | undefined {
  const answered = new Set(
    messages.filter((one) => one.organization === organization).map(({ refersTo }) => refersTo?.message),
  )
  const due = messages.flatMap(({ id, replyBy, addressees, organization: sender }) => {
    const meant = sender !== organization && (addressees === undefined || addressees.includes(organization))
    return replyBy !== undefined && meant && !answered.has(id) ? [replyBy] : []
  })
  return due.sort()[0]
}

function fits(thread: ListedThread, { organization, form, since, urgent, unread }: ThreadFilters): boolean {
  const { messages } = thread
  return (
    (organization === undefined || messages.some((message) => message.organization === organization)) &&
    (form === undefined || messages.some((message) => message.form === form)) &&
    (since === undefined || messages.some(({ at }) => at >= since)) &&
    (urgent !== true || messages.some(({ precedence }) => precedence === 'urgent')) &&
    (unread !== true || thread.unread > 0)
  )
}

const dueAt = ({ owedBy }: ListedThread) => (owedBy === undefined ? Number.MAX_SAFE_INTEGER : Date.parse(owedBy))

function byNeed(a: ListedThread, b: ListedThread): number {
  return (
    Number(b.urgent) - Number(a.urgent) ||
    dueAt(a) - dueAt(b) ||
    Number(b.unread > 0) - Number(a.unread > 0) ||
    newestOf(b) - newestOf(a)
  )
}
