import type { Tx } from '../db/index.ts'
import { ProtocolError, fewestKeys, openWitnessed, type NoteKey, type WitnessPolicy } from '../protocol/index.ts'
import { checkpointAt, cosignaturesAt, cosignedSizes } from './cosignatures.ts'
import { newestCheckpoint } from './store.ts'

/** A published checkpoint with the quorum of its witnesses, and every cosignature that it has. */
export interface FinalCheckpoint {
  readonly size: number
  readonly note: string
}

/**
 * Answers the newest final checkpoint of a log; undefined where none has its quorum. The
 * transaction must have entered the log.
 */
export async function finalCheckpoint(
  tx: Tx,
  log: string,
  logKeys: readonly NoteKey[],
  policy: WitnessPolicy,
): Promise<FinalCheckpoint | undefined> {
  const newest = await newestCheckpoint(tx, log)
  if (newest === undefined || policy.quorum.least === 0) return newest
  const mostKeys = Math.max(1, ...policy.witnesses.map(({ keys }) => keys.length))
  const fewestWitnesses = Math.ceil(fewestKeys(policy.quorum) / mostKeys)
  for (let below = newest.size + 1; ;) {
    const sizes = await cosignedSizes(tx, log, below, fewestWitnesses)
    for (const size of sizes) {
      const published = await checkpointAt(tx, log, size)
      if (published === undefined) continue
      const lines = (await cosignaturesAt(tx, log, size)).map((one) => one.lines)
      const note = `${published}${lines.join('')}`
      if (await isFinal(note, logKeys, policy)) return { size, note }
    }
    const last = sizes.at(-1)
    if (last === undefined) return undefined
    below = last
  }
}

// The stored cosignatures were verified, but perhaps under another policy, with other keys.
async function isFinal(note: string, logKeys: readonly NoteKey[], policy: WitnessPolicy): Promise<boolean> {
  try {
    await openWitnessed(note, logKeys, policy)
    return true
  } catch (error) {
    if (error instanceof ProtocolError) return false
    throw error
  }
}
