import { createHash } from 'node:crypto'
import { transaction, type Database, type Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import { asActor, chainsOf, isPlatformAuditor, newestCertificates, type SignedInCaller } from '../identity/index.ts'
import type { LogQuery, Logs } from '../log/index.ts'
import { contentsAt, noteAct } from '../messages/index.ts'
import { authorize, enterOperation, statementsOf } from '../operations/index.ts'
import { parseLeaf, timestamp, type Evidence, type Leaf, type OperationView } from '../protocol/index.ts'
import { manual } from './manual.ts'

export interface EvidenceDeps {
  readonly db: Database
  readonly logs: Logs<OperationView>
  readonly clock: () => Date
  readonly logHost: string
  /** Verifier keys of the witnesses that this service asks. */
  readonly witnessKeys: readonly string[]
  /** Answers the thumbprint of the root of trust. */
  root(): Promise<string>
}

export interface EvidenceInput {
  readonly query: LogQuery
  readonly justification: string
  /** The recipient as the person who exports it states it: name, organization and country. */
  readonly recipient: { readonly name: string; readonly organization: string; readonly country?: string }
  readonly legalBasis: string
}

type EvidenceEntry = Evidence['entries'][number]

/**
 * The most entries of one bundle: a larger one is no evidence of a fact, but a copy of the log,
 * which has its tiles for that.
 */
const mostEntries = 2_000
const pageEntries = 500

/** Bundles of evidence: entries of one log with all that proves them, for auditors to hand on. */
export class EvidenceBundles {
  readonly #deps: EvidenceDeps

  constructor(deps: EvidenceDeps) {
    this.#deps = deps
  }

  /**
   * Answers the bundle as one JSON text. Before a byte of it is given, the log records that it was
   * made, of what, for whom and why, with its SHA-256. NOT_FOUND and FORBIDDEN by access,
   * EVIDENCE_EMPTY, EVIDENCE_TOO_LARGE.
   */
  async make(actor: SignedInCaller, log: string, input: EvidenceInput): Promise<string> {
    await this.#requireAuditor(actor, log)
    const found = await this.#find(log, input.query)
    const last = found.at(-1)
    if (last === undefined) throw new Problem('EVIDENCE_EMPTY')
    const evidence = await this.#compose(actor, log, input, found, last.leaf.index)
    const text = `${JSON.stringify(evidence, null, 1)}\n`
    await this.#enter(actor, log, input, found.length, createHash('sha256').update(text).digest('base64url'))
    return text
  }

  async #requireAuditor(actor: SignedInCaller, log: string): Promise<void> {
    const { db, logs } = this.#deps
    if (log !== logs.directory) return void (await transaction(db, (tx) => authorize(tx, actor, log, 'log.export')))
    if (!isPlatformAuditor(actor)) throw new Problem('AUDITOR_ONLY')
  }

  async #find(log: string, query: LogQuery): Promise<{ leaf: Leaf; entry: Omit<EvidenceEntry, 'proof'> }[]> {
    const found: { leaf: Leaf; entry: Omit<EvidenceEntry, 'proof'> }[] = []
    const everything = async (tx: Tx) => {
      await enterOperation(tx, log)
      return { kinds: undefined, shows: () => true, showsDetails: () => true }
    }
    for (let after: number | undefined; ;) {
      const { entries, next } = await this.#deps.logs.query(
        log,
        { ...query, limit: pageEntries, ...(after === undefined ? {} : { after }) },
        everything,
      )
      for (const entry of entries) found.push({ leaf: parseLeaf(entry.leaf), entry })
      if (found.length > mostEntries) throw new Problem('EVIDENCE_TOO_LARGE', { most: mostEntries })
      if (next === null) return found.reverse()
      after = next
    }
  }

  async #compose(
    actor: SignedInCaller,
    log: string,
    { query, justification }: EvidenceInput,
    found: readonly { leaf: Leaf; entry: Omit<EvidenceEntry, 'proof'> }[],
    last: number,
  ): Promise<Evidence> {
    const { logs, db, clock, logHost, witnessKeys } = this.#deps
    const { size, note } = await logs.covering(log, last)
    const proofs = await logs.inclusions(
      log,
      found.map(({ leaf }) => leaf.index),
      size,
    )
    const leaves = found.map(({ leaf }) => leaf)
    const { statements, certificates } = await transaction(db, (tx) => this.#statements(tx, log, leaves))
    return {
      format: 'cordon-evidence/v1',
      manual: [...manual],
      log,
      host: logHost,
      made: {
        at: timestamp(clock()),
        person: actor.person,
        organization: actor.organization,
        query: askedOf(query),
        justification,
      },
      keys: { log: await logs.verifierKeys(log), witnesses: [...witnessKeys] },
      root: await this.#deps.root(),
      checkpoint: note,
      certificates,
      entries: found.map(({ leaf, entry }, i) => {
        const statement = leaf.digest === undefined ? undefined : statements.get(leaf.digest)
        return { ...entry, proof: proofs[i] ?? [], ...(statement === undefined ? {} : { statement }) }
      }),
    }
  }

  /**
   * Answers the statements that entries commit to, by digest, and the certificates of their actors.
   */
  async #statements(
    tx: Tx,
    log: string,
    leaves: readonly Leaf[],
  ): Promise<{ statements: ReadonlyMap<string, string>; certificates: string[] }> {
    await enterOperation(tx, log)
    const statements = new Map(await statementsOf(tx, log, leaves))
    const messages = leaves.filter(({ kind }) => kind.startsWith('message.')).map(({ index }) => index)
    const contents = await contentsAt(tx, log, messages)
    for (const { index, digest } of leaves) {
      const content = contents.get(index)
      if (content !== undefined && digest !== undefined) statements.set(digest, content.statement)
    }
    const devices = [...new Set(leaves.flatMap(({ actor }) => ('device' in actor ? [actor.device] : [])))]
    const signers = [...(await newestCertificates(tx, devices)).values()]
    const certified = leaves
      .filter(({ kind }) => kind === 'device.certified')
      .flatMap(({ digest }) => statements.get(digest ?? '') ?? [])
    const own = [...new Set([...signers, ...certified])]
    const above = [...(await chainsOf(tx, own)).values()].flat()
    return { statements, certificates: [...new Set([...own, ...above])] }
  }

  async #enter(
    actor: SignedInCaller,
    log: string,
    input: EvidenceInput,
    entries: number,
    digest: string,
  ): Promise<void> {
    const { db, logs } = this.#deps
    const { justification, recipient, legalBasis, query } = input
    const details = { entries, query: askedOf(query), justification, recipient, legalBasis, session: actor.session }
    if (log !== logs.directory) {
      const note = { kind: 'export.made', subject: 'evidence', permission: 'log.export', details, digest } as const
      await logs.append(log, noteAct, note, actor)
      return
    }
    const draft = { kind: 'export.made', actor: asActor(actor), subject: 'evidence', details, digest } as const
    const appended = await transaction(db, (tx) => logs.appendWithin(tx, [{ log, drafts: [draft] }]))
    appended.afterCommit()
  }
}

/** Answers the query without the size of its pages, which the caller did not choose. */
function askedOf({ asked }: LogQuery): Record<string, string | number> {
  const { limit: _, ...rest } = asked
  return rest
}
