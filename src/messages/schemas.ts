import { Type } from 'typebox'
import { Receipt } from '../protocol/index.ts'

const exactly = { additionalProperties: false }
const Uuid = Type.String({ pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' })
const Digest = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' })
const Count = Type.Integer({ minimum: 0, maximum: 1_000_000_000 })

export const InOperation = Type.Object({ operation: Uuid })
export const InMessage = Type.Object({ operation: Uuid, message: Uuid })
export const Accepted = Type.Object({ id: Uuid, receipt: Receipt })
export const Message = Type.Object({
  index: Type.Integer(),
  leaf: Type.String({ maxLength: 65_535 }),
  statement: Type.String({ maxLength: 163_840 }),
  body: Type.String({ maxLength: 262_144 }),
  extract: Type.Optional(Type.String({ maxLength: 131_072 })),
  salt: Type.Optional(Type.String({ maxLength: 43 })),
})
/** Why one looks, where the operation's purpose does not say it. */
export const Justified = Type.Object(
  {
    justification: Type.Optional(
      Type.String({ minLength: 1, maxLength: 500, pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$' }),
    ),
  },
  exactly,
)
export const Page = Type.Object(
  {
    after: Type.Optional(Type.Integer({ minimum: 0 })),
    limit: Type.Integer({ minimum: 1, maximum: 200, default: 50 }),
  },
  exactly,
)
export const Threads = Type.Object({
  threads: Type.Array(
    Type.Object({
      thread: Uuid,
      compartment: Uuid,
      firstIndex: Type.Integer(),
      lastIndex: Type.Integer(),
      messages: Type.Integer(),
      firstMessage: Uuid,
      form: Type.String({ maxLength: 60 }),
      precedence: Type.String({ maxLength: 20 }),
      organization: Uuid,
    }),
  ),
  next: Type.Optional(Type.String({ maxLength: 20 })),
})
export const Receipts = Type.Object({
  receipts: Type.Array(
    Type.Object({
      message: Uuid,
      person: Uuid,
      organization: Uuid,
      deliveredAt: Type.Optional(Type.String({ maxLength: 30 })),
      readAt: Type.Optional(Type.String({ maxLength: 30 })),
    }),
  ),
})
export const Ids = Type.Object({ ids: Type.Array(Uuid, { minItems: 1, maxItems: 1000 }) }, exactly)
export const Known = Type.Object({ known: Type.Array(Type.Object({ id: Uuid })) })
export const Import = Type.Object(
  { mapping: Digest, file: Digest, rows: Count, imported: Count, already: Count, corrected: Count },
  exactly,
)
export const Placed = Type.Object({ index: Type.Integer() })
const Key = Type.Object({ device: Digest, sealed: Type.String({ minLength: 1, maxLength: 4096 }) }, exactly)
export const ImportKeys = Type.Object({
  exists: Type.Boolean(),
  keys: Type.Array(
    Type.Object({
      ...Key.properties,
      chain: Type.Array(Type.String({ maxLength: 16_384 }), {
        maxItems: 17,
        description: 'The certificate of the device that sealed it, and those above.',
      }),
    }),
  ),
})
export const StoreImportKeys = Type.Object(
  {
    keys: Type.Array(Key, { minItems: 1, maxItems: 200 }),
    replace: Type.Optional(
      Type.Boolean({
        description:
          'In place of the key that the organization has, for all of its devices: by its NCPs and coordinators.',
      }),
    ),
  },
  exactly,
)
export const Nothing = Type.Object({}, exactly)
