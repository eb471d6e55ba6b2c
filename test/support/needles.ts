import type pg from 'pg'
import { admin } from './database.ts'

/** Something that must not turn up: its bytes, and the forms in which they could. */
export interface Needle {
  readonly name: string
  readonly bytes: Buffer
}

export function needle(name: string, value: string | Uint8Array): Needle {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : Buffer.from(value)
  if (bytes.length < 12) throw new Error(`${name} is too short to be searched for`)
  return { name, bytes }
}

/**
 * Raw, hexadecimal in both cases, and base64 in both alphabets at each of the three places where it
 * can begin.
 */
export function formsOf({ bytes }: Needle): string[] {
  const forms = [bytes.toString('latin1'), bytes.toString('hex'), bytes.toString('hex').toUpperCase()]
  for (let shift = 0; shift < 3; shift++) {
    const padded = Buffer.concat([Buffer.alloc(shift), bytes])
    // The first and the last characters also hold bits of what stands beside it.
    const whole = padded.length - (padded.length % 3)
    const text = padded
      .subarray(0, whole)
      .toString('base64')
      .slice(shift === 0 ? 0 : 4)
    forms.push(text, text.replaceAll('+', '-').replaceAll('/', '_'))
  }
  return [...new Set(forms)]
}

/** The names of the needles that a text (bytes as latin1) holds. */
export function found(needles: readonly Needle[], text: string): string[] {
  return needles.filter((one) => formsOf(one).some((form) => text.includes(form))).map(({ name }) => name)
}

/** Every column of every table: where a needle turned up. */
export async function searchDatabase(
  url: string,
  needles: readonly Needle[],
): Promise<{ hits: string[]; searched: number }> {
  return admin(url, async (client) => {
    const { rows: columns } = await client.query<{ table: string; column: string; type: string }>(
      `SELECT c.table_name AS table, c.column_name AS column, c.data_type AS type
       FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
       WHERE table_schema = 'public' AND t.table_type = 'BASE TABLE' ORDER BY 1, 2`,
    )
    const hits: string[] = []
    let searched = 0
    for (const { table, column, type } of columns) {
      for (const value of await valuesOf(client, table, column, type)) {
        searched++
        for (const name of found(needles, value)) hits.push(`${name} in ${table}.${column}`)
      }
    }
    return { hits: [...new Set(hits)], searched }
  })
}

async function valuesOf(client: pg.Client, table: string, column: string, type: string): Promise<string[]> {
  const as = type === 'bytea' ? `"${column}"` : `convert_to("${column}"::text, 'UTF8')`
  const { rows } = await client.query<{ value: Buffer | null }>(`SELECT ${as} AS value FROM "${table}"`)
  return rows.flatMap(({ value }) => {
    if (value === null) return []
    const text = value.toString('latin1')
    // What is itself an encoding of something is looked into as well.
    return [text, ...decoded(text)]
  })
}

/** The parts of a compact JWS or JWE, and of anything else in base64url, decoded. */
export function decoded(text: string): string[] {
  return (text.match(/[A-Za-z0-9_-]{16,}/g) ?? []).map((part) => Buffer.from(part, 'base64url').toString('latin1'))
}
