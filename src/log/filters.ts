import { Type, type Static } from 'typebox'
import { Problem } from '../errors.ts'
import { isTimeFault, readTime } from '../forms/index.ts'
import { isRefusal, kinds, kindsOf, type Kind } from '../protocol/index.ts'
import { wordsOf } from './words.ts'

const exactly = { additionalProperties: false }
// Lower case alone: an id has one form in the database too.
export const lowerCaseUuid = '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
const Uuid = Type.String({ pattern: lowerCaseUuid })
/** The schema of a time in a query. */
export const instantSchema = (description: string) =>
  Type.String({
    maxLength: 64,
    pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$',
    description: `${description} RFC 3339, of the years 1900 to 2199; digits below a millisecond are dropped.`,
  })
const oneLine = '^[^\\u0000-\\u001f\\u007f-\\u009f]+$'
const mostWords = 10

export const EntriesQuery = Type.Object(
  {
    kind: Type.Optional(
      Type.String({
        maxLength: 1_000,
        pattern: '^[a-z]+\\.([a-z-]+|\\*)(,[a-z]+\\.([a-z-]+|\\*)){0,19}$',
        description: 'Kinds, separated by commas; `member.*` is every kind that begins so.',
      }),
    ),
    person: Type.Optional(
      Type.String({ pattern: lowerCaseUuid, description: 'Who caused the entry, or whose reading it holds.' }),
    ),
    organization: Type.Optional(
      Type.String({
        pattern: lowerCaseUuid,
        description: 'Whose people caused the entry, or whose readings it holds.',
      }),
    ),
    device: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' })),
    compartment: Type.Optional(Uuid),
    message: Type.Optional(
      Type.String({
        pattern: lowerCaseUuid,
        description: 'The message that the entry is about: posting it, fetching it, or reading it.',
      }),
    ),
    subject: Type.Optional(
      Type.String({
        maxLength: 512,
        pattern: oneLine,
        format: 'not-blank',
        description: 'The id or code of the thing that the entry is about. An id may be that of a person or a device.',
      }),
    ),
    from: Type.Optional(instantSchema('The first moment.')),
    to: Type.Optional(instantSchema('The first moment that is too late.')),
    outcome: Type.Optional(Type.Union([Type.Literal('done'), Type.Literal('refused')])),
    text: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 200,
        pattern: oneLine,
        description: 'Whole words, all of which the details must hold; case and accents do not matter.',
      }),
    ),
    justification: Type.Optional(
      Type.String({
        minLength: 3,
        maxLength: 500,
        pattern: oneLine,
        format: 'not-blank',
        description: 'Needed to look at one other person, device or thing with an id, and into the details of others.',
      }),
    ),
    after: Type.Optional(
      Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: '`next` of the page before.' }),
    ),
    limit: Type.Integer({ minimum: 1, maximum: 500, default: 100 }),
  },
  exactly,
)

export const EntriesPage = Type.Object({
  entries: Type.Array(
    Type.Object({
      leaf: Type.String({ maxLength: 65_535, description: 'As it is hashed.' }),
      details: Type.Optional(Type.String({ description: 'JSON, as `private` of the leaf commits to it.' })),
      salt: Type.Optional(Type.String({ maxLength: 43, description: 'base64url' })),
    }),
    { description: 'Newest first.' },
  ),
  next: Type.Union([Type.Integer(), Type.Null()], {
    description: '`after` of the next page, which may exist even where this one is empty; null at the end.',
  }),
  range: Type.Object(
    { first: Type.Integer(), past: Type.Integer() },
    { description: 'The indexes among which entries are looked for.' },
  ),
})

export type EntriesPage = Static<typeof EntriesPage>

const Name = Type.String({ maxLength: 200 })

