import { Type } from 'typebox'

const Decimal = Type.String({ pattern: '^(0|[1-9][0-9]*)(\\.[0-9]+)?$', description: 'Exact, canonical.' })
const Unit = Type.Union([Type.Literal('KGM'), Type.Literal('LTR'), Type.Literal('H87'), Type.Literal('MTR')])
const amount = { unit: Unit, quantity: Decimal, estimated: Decimal }

export const InOperation = Type.Object({
  operation: Type.String({ pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' }),
})

export const Figures = Type.Object({
  asAt: Type.Integer({ description: 'Index of the last entry of the log that counts.' }),
  edition: Type.Union([Type.Literal('whole'), Type.Literal('totals')]),
  seizures: Type.Integer(),
  cases: Type.Integer(),
  quantities: Type.Array(Type.Object({ category: Type.String(), ...amount, seizures: Type.Integer() })),
  totals: Type.Array(Type.Object(amount)),
})
