import { Type } from 'typebox'
import { addressPattern } from './addresses.ts'

const exactly = { additionalProperties: false }
const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()])

export const SetAddress = Type.Object(
  { address: Type.String({ minLength: 6, maxLength: 254, pattern: addressPattern, description: 'As mail has it.' }) },
  exactly,
)
export const ConfirmAddress = Type.Object(
  { code: Type.String({ pattern: '^\\d{8}$', description: 'The eight digits that were sent to the address.' }) },
  exactly,
)
export const Address = Type.Object({
  address: nullable(Type.Object({ address: Type.String(), confirmedAt: Type.String() })),
  waiting: nullable(Type.Object({ address: Type.String(), until: Type.String() })),
  sends: Type.Boolean({ description: 'Whether this service sends notices at all.' }),
})