/** The names of people and organizations among the ids that a page shows. */
const PageNames = Type.Object(
  {
    people: Type.Array(Type.Object({ person: Uuid, name: Name, organization: Uuid })),
    organizations: Type.Array(Type.Object({ organization: Uuid, name: Name })),
  },
  { description: 'Of the ids that the page shows, as far as the caller may see them; also of those who have left.' },
)

export type PageNames = Static<typeof PageNames>

export const NamedEntriesPage = Type.Object({ ...EntriesPage.properties, names: PageNames })

/** What a caller asks a log for. */
export interface LogQuery {
  /** The kinds of entries; undefined for every kind. */
  readonly kinds: readonly Kind[] | undefined
  readonly person?: string
  readonly organization?: string
  readonly device?: string
  readonly compartment?: string
  readonly subject?: string
  /** Whether the subject was asked for as a message. */
  readonly message?: boolean
  readonly from?: string
  readonly to?: string
  readonly words: readonly string[]
  readonly justification?: string
  /** Only entries below this index. */
  readonly after?: number
  readonly limit: number
  /** The query as the caller sent it, for the entry that records it. */
  readonly asked: Readonly<Record<string, string | number>>
}

/**
 * Reads the query of a request. VALIDATION where its parts contradict each other, QUERY_TOO_WIDE
 * where words have no bound.
 */
export function readQuery(query: Static<typeof EntriesQuery>): LogQuery {
  const { kind, outcome, text, message, limit, justification, from: begin, to: end, ...rest } = query
  const { subject } = rest
  const [from, to] = [instantOf('from', begin), instantOf('to', end)]
  if (from !== undefined && to !== undefined && to <= from) throw queryFault('to', 'is not after from')
  if (message !== undefined && subject !== undefined && message !== subject)
    throw queryFault('subject', 'is another one than message')
  const words = text === undefined ? [] : [...new Set(wordsOf(text))]
  if (text !== undefined && (words.length === 0 || words.length > mostWords))
    throw queryFault('text', `holds 1 to ${mostWords} words of letters and digits`)
  if (words.length > 0 && from === undefined && rest.person === undefined) throw new Problem('QUERY_TOO_WIDE')
  const { after: _, justification: __, ...asked } = query
  return {
    ...rest,
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(message === undefined ? {} : { subject: message, message: true }),
    ...(justification === undefined ? {} : { justification }),
    kinds: kindsAmong(kind, outcome, message),
    words,
    limit,
    asked,
  }
}

/** A time of a query as the protocol writes times. */
const instantOf = (name: string, at: string | undefined): string | undefined =>
  at === undefined ? undefined : readInstant(name, at).toISOString()

/** The time that a part of a query names; VALIDATION where the calendar has none such. */
export function readInstant(name: string, at: string): Date {
  const time = readTime(at, 'UTC')
  if (isTimeFault(time)) throw queryFault(name, `is no time that can be used. ${time.advice}`)
  return time.first
}

/** The kinds that are about a message: their subject, or one of the readings that they hold. */
const aboutMessage = /^message\.|^(body\.fetched|messages\.read)$/

function kindsAmong(
  kind: string | undefined,
  outcome: 'done' | 'refused' | undefined,
  message: string | undefined,
): readonly Kind[] | undefined {
  if (kind === undefined && outcome === undefined && message === undefined) return undefined
  const named = kind?.split(',').flatMap((word) => {
    const meant = kindsOf(word)
    if (meant.length === 0) throw queryFault('kind', `names ${word}, which does not exist`)
    return meant
  })
  return kinds.filter(
    (one) =>
      (named === undefined || named.includes(one)) &&
      (outcome === undefined || isRefusal(one) === (outcome === 'refused')) &&
      // With this condition the id of a person, given as that of a message, finds nothing.
      (message === undefined || aboutMessage.test(one)),
  )
}

/** The refusal of one part of a query. */
export function queryFault(name: string, reason: string): Problem {
  return new Problem('VALIDATION', { faults: [{ in: 'querystring', pointer: `/${name}`, reason }] })
}
