import type { Tx } from '../db/index.ts'
import { certificatesByHash, chainOfDevice, chainsOf, withThoseAbove, type Sessions } from '../identity/index.ts'
import type { Logs, StoredEntry } from '../log/index.ts'
import { contentsAt, readsAt, type Content } from '../messages/index.ts'
import { grantsGivenAt, statementsOf, type GrantRow } from '../operations/index.ts'
import {
  certificateNamedBy,
  parseLeaf,
  statementTypeOf,
  type EntryFrame,
  type Leaf,
  type OperationView,
} from '../protocol/index.ts'

/** One entry with everything that its readers may get, each frame made text once. */
export interface ReadEntry {
  readonly leaf: Leaf
  readonly statement: string | undefined
  readonly content: Content | undefined
  /** For members. */
  readonly frame: string
  /** For auditors: the statement, never a body or an extract. */
  readonly bare: string
  /** For readers whose view is partial: the certificate of whoever signed this, and those above it. */
  readonly signer: readonly string[] | undefined
  /** Keys that the entry gave to the devices that were asked for. */
  readonly grants: readonly GrantRow[]
}

export interface Reading {
  readonly entries: readonly ReadEntry[]
  /** Sessions, of those asked for, that had ended in the same snapshot. */
  readonly ended: ReadonlySet<string>
  readonly reads: Awaited<ReturnType<typeof readsAt>>
}

interface Asked {
  readonly sessions: readonly string[]
  readonly devices: readonly string[]
  /** Whether there are readers whose view is partial. */
  readonly partial?: boolean
}

/** Reads what stored entries carry, and which sessions have ended, in the snapshot of this transaction. */
export async function readEntries(
  tx: Tx,
  deps: { logs: Logs<OperationView>; sessions: Sessions },
  operation: string,
  stored: readonly StoredEntry[],
  asked: Asked,
): Promise<Reading> {
  const leaves = stored.map((entry) => parseLeaf(entry.text))
  const indexes = (matches: (leaf: Leaf) => boolean) => leaves.filter(matches).map(({ index }) => index)
  const contents = await contentsAt(
    tx,
    operation,
    indexes(({ kind }) => kind.startsWith('message.')),
  )
  const statements = await statementsOf(tx, operation, leaves)
  const certificates = leaves
    .filter((leaf) => statementTypeOf(leaf) === 'certificate')
    .flatMap(({ digest }) => statements.get(digest ?? '') ?? [])
  const chains = await chainsOf(tx, certificates)
  const created = leaves.find(({ kind }) => kind === 'operation.created')
  const creator = created && 'device' in created.actor ? await chainOfDevice(tx, created.actor.device) : undefined
  const revokers = await chainsOfDevices(
    tx,
    leaves.flatMap(({ kind, actor }) => (kind === 'device.revoked' && 'device' in actor ? [actor.device] : [])),
  )
  const given = await grantsGivenAt(
    tx,
    operation,
    indexes(({ kind }) => kind === 'epoch.opened' || kind === 'history.granted'),
    asked.devices,
  )
  const grants = Map.groupBy(given, ({ index }) => index)
  const ended = asked.sessions.length === 0 ? new Set<string>() : await deps.sessions.endedAmong(tx, asked.sessions)
  const reads = await readsAt(
    tx,
    operation,
    indexes(({ kind }) => kind === 'messages.read'),
  )
  const signed = leaves.map(
    ({ index, digest }) =>
      contents.get(index)?.statement ?? (digest === undefined ? undefined : statements.get(digest)),
  )
  const signers = asked.partial === true ? await signersOf(tx, leaves, signed) : undefined
  const entries = stored.map(({ text }, i): ReadEntry => {
    const leaf = leaves[i] as Leaf
    const content = contents.get(leaf.index)
    const statement = signed[i]
    const chain =
      leaf === created
        ? creator
        : statementTypeOf(leaf) === 'certificate'
          ? chains.get(leaf.digest ?? '')
          : leaf.kind === 'device.revoked' && 'device' in leaf.actor
            ? revokers.get(leaf.actor.device)
            : undefined
    const base: EntryFrame = {
      type: 'entry',
      operation,
      index: leaf.index,
      leaf: text,
      ...(statement === undefined ? {} : { statement }),
      ...(chain === undefined ? {} : { chain }),
    }
    const bare = JSON.stringify(base)
    const frame = content
      ? JSON.stringify({
          ...base,
          ...(content.body === null ? {} : { body: content.body }),
          ...(content.extract === null ? {} : { extract: content.extract }),
          ...(content.salt === null ? {} : { salt: content.salt }),
        })
      : bare
    const signer = chain === undefined ? signers?.[i] : undefined
    return { leaf, statement, content, frame, bare, signer, grants: grants.get(leaf.index) ?? [] }
  })
  return { entries, ended, reads }
}

/** Whoever revokes a device need not be a member of the operation. */
async function chainsOfDevices(tx: Tx, devices: readonly string[]): Promise<Map<string, string[]>> {
  const chains = new Map<string, string[]>()
  for (const device of new Set(devices)) chains.set(device, await chainOfDevice(tx, device))
  return chains
}

/**
 * For each entry the certificate under which what it carries was signed, which may have been renewed since, and those above it; undefined where
 * nothing was signed.
 */
async function signersOf(
  tx: Tx,
  leaves: readonly Leaf[],
  statements: readonly (string | undefined)[],
): Promise<(readonly string[] | undefined)[]> {
  const chains = new Map<string, readonly string[]>()
  const signers: (readonly string[] | undefined)[] = []
  for (const [i, leaf] of leaves.entries()) {
    const { actor } = leaf
    const signed = statementTypeOf(leaf) !== undefined || leaf.kind.startsWith('message.')
    const statement = statements[i]
    if (!signed || !('device' in actor)) {
      signers.push(undefined)
      continue
    }
    const crt = statement === undefined ? undefined : certificateNamedBy(statement)
    const name = crt ?? actor.device
    let chain = chains.get(name)
    if (!chain) {
      chain =
        crt === undefined
          ? await chainOfDevice(tx, actor.device)
          : await withThoseAbove(tx, (await certificatesByHash(tx, [crt])).get(crt))
      chains.set(name, chain)
    }
    signers.push(chain)
  }
  return signers
}

interface For {
  readonly withContent: boolean
  readonly partial: boolean
  /** Its own device's, where the entry opened an epoch that the reader may read. */
  readonly grant: string | undefined
}

/** The frame of an entry for one reader; with the signer's certificates where its view is partial and may not show the signer. */
export function frameFor(entry: ReadEntry, { withContent, partial, grant }: For): string {
  const whole = withContent ? entry.frame : entry.bare
  const text = partial && entry.signer ? `${whole.slice(0, -1)},"chain":${JSON.stringify(entry.signer)}}` : whole
  if (entry.leaf.kind !== 'epoch.opened' || grant === undefined) return text
  return `${text.slice(0, -1)},"grant":${JSON.stringify(grant)}}`
}
