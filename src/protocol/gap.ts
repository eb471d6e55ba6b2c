import { Type, type Static } from 'typebox'

const time = Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,3})?Z$' })
const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })

/**
 * What a service lacks of a log that is behind what was published of it. Entries from index `size`
 * to index `published` - 1 are missing.
 */
export const LogGap = Type.Object(
  {
    log: Type.String({ pattern: '^[0-9a-f-]{36}$', description: 'The log that lacks entries.' }),
    size: Type.Integer({ ...count, description: 'The number of entries that are there.' }),
    published: Type.Integer({ ...count, description: 'The number of entries that were published.' }),
    missing: Type.Integer({ ...count, description: 'The number of entries that are missing.' }),
    since: Type.Union([time, Type.Null()], { description: 'The time of the newest entry that is there.' }),
    until: Type.Union([time, Type.Null()], {
      description: 'The time at which the newest of the missing entries had been published, where it is known.',
    }),
  },
  { additionalProperties: false },
)
export type LogGap = Static<typeof LogGap>

/** Says in one sentence what is missing: how many entries, from which index, from when to when. */
export function gapWords({ log, size, published, missing, since, until }: LogGap): string {
  const from = since === null ? '' : `, after ${since}`
  const to = until === null ? '' : ` and before ${until}`
  const range = missing === 1 ? `entry ${String(size)}` : `entries ${String(size)} to ${String(published - 1)}`
  return `log ${log} has ${String(size)} entries where ${String(published)} were published: ${String(missing)} ${missing === 1 ? 'is' : 'are'} missing, ${range}${from}${to}`
}
