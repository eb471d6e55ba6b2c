import { Type } from 'typebox'
import { permissions } from '../access.ts'
import { placeRule } from '../forms/index.ts'
import { SignJwk, Tier, limits } from '../protocol/index.ts'
import { evidence, knowledge } from './factors/schemas.ts'

const exactly = { additionalProperties: false }

export const UuidSchema = Type.String({
  pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$',
})
export const DigestSchema = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$', description: '32 bytes in base64url' })
export const TimeSchema = Type.String({
  format: 'date-time',
  pattern: '^(19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\\.[0-9]{1,3})?Z$',
  maxLength: 24,
  description: 'RFC 3339 in UTC, of the years 1900 to 2199.',
})
export const ReasonSchema = Type.String({
  minLength: 1,
  maxLength: 500,
  pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$',
  format: 'not-blank',
  description: 'The log records it.',
})
export const NameSchema = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$',
  format: 'not-blank',
})
export const PlaceSchema = Type.String({ pattern: '^[A-Z]{2}$', format: 'place', description: placeRule })
/** Why the caller looks, where the purpose of the operation or directory does not say it. */
export const JustifiedSchema = Type.Object(
  {
    justification: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 500,
        pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$',
        format: 'not-blank',
      }),
    ),
  },
  exactly,
)
const JwsSchema = Type.String({ minLength: 1, maxLength: limits.statement })
const JweSchema = Type.String({ minLength: 1, maxLength: 4096 })
const PassphraseSchema = Type.String({ minLength: 1, maxLength: 512 })
const NullableStringSchema = Type.Union([Type.String({ maxLength: limits.statement }), Type.Null()])

export const SetUpSchema = Type.Object(
  {
    secret: DigestSchema,
    organization: Type.Object({ id: UuidSchema, name: NameSchema, country: Type.Optional(PlaceSchema) }, exactly),
    rootCertificate: JwsSchema,
    rootStatement: JwsSchema,
    person: Type.Object({ id: UuidSchema, name: NameSchema }, exactly),
    enrolment: JwsSchema,
    certificate: JwsSchema,
    passphrase: PassphraseSchema,
  },
  exactly,
)

export const EnrolSchema = Type.Object(
  {
    invitation: UuidSchema,
    authenticate: DigestSchema,
    statement: JwsSchema,
    mac: DigestSchema,
    ...knowledge,
    signInKey: Type.Optional(SignJwk),
  },
  exactly,
)
export const EnrolledSchema = Type.Object({
  person: UuidSchema,
  organization: UuidSchema,
  name: Type.String({ maxLength: 200 }),
  inviter: Type.Object(
    { name: Type.String({ maxLength: 200 }), organization: Type.String({ maxLength: 200 }) },
    { description: 'The person for whom the newcomer waits.' },
  ),
})

export const SignInSchema = Type.Object({ proof: JwsSchema, ...evidence }, exactly)
const tokens = {
  accessToken: Type.String({ maxLength: 4096 }),
  refreshToken: Type.String({ maxLength: 4096 }),
  expiresIn: Type.Integer(),
}
export const SignedInSchema = Type.Object({
  session: UuidSchema,
  person: UuidSchema,
  organization: UuidSchema,
  ...tokens,
})
export const RefreshSchema = Type.Object(
  {
    refreshToken: DigestSchema,
    attempt: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9_-]{22}$',
        description:
          '128 random bits in base64url, the same for each repetition of one exchange: then it gets the same answer, however late, until the next token is exchanged.',
      }),
    ),
  },
  exactly,
)
export const TokensSchema = Type.Object(tokens)

/** The terms of a service account in an invitation. */
export const ServiceTermsSchema = Type.Object(
  {
    permissions: Type.Array(Type.Enum([...permissions]), { minItems: 1, maxItems: 50, uniqueItems: true }),
    addresses: Type.Array(Type.String({ minLength: 3, maxLength: 50 }), {
      minItems: 1,
      maxItems: 50,
      uniqueItems: true,
      description: 'Ranges in CIDR notation; 0.0.0.0/0 and ::/0 mean anywhere.',
    }),
    expiresAt: TimeSchema,
  },
  exactly,
)
export const InviteSchema = Type.Object(
  {
    id: UuidSchema,
    person: Type.Object({ id: UuidSchema, name: NameSchema }, exactly),
    organization: UuidSchema,
    tier: Tier,
    recognition: DigestSchema,
    sealed: Type.Array(Type.Object({ device: DigestSchema, jwe: JweSchema }, exactly), { minItems: 1, maxItems: 50 }),
    expiresAt: TimeSchema,
    service: Type.Optional(ServiceTermsSchema),
  },
  exactly,
)
export const InvitationsSchema = Type.Object({
  invitations: Type.Array(
    Type.Object({
      invitation: UuidSchema,
      person: UuidSchema,
      name: Type.String({ maxLength: 200 }),
      tier: Type.String({ maxLength: 40 }),
      expiresAt: Type.String({ maxLength: 30 }),
      approval: Type.Union([Type.String({ maxLength: 40 }), Type.Null()], {
        description:
          'The approval of a second person where a person lost every device: missing, given; null where none is needed.',
      }),
      state: Type.String({ maxLength: 40 }),
    }),
  ),
})
export const WaitingEnrolmentsSchema = Type.Object({
  enrolments: Type.Array(
    Type.Object({
      invitation: UuidSchema,
      person: Type.Object({ id: UuidSchema, name: Type.String({ maxLength: 200 }) }),
      organization: Type.Object({ id: UuidSchema, name: Type.String({ maxLength: 200 }) }),
      tier: Type.String({ maxLength: 40 }),
      device: DigestSchema,
      statement: Type.String({ maxLength: 163_840 }),
      mac: Type.String({ maxLength: 43 }),
      sealed: Type.String({ maxLength: 4096 }),
    }),
  ),
})
export const CertifySchema = Type.Object({ certificate: JwsSchema }, exactly)
export const CertifiedSchema = Type.Object({ device: DigestSchema })
export const RevokeSchema = Type.Object({ revocation: JwsSchema }, exactly)

