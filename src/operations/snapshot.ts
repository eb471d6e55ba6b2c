import type { Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import { certificatesByHash, revocationsByHash } from '../identity/index.ts'
import { changesBetween, type Snapshots, type StoredEntry } from '../log/index.ts'
import {
  toViewEntry,
  OperationView,
  ProtocolError,
  judgeDirectoryEntry,
  parseLeaf,
  readViewStatement,
  statementTypeOf,
  type Leaf,
  type OperationId,
  type ReadStatement,
  type ViewEntry,
} from '../protocol/index.ts'
import { toProblem } from './authorize.ts'
import { statementsByHash } from './store.ts'

/** Answers the statements, certificates and revocations that entries commit to, by digest. */
export async function statementsOf(tx: Tx, operation: string, leaves: readonly Leaf[]): Promise<Map<string, string>> {
  const wanted: Record<ReadStatement['type'], string[]> = { member: [], epoch: [], certificate: [], revocation: [] }
  for (const leaf of leaves) {
    const type = statementTypeOf(leaf)
    const { digest } = leaf
    if (type !== undefined && digest !== undefined) wanted[type].push(digest)
  }
  return new Map([
    ...(await statementsByHash(tx, operation, [...wanted.member, ...wanted.epoch])),
    ...(await certificatesByHash(tx, wanted.certificate)),
    ...(await revocationsByHash(tx, wanted.revocation)),
  ])
}

/** Answers a leaf with its statement as it is stored, ready to be applied to a view. */
export async function readViewEntry(leaf: Leaf, statement: string | undefined): Promise<ViewEntry> {
  return toViewEntry(leaf, statement === undefined ? undefined : await readViewStatement(leaf, statement))
}

/**
 * Applies stored entries to a view, with the statements that they commit to: as every client does,
 * also where a statement cannot be believed.
 */
export async function applyEntries(tx: Tx, view: OperationView, entries: readonly StoredEntry[]): Promise<void> {
  const leaves = entries.map((entry) => parseLeaf(entry.text))
  const statements = await statementsOf(tx, view.operation, leaves)
  for (const leaf of leaves) {
    view.take(await readViewEntry(leaf, leaf.digest === undefined ? undefined : statements.get(leaf.digest)))
  }
}

/**
 * How the appender keeps the members of an operation: by the fold that clients and verifiers use.
 */
export const operationSnapshots: Snapshots<OperationView> = {
  async advance(tx, log, snapshot, upTo) {
    const view = snapshot ?? new OperationView(log as OperationId)
    await applyEntries(tx, view, await changesBetween(tx, log, view.position, upTo))
    return view
  },
  judge(view, entry) {
    const refusal = judgeDirectoryEntry(view, toViewEntry(entry.leaf, entry.draft.statement))
    return refusal && toProblem(refusal)
  },
  fold(view, entry) {
    try {
      view.apply(toViewEntry(entry.leaf, entry.draft.statement))
    } catch (error) {
      // An entry that no client would believe does not come into a log.
      if (!(error instanceof ProtocolError)) throw error
      throw new Problem('STATEMENT_INVALID', { reason: error.code, detail: error.message })
    }
    return view
  },
}
