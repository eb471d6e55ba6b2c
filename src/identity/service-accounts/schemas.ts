import { Type } from 'typebox'
import { limits } from '../../protocol/index.ts'
import { DigestSchema, JustifiedSchema, NameSchema, UuidSchema } from '../schemas.ts'
import { assertionType } from './assertion.ts'

const exactly = { additionalProperties: false }
const JwsSchema = Type.String({ minLength: 1, maxLength: limits.statement })
const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()])

export const ServiceSignInSchema = Type.Object(
  {
    grant_type: Type.Literal('client_credentials'),
    client_assertion_type: Type.Literal(assertionType),
    client_assertion: Type.String({ minLength: 1, maxLength: 4096 }),
  },
  exactly,
)

export const ServiceAccountsQuerySchema = Type.Object(
  { organization: Type.Optional(UuidSchema), ...JustifiedSchema.properties },
  exactly,
)

export const ServiceAccountsSchema = Type.Object({
  serviceAccounts: Type.Array(
    Type.Object({
      account: UuidSchema,
      name: NameSchema,
      organization: Type.Object({ id: UuidSchema, name: Type.String({ maxLength: 200 }) }),
      permissions: Type.Array(Type.String({ maxLength: 50 }), { maxItems: 50 }),
      addresses: Type.Array(Type.String({ maxLength: 50 }), { maxItems: 50 }),
      expiresAt: Type.String({ maxLength: 30 }),
      state: Type.String({ maxLength: 40 }),
      device: nullable(DigestSchema),
      lastUsed: nullable(Type.Object({ at: Type.String({ maxLength: 30 }), address: Type.String({ maxLength: 254 }) })),
    }),
  ),
})

export const StopSchema = Type.Object({ revocation: Type.Optional(JwsSchema) }, exactly)
