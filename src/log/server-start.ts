import { createHash } from 'node:crypto'
import type { Tx } from '../db/index.ts'
import { parseLeaf } from '../protocol/index.ts'
import type { EntryDraft } from './act.ts'
import { newestLeafOfKind } from './store.ts'

/**
 * What a server says of itself when it starts to serve. It holds no secret, since its settings are
 * in the entry's details.
 */
export interface ServerStart {
  readonly server: string
  readonly version: string
  /** The settings that decide who gets in and whose signatures count. */
  readonly configuration: Readonly<Record<string, string | readonly string[] | null>>
  /** The logs that the server will not continue. */
  readonly readOnly: readonly string[]
}

/**
 * Makes the entries of a start: that the server started, and that its configuration is another than
 * the log says, where it is. Runs under the directory's lock.
 */
export async function startDrafts(tx: Tx, directory: string, starting: ServerStart): Promise<EntryDraft[]> {
  const { server, version, configuration, readOnly } = starting
  const actor = { server }
  const drafts: EntryDraft[] = [
    {
      kind: 'server.started',
      actor,
      subject: server,
      details: { outcome: 'accepted', reason: 'started', version, readOnly },
    },
  ]
  const digest = createHash('sha256')
    .update(JSON.stringify(sorted(configuration)))
    .digest('base64url')
  const newest = await newestLeafOfKind(tx, directory, 'configuration.changed')
  const before = newest === undefined ? null : (parseLeaf(newest).digest ?? null)
  if (before === digest) return drafts
  const reason = before === null ? 'first-start' : 'changed'
  const details = { outcome: 'accepted', reason, hashes: { old: before, new: digest }, settings: configuration }
  return [...drafts, { kind: 'configuration.changed', actor, subject: server, digest, details }]
}

function sorted(configuration: ServerStart['configuration']): object {
  const inOrder = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
  const entries = Object.entries(configuration).map(([name, value]): [string, unknown] => [
    name,
    typeof value === 'string' || value === null ? value : value.toSorted(inOrder),
  ])
  return Object.fromEntries(entries.toSorted(([a], [b]) => inOrder(a, b)))
}
