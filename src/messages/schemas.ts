import { Type } from 'typebox'
import { Receipt } from '../protocol/index.ts'

const exactly = { additionalProperties: false }
const UuidSchema = Type.String({ pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' })
const DigestSchema = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' })
const CountSchema = Type.Integer({ minimum: 0, maximum: 1_000_000_000 })

export const InMessageSchema = Type.Object({ operation: UuidSchema, message: UuidSchema })
export const AcceptedSchema = Type.Object({ id: UuidSchema, receipt: Receipt })
export const MessageSchema = Type.Object({
  index: Type.Integer(),
  leaf: Type.String({ maxLength: 65_535 }),
  statement: Type.String({ maxLength: 163_840 }),
  body: Type.String({ maxLength: 262_144 }),
  extract: Type.Optional(Type.String({ maxLength: 131_072 })),
  salt: Type.Optional(Type.String({ maxLength: 43 })),
})
export const PageSchema = Type.Object(
  {
    after: Type.Optional(Type.Integer({ minimum: 0 })),
    limit: Type.Integer({ minimum: 1, maximum: 200, default: 50 }),
  },
  exactly,
)
export const ThreadsSchema = Type.Object({
  threads: Type.Array(
    Type.Object({
      thread: UuidSchema,
      compartment: UuidSchema,
      firstIndex: Type.Integer(),
      lastIndex: Type.Integer(),
      messages: Type.Integer(),
      firstMessage: UuidSchema,
      form: Type.String({ maxLength: 60 }),
      precedence: Type.String({ maxLength: 20 }),
      organization: UuidSchema,
    }),
  ),
  next: Type.Optional(Type.String({ maxLength: 20 })),
})
export const ReceiptsSchema = Type.Object({
  receipts: Type.Array(
    Type.Object({
      message: UuidSchema,
      person: UuidSchema,
      organization: UuidSchema,
      deliveredAt: Type.Optional(Type.String({ maxLength: 30 })),
      readAt: Type.Optional(Type.String({ maxLength: 30 })),
    }),
  ),
})
export const IdsSchema = Type.Object({ ids: Type.Array(UuidSchema, { minItems: 1, maxItems: 1000 }) }, exactly)
export const KnownIdsSchema = Type.Object({ known: Type.Array(Type.Object({ id: UuidSchema })) })
export const ImportSchema = Type.Object(
  {
    mapping: DigestSchema,
    file: DigestSchema,
    rows: CountSchema,
    imported: CountSchema,
    already: CountSchema,
    corrected: CountSchema,
  },
  exactly,
)
export const EntryIndexSchema = Type.Object({ index: Type.Integer() })
const KeySchema = Type.Object({ device: DigestSchema, sealed: Type.String({ minLength: 1, maxLength: 4096 }) }, exactly)
export const ImportKeysSchema = Type.Object({
  exists: Type.Boolean(),
  keys: Type.Array(
    Type.Object({
      ...KeySchema.properties,
      chain: Type.Array(Type.String({ maxLength: 16_384 }), {
        maxItems: 17,
        description: 'The certificate of the device that sealed it, and those above.',
      }),
    }),
  ),
})
export const StoreImportKeysSchema = Type.Object(
  {
    keys: Type.Array(KeySchema, { minItems: 1, maxItems: 200 }),
    replace: Type.Optional(
      Type.Boolean({
        description:
          'In place of the key that the organization has, for all of its devices: by its NCPs and coordinators.',
      }),
    ),
  },
  exactly,
)
