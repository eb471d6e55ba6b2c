import type { Tx } from '../db/index.ts'
import { digestOf, formatNoteKey, parseLeaf, parseNoteKey, type NoteKey, type Witness } from '../protocol/index.ts'
import type { EntryDraft } from './act.ts'
import { witnessEntries } from './cosignatures.ts'

/** The keys of each witness that the directory log ever named, by name, newest first. */
export type RegisteredWitnesses = ReadonlyMap<string, readonly (readonly NoteKey[])[]>

/**
 * Makes the entries after which the directory log says which programs are the witnesses now: a
 * witness with other keys than before is removed and added. The transaction must have entered and
 * locked the directory.
 */
export async function changesOfWitnesses(
  tx: Tx,
  directory: string,
  witnesses: readonly Witness[],
  server: string,
): Promise<EntryDraft[]> {
  const current = new Map<string, string | undefined>()
  for (const { leaf } of await witnessEntries(tx, directory)) {
    const { kind, subject, digest } = parseLeaf(leaf)
    if (kind === 'witness.added') current.set(subject, digest)
    else current.delete(subject)
  }
  const drafts: EntryDraft[] = []
  const wanted = new Map(await Promise.all(witnesses.map(describe)))
  for (const [name, digest] of current) {
    if (wanted.get(name)?.digest !== digest) drafts.push({ kind: 'witness.removed', actor: { server }, subject: name })
  }
  for (const [name, { keys, digest }] of wanted) {
    if (current.get(name) === digest) continue
    drafts.push({ kind: 'witness.added', actor: { server }, subject: name, digest, details: { keys } })
  }
  return drafts
}

async function describe({ name, keys }: Witness): Promise<[string, { keys: string[]; digest: string }]> {
  const lines = await Promise.all(keys.map(formatNoteKey))
  return [name, { keys: lines, digest: await digestOf(lines.join('\n')) }]
}

/**
 * Answers, for the verifier, every witness that the directory log ever named. An entry whose
 * details do not fit its digest names no witness, and is told to `found`. The transaction must have
 * entered the directory.
 */
export async function registeredWitnesses(
  tx: Tx,
  directory: string,
  found: (index: number, what: string) => void,
): Promise<RegisteredWitnesses> {
  const registered = new Map<string, (readonly NoteKey[])[]>()
  for (const { index, kind, leaf, details } of await witnessEntries(tx, directory)) {
    if (kind !== 'witness.added') continue
    try {
      const { subject, digest } = parseLeaf(leaf)
      const { keys } = JSON.parse(details ?? '{}') as { keys?: unknown }
      const lines = Array.isArray(keys) ? keys.map(String) : []
      if (lines.length === 0 || (await digestOf(lines.join('\n'))) !== digest)
        throw new Error('its keys are not those it names')
      const parsed = await Promise.all(lines.map(parseNoteKey))
      if (parsed.some(({ name }) => name !== subject)) throw new Error('its keys have another name')
      registered.set(subject, [parsed, ...(registered.get(subject) ?? [])])
    } catch (error) {
      found(index, `it names no witness: ${(error as Error).message}`)
    }
  }
  return registered
}
