import {
  ProtocolError,
  base64url,
  fromBase64url,
  leafHash,
  openCheckpoint,
  parseLeaf,
  parseWitnessPolicy,
  verifyConsistency,
  verifyInclusion,
  type NoteKey,
  type Receipt,
} from '../protocol/index.ts'
import { logKeysOf, type Pins } from './certificates.ts'
import { sleep, type Platform } from './platform.ts'
import { isProblem } from './problem.ts'
import { verifyCheckpoint, type SeenCheckpoint } from './receipt.ts'
import type { ClientStore } from './store.ts'
import type { Transport } from './transport.ts'
import { isOverdue, readFinal, readPin, readWitnessRecord, rememberFinal } from './witness-watch.ts'

export interface SelfCheck {
  /** The size of the newest published checkpoint. */
  readonly size: number
  /** The root of that checkpoint, base64url. */
  readonly root: string
  /** The number of receipts of this device that were proven to be in it. */
  readonly receipts: number
  /**
   * The number of entries that the pinned witnesses have cosigned; undefined where no witnesses are
   * pinned.
   */
  readonly cosigned?: number
  readonly discrepancies: readonly { readonly index?: number; readonly what: string }[]
}

const proofsAtOnce = 8
/** How long to wait for a checkpoint: it is published at most a second after an entry. */
const publicationWait = { times: 10, milliseconds: 500 }

/**
 * Checks what a member can check of a log without its rows: the pinned keys signed the newest
 * checkpoint; the log has grown from the one that this device has seen; every message of this
 * device with a receipt is in the log at the index of the receipt (RFC 9162, 2.1.3 and 2.1.4).
 */
export async function checkOwnPlace(
  { transport, store, pins, platform }: CheckDeps,
  operation: string,
  progress: (done: number, of: number) => void = () => {},
): Promise<SelfCheck> {
  const prefix = `operation/${operation}/`
  const discrepancies: { index?: number; what: string }[] = []
  const receipts = (await store.list(`${prefix}receipt/`)).map(
    ([name, value]) => [name.slice(`${prefix}receipt/`.length), value as Receipt] as const,
  )
  const promised = Math.max(-1, ...receipts.map(([, { index }]) => index))
  const note = await publishedBeyond(promised, { transport, platform }, operation)
  const prove = async (path: string) =>
    (await transport.request<{ proof: string[] }>('GET', `/v1/logs/${operation}/${path}`)).proof
  const place = (await store.get(`${prefix}place`)) as { seen?: SeenCheckpoint; position?: number } | undefined
  const seen = place?.seen
  const keys = await logKeysOf(pins, operation)
  let newest: SeenCheckpoint
  try {
    newest = await verifyCheckpoint(note, keys, undefined, undefined)
  } catch (error) {
    const why = error instanceof Error ? error.message : ''
    return {
      size: sizeOf(note),
      root: '',
      receipts: 0,
      discrepancies: [{ what: `the checkpoint is not signed by the pinned keys: ${why}` }],
    }
  }
  // The live channel signs a checkpoint for each subscriber and publishes it within a second.
  const [older, newer] = seen ? inOrder(seen, newest) : [undefined, newest]
  const setBack =
    seen !== undefined && seen.size > newest.size && !(await catchesUp(transport, operation, keys, seen.size, platform))
  // The service cannot prove anything about entries that the log has lost.
  const shown = setBack ? newest : newer
  if (setBack)
    discrepancies.push({
      what: `this device verified ${String(seen.size)} entries, and the service shows ${String(newest.size)}: the log was set back by ${String(seen.size - newest.size)}`,
    })
  else if (older && !(await grew(older, newer, prove)))
    discrepancies.push({ what: `the log has not grown from the ${String(older.size)} entries that this device saw` })

  const position = place?.position ?? -1
  const witnessed = await checkWitnesses({ transport, store, pins, platform }, operation, { position, receipts })
  discrepancies.push(...witnessed.faults.map((what) => ({ what })))
  const { final } = witnessed
  if (final && !(setBack || (await grew(...inOrder(final, newer), prove))))
    discrepancies.push({ what: `the witnesses cosigned another log of ${String(final.size)} entries` })
  else if (final) await rememberFinal(store, prefix, final)

  let done = 0
  let held = 0
  const queue = receipts[Symbol.iterator]()
  const worker = async () => {
    for (const [message, receipt] of queue) {
      const wrong = await whatIsWrong(operation, message, receipt, shown, keys[0], prove)
      if (wrong === undefined) held++
      else discrepancies.push({ index: receipt.index, what: wrong })
      progress(++done, receipts.length)
    }
  }
  await Promise.all(Array.from({ length: proofsAtOnce }, worker))
  discrepancies.push(...datedBack(receipts.map(([, receipt]) => receipt)))
  discrepancies.sort((a, b) => (a.index ?? -1) - (b.index ?? -1))
  const cosigned = witnessed.pinned ? { cosigned: final?.size ?? 0 } : {}
  return { ...shown, receipts: held, ...cosigned, discrepancies }
}

/**
 * The newest published checkpoint, once it has more entries than this index, or as it is after a
 * while.
 */
async function publishedBeyond(
  index: number,
  { transport, platform }: Pick<CheckDeps, 'transport' | 'platform'>,
  operation: string,
): Promise<string> {
  let note = ''
  for (let n = 0; n < publicationWait.times && !(sizeOf(note) > index); n++) {
    if (n > 0) await sleep(platform, publicationWait.milliseconds)
    note = await transport.text(`/v1/logs/${operation}/checkpoint`)
  }
  return note
}

interface CheckDeps {
  readonly transport: Transport
  readonly store: ClientStore
  readonly pins: Pins
  readonly platform: Platform
}

