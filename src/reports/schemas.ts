import { Type } from 'typebox'
import { placeRule } from '../forms/index.ts'
import { EntriesQuery } from '../log/index.ts'
import { InOperationSchema } from '../operations/index.ts'
import { Evidence } from '../protocol/index.ts'

const DecimalSchema = Type.String({ pattern: '^(0|[1-9][0-9]*)(\\.[0-9]+)?$', description: 'Exact, canonical.' })
const UnitSchema = Type.Union([
  Type.Literal('KGM'),
  Type.Literal('LTR'),
  Type.Literal('H87'),
  Type.Literal('MTR'),
  Type.Literal('MTK'),
])
const amount = { unit: UnitSchema, quantity: DecimalSchema, estimated: DecimalSchema }

export const FiguresSchema = Type.Object({
  asAt: Type.Integer({ description: 'Index of the last entry of the log that counts.' }),
  edition: Type.Union([Type.Literal('whole'), Type.Literal('totals')]),
  seizures: Type.Integer(),
  cases: Type.Integer(),
  quantities: Type.Array(
    Type.Object({ category: Type.String({ maxLength: 200 }), ...amount, seizures: Type.Integer() }),
  ),
  totals: Type.Array(Type.Object(amount)),
})

export const OfLogSchema = Type.Object({ log: InOperationSchema.properties.operation })

const words = (description: string, minLength = 3) =>
  Type.String({
    minLength,
    maxLength: 500,
    pattern: '^[^\\u0000-\\u0008\\u000b-\\u001f\\u007f]*$',
    format: 'not-blank',
    description,
  })

export const EvidenceRequestSchema = Type.Object(
  {
    query: Type.Omit(EntriesQuery, ['justification', 'after', 'limit'], { additionalProperties: false }),
    justification: words('Why these entries are exported.'),
    recipient: Type.Object(
      {
        name: words('Who gets them.', 1),
        organization: words('Of which organization.', 1),
        country: Type.Optional(Type.String({ pattern: '^[A-Z]{2}$', format: 'place', description: placeRule })),
      },
      { additionalProperties: false },
    ),
    legalBasis: words('On what ground they may be given.'),
  },
  { additionalProperties: false },
)

/** The bundle is made as text, whose bytes the entry export.made names. */
export const EvidenceBundleSchema = Type.Unsafe<string>(Evidence)
