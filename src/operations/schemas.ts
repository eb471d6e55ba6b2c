import { Type } from 'typebox'
import { GrantToGive, limits, maximalRecipients } from '../protocol/index.ts'

const exactly = { additionalProperties: false }
const Uuid = Type.String({ pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' })
const Digest = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' })
const Name = Type.String({ minLength: 1, maxLength: 200, pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$' })
const Jws = Type.String({ minLength: 1, maxLength: limits.memberStatement })
const NullableString = Type.Union([Type.String({ maxLength: limits.statement }), Type.Null()])
const TimeZone = Type.String({ minLength: 1, maxLength: 64 })
const State = Type.Union([
  Type.Literal('draft'),
  Type.Literal('rehearsal'),
  Type.Literal('active'),
  Type.Literal('reporting'),
  Type.Literal('closed'),
  Type.Literal('archived'),
])

export const InOperation = Type.Object({ operation: Uuid })
export const InOrganization = Type.Object({ operation: Uuid, organization: Uuid })
export const InMember = Type.Object({ operation: Uuid, person: Uuid })
export const InCompartment = Type.Object({ operation: Uuid, compartment: Uuid })
export const InCompartmentMember = Type.Object({ operation: Uuid, compartment: Uuid, person: Uuid })

const Sentence = Type.String({ minLength: 1, maxLength: 500, pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$' })
const Reason = Type.Optional(Sentence)

export const Create = Type.Object(
  { statement: Jws, name: Name, reference: Name, timeZone: TimeZone, purpose: Type.Optional(Sentence) },
  exactly,
)
export const Created = Type.Object({ operation: Uuid })
export const Placed = Type.Object({ index: Type.Optional(Type.Integer()) })
export const Update = Type.Object(
  { name: Type.Optional(Name), timeZone: Type.Optional(TimeZone), purpose: Type.Optional(Sentence), reason: Reason },
  { ...exactly, minProperties: 1 },
)
export const Statement = Type.Object({ statement: Jws, reason: Reason }, exactly)
export const NamedStatement = Type.Object({ statement: Jws, name: Name, reason: Reason }, exactly)
export const AdmitOrganization = Type.Object({ organization: Uuid, reason: Reason }, exactly)

const summary = {
  operation: Uuid,
  name: Type.String({ maxLength: 200 }),
  reference: Type.String({ maxLength: 200 }),
  state: State,
  timeZone: Type.String({ maxLength: 64 }),
  role: Type.String({ maxLength: 40 }),
}
export const Operations = Type.Object({ operations: Type.Array(Type.Object(summary)) })
export const Operation = Type.Object({
  ...summary,
  purpose: Type.String({ maxLength: 500 }),
  history: Type.String({ maxLength: 40 }),
  allHolds: Type.Array(Type.String({ maxLength: 40 }), { maxItems: 2500 }),
  organization: Uuid,
  joinedIndex: Type.Integer(),
  head: NullableString,
})
export const Members = Type.Object({
  members: Type.Array(
    Type.Object({
      person: Uuid,
      name: Type.String({ maxLength: 200 }),
      organization: Uuid,
      role: Type.String({ maxLength: 40 }),
      joinedIndex: Type.Integer(),
      asleep: Type.Boolean(),
    }),
  ),
})
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
export const CandidatesQuery = Type.Object({ organization: Uuid, justification: Type.Optional(Sentence) }, exactly)
export const Candidates = Type.Object({
  people: Type.Array(Type.Object({ person: Uuid, name: Type.String({ maxLength: 200 }), certified: Type.Boolean() })),
})
export const Compartments = Type.Object({
  compartments: Type.Array(
    Type.Object({
      compartment: Uuid,
      name: Type.String({ maxLength: 200 }),
      epoch: Type.Integer(),
      stale: Type.Boolean(),
      members: Type.Array(Uuid),
    }),
  ),
})
export const OpenEpoch = Type.Object(
  {
    statement: Jws,
    grants: Type.Array(
      Type.Object({ device: Digest, grant: Type.String({ minLength: 1, maxLength: 4096 }) }, exactly),
      {
        minItems: 1,
        maxItems: maximalRecipients,
      },
    ),
  },
  exactly,
)
/** 2,000 grants of about 1.8 KB and a statement with as many recipients. */
export const openEpochBytes = 8 * 1024 * 1024
export const GrantsQuery = Type.Object({ compartment: Type.Optional(Uuid) }, exactly)
export const Grants = Type.Object({
  grants: Type.Array(
    Type.Object({ compartment: Uuid, epoch: Type.Integer(), grant: Type.String({ maxLength: 4096 }) }),
  ),
})
export const GiveGrants = Type.Object(
  { compartment: Uuid, grants: Type.Array(GrantToGive, { minItems: 1, maxItems: 200 }) },
  exactly,
)
export const GrantRequests = Type.Object({
  requests: Type.Array(Type.Object({ compartment: Uuid, device: Digest, epochs: Type.Array(Type.Integer()) })),
})
export const Dispute = Type.Object({ compartment: Uuid, epoch: Type.Integer({ minimum: 1 }) }, exactly)
