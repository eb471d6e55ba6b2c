// What this holds: the list of threads begins with what an officer must see first, and rows of an
// import do not push anything out of it.
import t from 'tap'
import type { Message } from '../src/client/index.ts'
import { listByNeed, type ThreadFilters } from '../src/cli/thread-list.ts'

const own = 'organization-own'
const other = 'organization-other'

type Said = Partial<Message> & { readonly index: number }

/** A message with what the list looks at. Its thread is that of the message of this index. */
function said({ index, ...rest }: Said, thread = index): Message {
  const message = {
    id: `message-${String(index)}`,
    index,
    thread: `thread-${String(thread)}`,
    organization: other,
    own: false,
    form: 'text',
    precedence: 'routine',
    at: `2026-11-${String(10 + index)}T12:00:00.000Z`,
    ...rest,
  }
  return message as Message
}

function numbers(messages: readonly Message[], filters: ThreadFilters = {}, read: readonly string[] = []) {
  const { threads, folded } = listByNeed(messages, new Set(read), own, filters)
  return { threads: threads.map(({ number }) => number), folded: folded.map(({ number }) => number) }
}

const due = (day: number) => ({ replyBy: `2026-12-${String(10 + day)}T12:00:00.000Z` })

// Bites: byNeed, owedBy
t.test('urgent and unread first, then answers that are owed, then what is unread', async (t) => {
  const messages = [
    said({ index: 1, precedence: 'urgent' }),
    said({ index: 2, ...due(5) }),
    said({ index: 3, ...due(3), addressees: [other, own] }),
    said({ index: 4, ...due(1), addressees: [other] }),
    said({ index: 5 }),
    said({ index: 6 }),
    said({ index: 7, ...due(1), organization: own, own: true }),
    said({ index: 8, ...due(1) }),
    said({ index: 9, organization: own, own: true, refersTo: { message: 'message-8', as: 'feedback' } }, 8),
  ]
  const read = ['message-5', 'message-8']
  t.same(numbers(messages, {}, read).threads, [1, 3, 2, 6, 4, 8, 7, 5])
  t.same(numbers(messages, {}, [...read, 'message-1']).threads, [3, 2, 6, 4, 8, 7, 5, 1], 'urgent, and read')
  const [first] = listByNeed(messages, new Set(['message-1']), own, {}).threads
  t.equal(first?.owedBy, due(3).replyBy)
})

t.test('an answer by another organization, or to another message, pays no debt', async (t) => {
  const warned = said({ index: 1, ...due(1) })
  const reply = (rest: Partial<Message>) => said({ index: 2, ...rest }, 1)
  const owed = (...messages: Message[]) => listByNeed(messages, new Set(), own, {}).threads[0]?.owedBy
  t.equal(owed(warned), warned.replyBy)
  t.equal(owed(warned, reply({ refersTo: { message: warned.id, as: 'reply' } })), warned.replyBy)
  t.equal(owed(warned, reply({ organization: own })), warned.replyBy)
  t.equal(owed(warned, reply({ organization: own, refersTo: { message: warned.id, as: 'reply' } })), undefined)
})

// Bites: isImport, fits
t.test('rows of an import are folded; filters take what fits', async (t) => {
  const row = (index: number) =>
    said({ index, id: `0198c9a2-0000-8000-8000-00000000000${String(index)}`, form: 'seizure' })
  const messages = [said({ index: 1 }), row(2), row(3), said({ index: 4, organization: own, own: true }, 3), row(5)]
  t.same(numbers(messages), { threads: [3, 1], folded: [5, 2] }, 'a row that somebody answered stands in the list')
  t.same(numbers(messages, { imported: true }), { threads: [5, 2], folded: [] })
  t.same(numbers(messages, { organization: own }).threads, [3])
  t.same(numbers(messages, { form: 'seizure' }), { threads: [3], folded: [5, 2] })
  t.same(numbers(messages, { since: '2026-11-14T12:00:00.000Z' }), { threads: [3], folded: [5] })
  t.same(numbers(messages, { urgent: true }), { threads: [], folded: [] })
  t.same(numbers(messages, { unread: true }, ['message-1']), { threads: [3], folded: [5, 2] })
})
