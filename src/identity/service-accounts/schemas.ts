import { Type } from 'typebox'
import { limits } from '../../protocol/index.ts'
import { Digest, Justified, Name, SignedIn, Uuid } from '../schemas.ts'
import { assertionType } from './assertion.ts'

const exactly = { additionalProperties: false }
const Jws = Type.String({ minLength: 1, maxLength: limits.statement })
const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()])

export { SignedIn }

export const ServiceSignIn = Type.Object(
  {
    grant_type: Type.Literal('client_credentials'),
    client_assertion_type: Type.Literal(assertionType),
    client_assertion: Type.String({ minLength: 1, maxLength: 4096 }),
  },
  exactly,
)

export const Asked = Type.Object({ organization: Type.Optional(Uuid), ...Justified.properties }, exactly)

export const ServiceAccounts = Type.Object({
  serviceAccounts: Type.Array(
    Type.Object({
      account: Uuid,
      name: Name,
      organization: Type.Object({ id: Uuid, name: Type.String({ maxLength: 200 }) }),
      permissions: Type.Array(Type.String({ maxLength: 50 }), { maxItems: 50 }),
      addresses: Type.Array(Type.String({ maxLength: 50 }), { maxItems: 50 }),
      expiresAt: Type.String({ maxLength: 30 }),
      state: Type.String({ maxLength: 40 }),
      device: nullable(Digest),
      lastUsed: nullable(Type.Object({ at: Type.String({ maxLength: 30 }), address: Type.String({ maxLength: 254 }) })),
    }),
  ),
})

export const Stop = Type.Object({ revocation: Type.Optional(Jws) }, exactly)
