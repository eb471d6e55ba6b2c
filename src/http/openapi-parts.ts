import type { ProblemCode } from '../errors.ts'
import { problems } from '../problem-catalogue.ts'

type Json = Readonly<Record<string, unknown>>

/**
 * The groups of operations, each with the beginning of the addresses that belong to it; the first
 * group that fits counts.
 */
const groups: readonly (readonly [name: string, description: string, pattern: RegExp])[] = [
  ['health', 'Whether the service answers and can serve, and which version it is.', /^\/(livez|readyz|version)$/],
  ['set-up', 'What the service is, and how it begins.', /^\/v1\/(server|setup)$/],
  [
    'sessions',
    'Signing in, tokens, the caller’s own sessions.',
    /^\/v1\/(sessions|service-sessions|tokens|live-tickets|me)/,
  ],
  ['factors', 'The factors by which people prove who they are.', /^\/v1\/(factors|step-ups|passkeys)/],
  ['notices', 'Where people are told that something waits.', /^\/v1\/notices/],
  [
    'devices',
    'Invitations, enrolment, certificates and their ends.',
    /^\/v1\/(devices|invitations|enrolments|certificates|revocations|renewals|recoveries)/,
  ],
  ['directory', 'Organizations, people, duty and service accounts.', /^\/v1\/(organizations|people|service-accounts)/],
  [
    'members',
    'Who is in an operation and in its compartments.',
    /^\/v1\/operations\/:operation\/(members|organizations|candidates|compartments|rules)/,
  ],
  [
    'keys',
    'Epochs and the grants by which devices get their keys.',
    /^\/v1\/operations\/:operation\/(epochs|grants|grant-requests|disputes)/,
  ],
  [
    'messages',
    'Messages, their threads and receipts, and imports.',
    /^\/v1\/operations\/:operation\/(messages|threads|imports|import-key)/,
  ],
  ['reports', 'Figures of an operation.', /^\/v1\/operations\/:operation\/figures$/],
  ['operations', 'Operations and their states.', /^\/v1\/operations/],
  ['log', 'Checkpoints, proofs, tiles and entries of a log.', /^\/v1\/logs\//],
]

export const tags: readonly Json[] = groups.map(([name, description]) => ({ name, description }))

/**
 * Answers the group of the operations at an address; no group where none fits, which a test finds.
 */
export function tagsOf(url: string): string[] {
  return groups
    .filter(([, , pattern]) => pattern.test(url))
    .slice(0, 1)
    .map(([name]) => name)
}

const text = (maxLength: number, more: Json = {}) => ({ type: 'string', maxLength, ...more })

/**
 * RFC 9457, with `code` and `advice` of this service; further members say more about one refusal.
 */
export const problemSchema: Json = {
  type: 'object',
  description: 'A refusal (RFC 9457, application/problem+json). Decide by `code`, which keeps its meaning for ever.',
  required: ['type', 'title', 'status', 'code', 'advice'],
  properties: {
    type: text(100, { format: 'uri', description: 'The code as a URN.' }),
    title: text(200, { description: 'What happened.' }),
    status: { type: 'integer', minimum: 400, maximum: 599, description: 'The status of the answer.' },
    code: { type: 'string', enum: Object.keys(problems), description: 'Stable; decide by it.' },
    detail: text(1_000, { description: 'What happened here.' }),
    advice: text(300, { description: 'What to do.' }),
  },
  additionalProperties: true,
}

export const securitySchemes: Json = {
  dpop: {
    type: 'http',
    scheme: 'DPoP',
    description: '`Authorization: DPoP <access token>` with a fresh proof in the header `DPoP` (RFC 9449).',
  },
}

export const parameters: Json = {
  DPoP: {
    name: 'DPoP',
    in: 'header',
    required: true,
    description:
      'A proof by the key of the session (RFC 9449): a JWT of type `dpop+jwt`, signed with Ed25519, fresh for each request.',
    schema: { type: 'string', maxLength: 4_096 },
  },
}

const header = (description: string, schema: Json) => ({ description, schema })

export const headers: Json = {
  'Request-Id': header('The id of this request, for the operator of the service.', text(36)),
  RateLimit: header('What is left of each quota (draft-ietf-httpapi-ratelimit-headers).', text(500)),
  'RateLimit-Policy': header('The quotas that the request counted against.', text(500)),
  'Retry-After': header('Seconds after which the request may be sent again.', { type: 'integer', minimum: 0 }),
  'WWW-Authenticate': header('How a client signs in: `DPoP algs="Ed25519"` (RFC 9449, section 7.1).', text(200)),
  'Accept-Encoding': header('`identity` where a content encoding was refused (RFC 9110, section 12.5.3).', text(50)),
}

/** Answers the header fields of an answer; `counted`: whether the request counts against quotas. */
export function headersOf(status: number, { counted }: { counted: boolean }): Json {
  const names = ['Request-Id']
  if (counted) names.push('RateLimit', 'RateLimit-Policy')
  if (status === 429 || status === 503) names.push('Retry-After')
  if (status === 401) names.push('WWW-Authenticate')
  if (status === 415) names.push('Accept-Encoding')
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]))
}

/** Makes the answer for all refusals of one status. */
export function refusalResponse(
  status: number,
  codes: readonly ProblemCode[],
  { counted, examples }: { counted: boolean; examples: ReadonlySet<string> },
): Json {
  const shown = codes.filter((code) => examples.has(code))
  return {
    description: codes.map((code) => `\`${code}\`: ${problems[code].title}.`).join('\n\n'),
    headers: headersOf(status, { counted }),
    content: {
      'application/problem+json': {
        schema: {
          allOf: [
            { $ref: '#/components/schemas/Problem' },
            { type: 'object', properties: { status: { const: status }, code: { enum: codes } } },
          ],
        },
        ...(shown.length === 0
          ? {}
          : {
              examples: Object.fromEntries(shown.map((code) => [code, { $ref: `#/components/examples/${code}` }])),
            }),
      },
    },
  }
}
