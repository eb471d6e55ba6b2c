import { Type } from 'typebox'

const exactly = { additionalProperties: false }
const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()])

/** Coarser than `isAddress`, which needs classes of letters that not every tool can read. */
const roughly = '^[^@\\u0000-\\u0020\\u007f-\\u00a0]+@[^@\\u0000-\\u0020\\u007f-\\u00a0]+$'
export const SetAddressSchema = Type.Object(
  {
    address: Type.String({
      minLength: 6,
      maxLength: 254,
      pattern: roughly,
      description: 'An e-mail address, such as anna@customs.example.',
    }),
  },
  exactly,
)
export const ConfirmAddressSchema = Type.Object(
  {
    code: Type.String({
      minLength: 8,
      maxLength: 40,
      description: 'The eight digits that were sent to the address; blanks and dashes between them do not matter.',
    }),
  },
  exactly,
)
export const AddressSchema = Type.Object({
  address: nullable(
    Type.Object({ address: Type.String({ maxLength: 254 }), confirmedAt: Type.String({ maxLength: 30 }) }),
  ),
  waiting: nullable(Type.Object({ address: Type.String({ maxLength: 254 }), until: Type.String({ maxLength: 30 }) })),
  sends: Type.Boolean({ description: 'Whether this service sends notices at all.' }),
})