interface WitnessFindings {
  readonly pinned: boolean
  readonly final?: SeenCheckpoint
  readonly faults: readonly string[]
}

/**
 * Whether the pinned witnesses vouch for what this device accepted: within the lag, and for no
 * fewer entries than before.
 */
async function checkWitnesses(
  { transport, store, pins, platform }: CheckDeps,
  operation: string,
  has: { position: number; receipts: readonly (readonly [string, Receipt])[] },
): Promise<WitnessFindings> {
  const pin = await readPin(store)
  if (!pin) return { pinned: false, faults: [] }
  const policy = await parseWitnessPolicy(pin.policy)
  const kept = await readWitnessRecord(store, `operation/${operation}/`)
  // The last mark reaches up to what was accepted when its process ended.
  const accepted = kept.accepted.map((mark, n, all) =>
    n === all.length - 1 ? { ...mark, upTo: Math.max(mark.upTo, has.position) } : mark,
  )
  for (let n = 0; ; n++) {
    const final = await readFinal(transport, operation, pins, policy).catch(whyNot)
    if (final instanceof Error)
      return { pinned: true, faults: [`the pinned witnesses do not vouch for it: ${final.message}`] }
    if (kept.final && final.size < kept.final.size) {
      const before = `this device saw that the witnesses had cosigned ${String(kept.final.size)} entries`
      return { pinned: true, final, faults: [`${before}, and the service shows ${String(final.size)} of them`] }
    }
    const now = platform.clock()
    const { position, receipts } = has
    const { size } = final
    const since = now.getTime() - pin.lag * 60_000
    const late =
      isOverdue({ position, size, accepted }, pin.lag, now) ||
      receipts.some(([, { index, leaf }]) => index >= size && Date.parse(timeOf(leaf)) < since)
    if (!late) return { pinned: true, final, faults: [] }
    // Witnesses cosign a new checkpoint within a second or two.
    if (n === publicationWait.times) {
      const words = `entries that this device accepted more than ${String(pin.lag)} minutes ago have too few cosignatures`
      return { pinned: true, final, faults: [`${words}: the witnesses are at ${String(size)} entries`] }
    }
    await sleep(platform, publicationWait.milliseconds)
  }
}

/** The time of a leaf; empty where the leaf cannot be read, which another check finds. */
function timeOf(text: string): string {
  try {
    return parseLeaf(text).at
  } catch (error) {
    if (error instanceof ProtocolError) return ''
    throw error
  }
}

/** Receipts whose entry is dated before an earlier entry. */
function datedBack(receipts: readonly Receipt[]): { index: number; what: string }[] {
  const faults: { index: number; what: string }[] = []
  let last = ''
  for (const { index, leaf } of receipts.toSorted((a, b) => a.index - b.index)) {
    const at = timeOf(leaf)
    if (at < last) faults.push({ index, what: 'it is dated before an entry that precedes it' })
    else last = at
  }
  return faults
}

/**
 * Whether a published checkpoint reaches, within some seconds, the size that the live channel has
 * signed already.
 */
async function catchesUp(
  transport: Transport,
  operation: string,
  keys: readonly NoteKey[],
  size: number,
  platform: Platform,
): Promise<boolean> {
  for (let n = 0; n < publicationWait.times; n++) {
    const note = await transport.text(`/v1/logs/${operation}/checkpoint`)
    if ((await verifyCheckpoint(note, keys, undefined, undefined)).size >= size) return true
    await sleep(platform, publicationWait.milliseconds)
  }
  return false
}

/**
 * The fault where the service lacks something or shows it wrongly. Throws other errors again: a
 * service that cannot be reached is no finding.
 */
function whyNot(error: unknown): Error {
  if (error instanceof ProtocolError || isProblem(error, 'NOT_WITNESSED')) return error
  throw error
}

function inOrder(one: SeenCheckpoint, other: SeenCheckpoint): [older: SeenCheckpoint, newer: SeenCheckpoint] {
  return one.size <= other.size ? [one, other] : [other, one]
}

const sizeOf = (note: string) => Number(note.split('\n')[1])

type Prove = (path: string) => Promise<string[]>

async function grew(older: SeenCheckpoint, newer: SeenCheckpoint, prove: Prove): Promise<boolean> {
  if (older.size === newer.size) return older.root === newer.root
  const proof = await prove(`consistency?from=${String(older.size)}&to=${String(newer.size)}`)
  const [from, to] = [fromBase64url(older.root), fromBase64url(newer.root)]
  return holds(() => verifyConsistency(older.size, newer.size, from, to, proof.map(fromBase64url)))
}

async function whatIsWrong(
  operation: string,
  message: string,
  receipt: Receipt,
  newest: SeenCheckpoint,
  key: NoteKey,
  prove: Prove,
): Promise<string | undefined> {
  const { index } = receipt
  if (index >= newest.size) return 'a message with a receipt is beyond the end of the log'
  const fits = await holds(async () => {
    const leaf = parseLeaf(receipt.leaf)
    await openCheckpoint(receipt.checkpoint, key)
    return leaf.log === operation && leaf.index === index && leaf.subject === message
  })
  if (!fits) return 'a receipt in this store is not of its message, or not signed'
  const proof = await prove(`inclusion?index=${String(index)}&size=${String(newest.size)}`)
  const root = fromBase64url(newest.root)
  const hash = await leafHash(receipt.leaf)
  if (await holds(() => verifyInclusion(hash, index, newest.size, proof.map(fromBase64url), root))) return undefined
  return `the log does not hold the entry ${base64url(hash)} that a receipt promised`
}

async function holds(check: () => Promise<boolean>): Promise<boolean> {
  try {
    return await check()
  } catch (error) {
    if (error instanceof ProtocolError) return false
    throw error
  }
}