export const RegisterOrganizationSchema = Type.Object(
  {
    id: UuidSchema,
    kind: Type.Union([
      Type.Literal('secretariat'),
      Type.Literal('administration'),
      Type.Literal('rilo'),
      Type.Literal('partner'),
      Type.Literal('right-holder'),
    ]),
    name: NameSchema,
    country: Type.Optional(PlaceSchema),
    region: Type.Optional(NameSchema),
  },
  exactly,
)
export const OrganizationsSchema = Type.Object({
  organizations: Type.Array(
    Type.Object({
      organization: UuidSchema,
      kind: Type.String({ maxLength: 40 }),
      name: Type.String({ maxLength: 200 }),
      country: NullableStringSchema,
      region: NullableStringSchema,
      ended: Type.Boolean({ description: 'Whether it has left.' }),
    }),
  ),
})
export const PeopleSchema = Type.Object({
  people: Type.Array(
    Type.Object({
      person: UuidSchema,
      name: Type.String({ maxLength: 200 }),
      certified: Type.Boolean(),
      asleep: Type.Boolean(),
      service: Type.Boolean(),
      sleepsAt: NullableStringSchema,
      needed: Type.Boolean(),
    }),
  ),
})
export const MeSchema = Type.Object({
  person: UuidSchema,
  name: Type.String({ maxLength: 200 }),
  organization: UuidSchema,
  organizationName: Type.String({ maxLength: 200 }),
  organizationKind: Type.String({ maxLength: 40 }),
  device: DigestSchema,
  tier: NullableStringSchema,
  certificate: NullableStringSchema,
  chain: Type.Array(Type.String({ maxLength: 16_384 }), { maxItems: 17 }),
  administrator: Type.Boolean(),
  renewalsDue: Type.Integer({ description: 'How many certificates this NCP or administrator is asked to renew.' }),
  listed: Type.Union([Type.Array(Type.String({ maxLength: 50 }), { maxItems: 50 }), Type.Null()], {
    description: 'What a service account may use below its role; null for a person.',
  }),
})
export const DevicesSchema = Type.Object({
  devices: Type.Array(
    Type.Object({
      device: DigestSchema,
      state: Type.String({ maxLength: 40 }),
      enrolledAt: Type.String({ maxLength: 30 }),
      certificate: NullableStringSchema,
    }),
  ),
})
export const CertificateHashesSchema = Type.Object(
  {
    certificates: Type.Array(DigestSchema, { minItems: 1, maxItems: 500, description: 'SHA-256 of each.' }),
    seen: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: Number.MAX_SAFE_INTEGER,
        description: 'Size of the newest checkpoint of the directory that the client has verified.',
      }),
    ),
  },
  exactly,
)
export const CertificateProofsSchema = Type.Object({
  checkpoint: Type.String({ maxLength: 1_000_000, description: 'Of the directory log, as published.' }),
  consistency: Type.Optional(Type.Array(Type.String({ maxLength: 43 }), { maxItems: 64 })),
  proofs: Type.Array(
    Type.Object({
      certificate: DigestSchema,
      leaf: Type.String({ maxLength: 65_535 }),
      proof: Type.Array(Type.String({ maxLength: 100 }), { maxItems: 64 }),
    }),
    {
      description: 'Of those that the log holds.',
    },
  ),
})
export const SessionListSchema = Type.Object({
  sessions: Type.Array(
    Type.Object({
      session: UuidSchema,
      device: DigestSchema,
      startedAt: Type.String({ maxLength: 30 }),
      lastRefreshedAt: Type.String({ maxLength: 30 }),
      address: Type.String({ maxLength: 254, description: 'The address of its last renewal.' }),
      agent: Type.String({ maxLength: 200, description: 'The name that the client gave itself.' }),
      current: Type.Boolean(),
    }),
  ),
})
export const TicketSchema = Type.Object({ ticket: Type.String({ maxLength: 1000 }), expiresIn: Type.Integer() })
export const ServerSchema = Type.Object({
  version: Type.String({ maxLength: 100 }),
  root: NullableStringSchema,
  directory: UuidSchema,
  logHost: Type.String({ maxLength: 255 }),
  logKeys: Type.Array(Type.String({ maxLength: 4096 }), {
    maxItems: 4,
    description: 'Verifier keys of the directory log (C2SP signed note): Ed25519, ML-DSA-44.',
  }),
})
export const SimilarSchema = Type.Object({
  similar: Type.Array(Type.Object({ organization: UuidSchema, name: Type.String({ maxLength: 200 }) }), {
    description: 'Other organizations whose names look like this name (UTS 39): a warning.',
  }),
})
export const NothingSchema = Type.Object({}, exactly)
