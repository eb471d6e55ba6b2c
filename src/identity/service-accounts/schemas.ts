import { Type } from 'typebox'
import { Digest, Justified, Name, SignedIn, Uuid } from '../schemas.ts'
import { assertionType } from './assertion.ts'

const exactly = { additionalProperties: false }
const Jws = Type.String({ minLength: 1, maxLength: 16 * 1024 })
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
      organization: Type.Object({ id: Uuid, name: Type.String() }),
      permissions: Type.Array(Type.String()),
      addresses: Type.Array(Type.String()),
      expiresAt: Type.String(),
      state: Type.String(),
      device: nullable(Digest),
      lastUsed: nullable(Type.Object({ at: Type.String(), address: Type.String() })),
    }),
  ),
})

export const Stop = Type.Object({ revocation: Type.Optional(Jws) }, exactly)
