import { Type } from 'typebox'
import { instantSchema } from '../log/index.ts'
import { GrantToGive, limits, maximalRecipients } from '../protocol/index.ts'

const exactly = { additionalProperties: false }
const UuidSchema = Type.String({ pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' })
const DigestSchema = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' })
const NameSchema = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$',
  format: 'not-blank',
})
const JwsSchema = Type.String({ minLength: 1, maxLength: limits.memberStatement })
const NullableStringSchema = Type.Union([Type.String({ maxLength: limits.statement }), Type.Null()])
const TimeZoneSchema = Type.String({ minLength: 1, maxLength: 64 })
const StateSchema = Type.Union([
  Type.Literal('draft'),
  Type.Literal('rehearsal'),
  Type.Literal('active'),
  Type.Literal('reporting'),
  Type.Literal('closed'),
  Type.Literal('archived'),
])

export const InOperationSchema = Type.Object({ operation: UuidSchema })
export const InOrganizationSchema = Type.Object({ operation: UuidSchema, organization: UuidSchema })
export const InMemberSchema = Type.Object({ operation: UuidSchema, person: UuidSchema })
export const InCompartmentSchema = Type.Object({ operation: UuidSchema, compartment: UuidSchema })
export const InCompartmentMemberSchema = Type.Object({
  operation: UuidSchema,
  compartment: UuidSchema,
  person: UuidSchema,
})

const SentenceSchema = Type.String({
  minLength: 1,
  maxLength: 500,
  pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$',
  format: 'not-blank',
})
const ReasonSchema = Type.Optional(SentenceSchema)

export const CreateSchema = Type.Object(
  {
    statement: JwsSchema,
    name: NameSchema,
    reference: NameSchema,
    timeZone: TimeZoneSchema,
    purpose: Type.Optional(SentenceSchema),
  },
  exactly,
)
export const CreatedSchema = Type.Object({ operation: UuidSchema })
export const EntryPlaceSchema = Type.Object({ index: Type.Optional(Type.Integer()) })
export const UpdateSchema = Type.Object(
  {
    name: Type.Optional(NameSchema),
    timeZone: Type.Optional(TimeZoneSchema),
    purpose: Type.Optional(SentenceSchema),
    reason: ReasonSchema,
  },
  { ...exactly, minProperties: 1 },
)
export const StatementSchema = Type.Object({ statement: JwsSchema, reason: ReasonSchema }, exactly)
export const NamedStatementSchema = Type.Object(
  { statement: JwsSchema, name: NameSchema, reason: ReasonSchema },
  exactly,
)
export const AdmitOrganizationSchema = Type.Object({ organization: UuidSchema, reason: ReasonSchema }, exactly)

const summary = {
  operation: UuidSchema,
  name: Type.String({ maxLength: 200 }),
  reference: Type.String({ maxLength: 200 }),
  state: StateSchema,
  timeZone: Type.String({ maxLength: 64 }),
  role: Type.String({ maxLength: 40 }),
}
export const OperationsSchema = Type.Object({ operations: Type.Array(Type.Object(summary)) })
export const OperationSchema = Type.Object({
  ...summary,
  purpose: Type.String({ maxLength: 500 }),
  history: Type.String({ maxLength: 40 }),
  allHolds: Type.Array(Type.String({ maxLength: 40 }), { maxItems: 2500 }),
  organization: UuidSchema,
  joinedIndex: Type.Integer(),
  head: NullableStringSchema,
})
const member = {
  person: UuidSchema,
  name: Type.String({ maxLength: 200 }),
  organization: UuidSchema,
  role: Type.String({ maxLength: 40 }),
  joinedIndex: Type.Integer(),
  asleep: Type.Boolean(),
}
export const MembersSchema = Type.Object({
  members: Type.Array(
    Type.Object({
      ...member,
    }),
  ),
})
export const InvitedOrganizationsSchema = Type.Object({
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
export const NamedOrganizationsQuerySchema = Type.Object(
  {
    name: Type.String({
      minLength: 1,
      maxLength: 200,
      description: 'The whole name, or at least three characters of its beginning.',
    }),
    justification: Type.Optional(SentenceSchema),
  },
  exactly,
)
export const CandidatesQuerySchema = Type.Object(
  { organization: UuidSchema, justification: Type.Optional(SentenceSchema) },
  exactly,
)
export const CandidatesSchema = Type.Object({
  people: Type.Array(
    Type.Object({ person: UuidSchema, name: Type.String({ maxLength: 200 }), certified: Type.Boolean() }),
  ),
})
export const PastMembersQuerySchema = Type.Object(
  {
    at: instantSchema('The moment; of a log that has entries later, what they changed does not count.'),
    justification: Type.Optional(SentenceSchema),
  },
  exactly,
)
export const PastMembersSchema = Type.Object({
  size: Type.Integer({ description: 'How many entries the log had; 0 before the operation existed.' }),
  state: Type.Union([StateSchema, Type.Null()]),
  members: Type.Array(
    Type.Object({
      ...member,
      compartments: Type.Array(UuidSchema, { description: 'Those that the caller sees.' }),
    }),
  ),
  organizations: Type.Array(Type.Object({ organization: UuidSchema, name: Type.String({ maxLength: 200 }) })),
  compartments: Type.Array(Type.Object({ compartment: UuidSchema, name: Type.String({ maxLength: 200 }) })),
})
export const CompartmentsSchema = Type.Object({
  compartments: Type.Array(
    Type.Object({
      compartment: UuidSchema,
      name: Type.String({ maxLength: 200 }),
      epoch: Type.Integer(),
      stale: Type.Boolean(),
      members: Type.Array(UuidSchema),
    }),
  ),
})
export const OpenEpochSchema = Type.Object(
  {
    statement: JwsSchema,
    grants: Type.Array(
      Type.Object({ device: DigestSchema, grant: Type.String({ minLength: 1, maxLength: 4096 }) }, exactly),
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
export const GrantsQuerySchema = Type.Object({ compartment: Type.Optional(UuidSchema) }, exactly)
export const GrantsSchema = Type.Object({
  grants: Type.Array(
    Type.Object({ compartment: UuidSchema, epoch: Type.Integer(), grant: Type.String({ maxLength: 4096 }) }),
  ),
})
export const GiveGrantsSchema = Type.Object(
  { compartment: UuidSchema, grants: Type.Array(GrantToGive, { minItems: 1, maxItems: 200 }) },
  exactly,
)
export const GrantRequestsSchema = Type.Object({
  requests: Type.Array(
    Type.Object({ compartment: UuidSchema, device: DigestSchema, epochs: Type.Array(Type.Integer()) }),
  ),
})
export const DisputeSchema = Type.Object({ compartment: UuidSchema, epoch: Type.Integer({ minimum: 1 }) }, exactly)
