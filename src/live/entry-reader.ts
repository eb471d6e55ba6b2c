import type { Tx } from '../db/index.ts'
import {
  certificatesByHash,
  chainOfDevice,
  chainsOf,
  withThoseAbove,
  type SessionEnds,
  type SessionService,
} from '../identity/index.ts'
import type { CommittedEntry, StoredEntry } from '../log/index.ts'
import { contentsAt, readsAt, type Content } from '../messages/index.ts'
import { grantsGivenAt, statementsOf, type GrantRow } from '../operations/index.ts'
import {
  certificateNamedBy,
  definedMembers,
  parseLeaf,
  statementTypeOf,
  type EntryFrame,
  type Kind,
  type Leaf,
} from '../protocol/index.ts'

/**
 * A frame that many readers get: it is made text once, and again only for a reader who gets more.
 */
export class SharedFrame {
  readonly #frame: EntryFrame
  #text: string | undefined

  constructor(frame: EntryFrame) {
    this.#frame = frame
  }

  get text(): string {
    return (this.#text ??= JSON.stringify(this.#frame))
  }

  with(own: Pick<EntryFrame, 'chain' | 'grant'>): string {
    return JSON.stringify({ ...this.#frame, ...own })
  }
}

/** One entry with everything that its readers may get. */
export interface EntryForReaders {
  readonly leaf: Leaf
  readonly statement: string | undefined
  /** Whether the entry is of a message that is still kept, in part or as a whole. */
  readonly hasContent: boolean
  /** The frame for members. */
  readonly whole: SharedFrame
  /** The frame for auditors: the statement, never a body or an extract. */
  readonly bare: SharedFrame
  /**
   * The certificate of the signer of this entry and those above it, for readers whose view is
   * partial; undefined where no reader needs it.
   */
  readonly signer: readonly string[] | undefined
  /** The keys that the entry gave to the devices of the readers. */
  readonly grants: readonly GrantRow[]
}

export interface FeedPage {
  readonly entries: readonly EntryForReaders[]
  /**
   * The sessions, of those of the readers, that had ended in this snapshot, and their next expiry.
   */
  readonly ends: SessionEnds
  readonly reads: Awaited<ReturnType<typeof readsAt>>
}

interface ReaderNeeds {
  readonly sessions: readonly string[]
  readonly devices: readonly string[]
  /** Whether there are readers whose view is partial. */
  readonly partial?: boolean
}

/**
 * Reads what stored entries carry, and which sessions have ended, in the snapshot of this
 * transaction.
 */
export async function readEntries(
  tx: Tx,
  deps: { sessions: SessionService },
  operation: string,
  stored: readonly StoredEntry[],
  asked: ReaderNeeds,
): Promise<FeedPage> {
  const leaves = stored.map((entry) => parseLeaf(entry.text))
  const indexes = (matches: (leaf: Leaf) => boolean) => leaves.filter(matches).map(({ index }) => index)
  const posts = indexes(({ kind }) => kind.startsWith('message.'))
  const keys = indexes(({ kind }) => kind === 'epoch.opened' || kind === 'history.granted')
  const readings = indexes(({ kind }) => kind === 'messages.read')
  const [contents, statements, given, ends, reads] = await Promise.all([
    contentsAt(tx, operation, posts),
    statementsOf(tx, operation, leaves),
    grantsGivenAt(tx, operation, keys, asked.devices),
    deps.sessions.endsAmong(tx, asked.sessions),
    readsAt(tx, operation, readings),
  ])
  const grants = Map.groupBy(given, ({ index }) => index)
  const signed = leaves.map(
    ({ index, digest }) =>
      contents.get(index)?.statement ?? (digest === undefined ? undefined : statements.get(digest)),
  )
  const carried = await carriedChains(tx, leaves, statements)
  const signers = asked.partial === true ? await signersOf(tx, leaves, signed) : undefined
  const entries = stored.map(({ text }, i): EntryForReaders => {
    const leaf = leaves[i] as Leaf
    const content = contents.get(leaf.index)
    const statement = signed[i]
    const chain = carried[i]
    const frames = framesOf(operation, { leaf, text, statement, chain }, content)
    const signer = chain === undefined ? signers?.[i] : undefined
    return {
      leaf,
      statement,
      hasContent: content !== undefined,
      ...frames,
      signer,
      grants: grants.get(leaf.index) ?? [],
    }
  })
  return { entries, ends, reads }
}

interface FrameParts {
  readonly leaf: Leaf
  readonly text: string
  readonly statement: string | undefined
  readonly chain: string[] | undefined
}

type SealedParts = Pick<Content, 'body' | 'extract' | 'salt'>

/** Makes the frames of an entry, with the sealed parts of its message that are still kept. */
function framesOf(operation: string, { leaf, text, statement, chain }: FrameParts, sealed: SealedParts | undefined) {
  const frame: EntryFrame = {
    type: 'entry',
    operation,
    index: leaf.index,
    leaf: text,
    ...definedMembers({ statement, chain }),
  }
  const bare = new SharedFrame(frame)
  if (sealed === undefined) return { bare, whole: bare }
  const { body, extract, salt } = sealed
  const kept = definedMembers({ body: body ?? undefined, extract: extract ?? undefined, salt: salt ?? undefined })
  return { bare, whole: new SharedFrame({ ...frame, ...kept }) }
}

/** Kinds whose readers get the leaf alone, and about which nobody is told anything else. */
const bareKinds: ReadonlySet<string> = new Set<Kind>(['messages.delivered', 'feed.opened'])

/**
 * Answers what readers get of entries that this server has just committed, as `readEntries` would
 * answer it; undefined where more than the entries is needed, which the database has.
 */
export function entriesInMemory(
  operation: string,
  committed: readonly CommittedEntry[],
): readonly EntryForReaders[] | undefined {
  const entries: EntryForReaders[] = []
  for (const { kind, leaf, text, draft } of committed) {
    const { message } = draft
    if (message === undefined && !bareKinds.has(kind)) return undefined
    const statement = message?.statement
    const sealed = message && { body: message.body, extract: message.extract ?? null, salt: message.salt ?? null }
    const frames = framesOf(operation, { leaf, text, statement, chain: undefined }, sealed)
    entries.push({ leaf, statement, hasContent: sealed !== undefined, ...frames, signer: undefined, grants: [] })
  }
  return entries
}

/**
 * Answers for each entry the certificates that every reader gets with it: readers need them to
 * believe a new device, the first coordinator or a revoker. Undefined where the operation has shown
 * them before.
 */
async function carriedChains(
  tx: Tx,
  leaves: readonly Leaf[],
  statements: ReadonlyMap<string, string>,
): Promise<(string[] | undefined)[]> {
  const certificates = leaves
    .filter((leaf) => statementTypeOf(leaf) === 'certificate')
    .flatMap(({ digest }) => statements.get(digest ?? '') ?? [])
  const chains = await chainsOf(tx, certificates)
  // A revoker need not be a member of the operation.
  const actors = leaves.flatMap(({ kind, actor }) =>
    (kind === 'operation.created' || kind === 'device.revoked') && 'device' in actor ? [actor.device] : [],
  )
  const chainsOfActors = await chainsOfDevices(tx, actors)
  return leaves.map((leaf) => {
    if (statementTypeOf(leaf) === 'certificate') return chains.get(leaf.digest ?? '')
    const { kind, actor } = leaf
    const carries = kind === 'operation.created' || kind === 'device.revoked'
    return carries && 'device' in actor ? chainsOfActors.get(actor.device) : undefined
  })
}

async function chainsOfDevices(tx: Tx, devices: readonly string[]): Promise<Map<string, string[]>> {
  const chains = new Map<string, string[]>()
  for (const device of new Set(devices)) chains.set(device, await chainOfDevice(tx, device))
  return chains
}

/**
 * Answers for each entry the certificate under which it was signed, which may have been renewed
 * since, and those above it; undefined where nothing was signed.
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

interface Reader {
  readonly withContent: boolean
  readonly partial: boolean
  /**
   * The key for the reader's own device, where the entry opened an epoch that the reader may read.
   */
  readonly grant: string | undefined
}

/**
 * Makes the frame of an entry for one reader, with the signer's certificates where the reader's
 * view is partial and may not show the signer.
 */
export function frameFor(entry: EntryForReaders, { withContent, partial, grant }: Reader): string {
  const shared = withContent ? entry.whole : entry.bare
  const chain = partial ? entry.signer : undefined
  const own = entry.leaf.kind === 'epoch.opened' ? grant : undefined
  if (chain === undefined && own === undefined) return shared.text
  return shared.with(definedMembers({ chain, grant: own }))
}
