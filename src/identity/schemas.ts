import { Type } from 'typebox'
import { permissions } from '../access.ts'
import { SignJwk, Tier, limits } from '../protocol/index.ts'
import { evidence, knowledge } from './factors/schemas.ts'

const exactly = { additionalProperties: false }

export const Uuid = Type.String({
  pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$',
})
export const Digest = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$', description: '32 bytes in base64url' })
export const Time = Type.String({ format: 'date-time', maxLength: 24 })
export const Reason = Type.String({
  minLength: 1,
  maxLength: 500,
  pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$',
  description: 'Entered in the log.',
})
export const Name = Type.String({ minLength: 1, maxLength: 200, pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$' })
/** Why one looks, where the purpose of the thing itself does not say it. */
export const Justified = Type.Object(
  {
    justification: Type.Optional(
      Type.String({ minLength: 1, maxLength: 500, pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$' }),
    ),
  },
  exactly,
)
const Jws = Type.String({ minLength: 1, maxLength: limits.statement })
const Jwe = Type.String({ minLength: 1, maxLength: 4096 })
const Passphrase = Type.String({ minLength: 1, maxLength: 512 })
const NullableString = Type.Union([Type.String({ maxLength: limits.statement }), Type.Null()])

export const SetUp = Type.Object(
  {
    secret: Digest,
    organization: Type.Object(
      { id: Uuid, name: Name, country: Type.Optional(Type.String({ pattern: '^[A-Z]{2}$' })) },
      exactly,
    ),
    rootCertificate: Jws,
    rootStatement: Jws,
    person: Type.Object({ id: Uuid, name: Name }, exactly),
    enrolment: Jws,
    certificate: Jws,
    passphrase: Passphrase,
  },
  exactly,
)

export const Enrol = Type.Object(
  {
    invitation: Uuid,
    authenticate: Digest,
    statement: Jws,
    mac: Digest,
    ...knowledge,
    signInKey: Type.Optional(SignJwk),
  },
  exactly,
)
export const Enrolled = Type.Object({
  person: Uuid,
  organization: Uuid,
  name: Type.String({ maxLength: 200 }),
  inviter: Type.Object(
    { name: Type.String({ maxLength: 200 }), organization: Type.String({ maxLength: 200 }) },
    { description: 'For whom one waits.' },
  ),
})

export const SignIn = Type.Object({ proof: Jws, ...evidence }, exactly)
const tokens = {
  accessToken: Type.String({ maxLength: 4096 }),
  refreshToken: Type.String({ maxLength: 4096 }),
  expiresIn: Type.Integer(),
}
export const SignedIn = Type.Object({ session: Uuid, person: Uuid, organization: Uuid, ...tokens })
export const Refresh = Type.Object(
  {
    refreshToken: Digest,
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
export const Tokens = Type.Object(tokens)

/** What an invitation says of a service account. */
export const ServiceTerms = Type.Object(
  {
    permissions: Type.Array(Type.Enum([...permissions]), { minItems: 1, maxItems: 50, uniqueItems: true }),
    addresses: Type.Array(Type.String({ minLength: 3, maxLength: 50 }), {
      minItems: 1,
      maxItems: 50,
      uniqueItems: true,
      description: 'Ranges in CIDR notation; 0.0.0.0/0 and ::/0 mean anywhere.',
    }),
    expiresAt: Time,
  },
  exactly,
)
export const Invite = Type.Object(
  {
    id: Uuid,
    person: Type.Object({ id: Uuid, name: Name }, exactly),
    organization: Uuid,
    tier: Tier,
    recognition: Digest,
    sealed: Type.Array(Type.Object({ device: Digest, jwe: Jwe }, exactly), { minItems: 1, maxItems: 50 }),
    expiresAt: Time,
    service: Type.Optional(ServiceTerms),
  },
  exactly,
)
export const Invitations = Type.Object({
  invitations: Type.Array(
    Type.Object({
      invitation: Uuid,
      person: Uuid,
      name: Type.String({ maxLength: 200 }),
      tier: Type.String({ maxLength: 40 }),
      expiresAt: Type.String({ maxLength: 30 }),
      approval: Type.Union([Type.String({ maxLength: 40 }), Type.Null()], {
        description: 'Of a second person, where somebody lost every device: missing, given; null where none is needed.',
      }),
      state: Type.String({ maxLength: 40 }),
    }),
  ),
})
export const WaitingEnrolments = Type.Object({
  enrolments: Type.Array(
    Type.Object({
      invitation: Uuid,
      person: Type.Object({ id: Uuid, name: Type.String({ maxLength: 200 }) }),
      organization: Type.Object({ id: Uuid, name: Type.String({ maxLength: 200 }) }),
      tier: Type.String({ maxLength: 40 }),
      device: Digest,
      statement: Type.String({ maxLength: 163_840 }),
      mac: Type.String({ maxLength: 43 }),
      sealed: Type.String({ maxLength: 4096 }),
    }),
  ),
})
export const Certify = Type.Object({ certificate: Jws }, exactly)
export const Certified = Type.Object({ device: Digest })
export const Revoke = Type.Object({ revocation: Jws }, exactly)

export const RegisterOrganization = Type.Object(
  {
    id: Uuid,
    kind: Type.Union([
      Type.Literal('secretariat'),
      Type.Literal('administration'),
      Type.Literal('rilo'),
      Type.Literal('partner'),
      Type.Literal('right-holder'),
    ]),
    name: Name,
    country: Type.Optional(Type.String({ pattern: '^[A-Z]{2}$' })),
    region: Type.Optional(Name),
  },
  exactly,
)
export const Organizations = Type.Object({
  organizations: Type.Array(
    Type.Object({
      organization: Uuid,
      kind: Type.String({ maxLength: 40 }),
      name: Type.String({ maxLength: 200 }),
      country: NullableString,
      region: NullableString,
      ended: Type.Boolean({ description: 'Whether it has left.' }),
    }),
  ),
})
export const People = Type.Object({
  people: Type.Array(
    Type.Object({
      person: Uuid,
      name: Type.String({ maxLength: 200 }),
      certified: Type.Boolean(),
      asleep: Type.Boolean(),
      service: Type.Boolean(),
      sleepsAt: NullableString,
      needed: Type.Boolean(),
    }),
  ),
})
export const Me = Type.Object({
  person: Uuid,
  name: Type.String({ maxLength: 200 }),
  organization: Uuid,
  organizationName: Type.String({ maxLength: 200 }),
  organizationKind: Type.String({ maxLength: 40 }),
  device: Digest,
  tier: NullableString,
  certificate: NullableString,
  chain: Type.Array(Type.String({ maxLength: 16_384 }), { maxItems: 17 }),
  administrator: Type.Boolean(),
  renewalsDue: Type.Integer({ description: 'How many certificates this NCP or administrator is asked to renew.' }),
  listed: Type.Union([Type.Array(Type.String({ maxLength: 50 }), { maxItems: 50 }), Type.Null()], {
    description: 'What a service account may use below its role; null for a person.',
  }),
})
export const Devices = Type.Object({
  devices: Type.Array(
    Type.Object({
      device: Digest,
      state: Type.String({ maxLength: 40 }),
      enrolledAt: Type.String({ maxLength: 30 }),
      certificate: NullableString,
    }),
  ),
})
export const CertificatesAsked = Type.Object(
  {
    certificates: Type.Array(Digest, { minItems: 1, maxItems: 500, description: 'SHA-256 of each.' }),
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
export const CertificateProofs = Type.Object({
  checkpoint: Type.String({ maxLength: 1_000_000, description: 'Of the directory log, as published.' }),
  consistency: Type.Optional(Type.Array(Type.String({ maxLength: 43 }), { maxItems: 64 })),
  proofs: Type.Array(
    Type.Object({
      certificate: Digest,
      leaf: Type.String({ maxLength: 65_535 }),
      proof: Type.Array(Type.String({ maxLength: 100 }), { maxItems: 64 }),
    }),
    {
      description: 'Of those that the log holds.',
    },
  ),
})
export const SessionList = Type.Object({
  sessions: Type.Array(
    Type.Object({
      session: Uuid,
      device: Digest,
      startedAt: Type.String({ maxLength: 30 }),
      lastRefreshedAt: Type.String({ maxLength: 30 }),
      address: Type.String({ maxLength: 254, description: 'From where it was last renewed.' }),
      agent: Type.String({ maxLength: 200, description: 'What the client called itself.' }),
      current: Type.Boolean(),
    }),
  ),
})
export const Ticket = Type.Object({ ticket: Type.String({ maxLength: 1000 }), expiresIn: Type.Integer() })
export const Server = Type.Object({
  version: Type.String({ maxLength: 100 }),
  root: NullableString,
  directory: Uuid,
  logHost: Type.String({ maxLength: 255 }),
  logKeys: Type.Array(Type.String({ maxLength: 4096 }), {
    maxItems: 4,
    description: 'Verifier keys of the directory log (C2SP signed note): Ed25519, ML-DSA-44.',
  }),
})
export const Nothing = Type.Object({}, exactly)
