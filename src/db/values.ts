import pg from 'pg'

const int8Type = 20
const dateType = 1082
const textArrayType = 1009
const int8ArrayType = 1016
const dateArrayType = 1182

function safeInteger(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new RangeError(`bigint ${text} does not fit a safe integer`)
  return value
}

const textArray = pg.types.getTypeParser(textArrayType as number, 'text') as (text: string) => (string | null)[]
const identity = (text: string) => text

const ours = new Map<number, (text: string) => unknown>([
  [int8Type, safeInteger],
  [int8ArrayType, (text) => textArray(text).map((item) => (item === null ? null : safeInteger(item)))],
  // A calendar day has no time zone: pg would turn it into local midnight.
  [dateType, identity],
  [dateArrayType, textArray],
])

/**
 * How values from Postgres become JavaScript values. Each connection gets this configuration; it is
 * not set for the whole process.
 */
export const valueTypes: pg.CustomTypesConfig = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    const parser = format === 'binary' ? undefined : ours.get(oid)
    return parser ?? pg.types.getTypeParser(oid, format)
  },
}
