import type { Tx } from '../../db/index.ts'
import { Problem } from '../../errors.ts'
import { differences, finding } from '../../identity/index.ts'
import type { Findings, Owner, Standing } from '../../log/index.ts'
import type { VerifiedViews } from '../../operations/index.ts'
import {
  messageKind,
  VerifyKeys,
  checkBody,
  digestOfExtract,
  readMessageStatement,
  verifySignature,
  type Leaf,
  type MessageStatement,
  type OperationView,
} from '../../protocol/index.ts'
import { judgePost } from '../post.ts'
import { findMessages } from '../store.ts'
import { consultedOwners } from './consultation.ts'
import { countContents, messagesByIndex, type RawMessage } from './store.ts'

const kinds: readonly string[] = ['message.posted', 'message.corrected', 'message.withdrawn']

/**
 * The owner of messages. Each message has exactly one entry and each entry one message. The entry
 * commits to the statement, which a device signed that was certified then, of a member who could
 * post it; body and extract are those that the statement names; every column repeats the statement.
 */
export function messagesOwners(views: VerifiedViews): Owner[] {
  const message: Owner = {
    name: 'message',
    open(tx, log) {
      const { operation } = log
      if (operation === null) return { expects: () => 'none', rows: (async function* () {})() }
      const verification = new MessageVerification(tx, operation, views)
      return {
        expects: ({ kind }) => (kinds.includes(kind) ? 'one' : 'none'),
        rows: (async function* () {
          for await (const row of messagesByIndex(tx, operation)) {
            yield { index: row.log_index, check: (leaf) => finding('its message', () => verification.check(row, leaf)) }
          }
        })(),
        finish: () => verification.finish(),
      }
    },
  }
  return [message, ...consultedOwners()]
}

class MessageVerification {
  readonly #tx: Tx
  readonly #operation: string
  readonly #views: VerifiedViews
  readonly #keys = new VerifyKeys()
  #threads = 0
  #bodies = 0
  #extracts = 0

  constructor(tx: Tx, operation: string, views: VerifiedViews) {
    this.#tx = tx
    this.#operation = operation
    this.#views = views
  }

  async check(row: RawMessage, leaf: Leaf): Promise<Findings> {
    const statement = await readMessageStatement(row.jws)
    const view = this.#views.current(this.#operation)
    if (!view) return ['the operation around its message could not be verified']
    const faults = [...this.#compareLeaf(row, leaf, statement), ...(await this.#checkContents(row, statement))]
    const certificate = view.devices.get(statement.signer)
    if (!certificate) return [...faults, 'its message was signed by a device that was not live in the operation']
    await verifySignature(statement, await this.#keys.of(certificate))
    faults.push(...(await this.#judge(row, statement, view)))
    if (row.thread_opened === row.log_index) this.#threads++
    return faults
  }

  #compareLeaf(row: RawMessage, leaf: Leaf, { payload, hash, signer }: MessageStatement): string[] {
    const actor = 'person' in leaf.actor ? leaf.actor : { person: '', organization: '', device: '' }
    const as = payload.refersTo?.as
    const faults = differences<RawMessage>(row, {
      operation_id: payload.operation,
      id: payload.id,
      log_index: leaf.index,
      hash,
      thread_id: payload.thread,
      compartment_id: payload.compartment,
      device_id: signer,
      person_id: actor.person,
      organization_id: actor.organization,
      form: payload.form.id,
      form_version: payload.form.version,
      precedence: payload.precedence,
      exercise: payload.exercise === true,
      refers_as: as ?? null,
      refers_to: payload.refersTo?.message ?? null,
      thread_compartment: payload.compartment,
    })
    const said = {
      kind: messageKind(as),
      subject: payload.id,
      digest: hash,
      compartment: payload.compartment,
      log: payload.operation,
    }
    for (const [name, value] of Object.entries(said))
      if (leaf[name as keyof Leaf] !== value) faults.push(`its message has another ${name} than its leaf`)
    if (actor.device !== signer) faults.push('its message was signed by a device that is not its actor')
    return faults
  }

  async #checkContents({ jwe, content, salt }: RawMessage, statement: MessageStatement): Promise<string[]> {
    const faults: string[] = []
    if (jwe === null) faults.push('its body is missing')
    else {
      this.#bodies++
      faults.push(...(await finding('its body', () => checkBody(statement, jwe).then(() => []))))
    }
    const { extract } = statement.payload
    if (content === null || salt === null) {
      if (extract !== undefined) faults.push('its extract is missing')
      return faults
    }
    this.#extracts++
    if (extract === undefined) return [...faults, 'it has an extract that its statement does not name']
    const compare = async () => ((await digestOfExtract(salt, content)) === extract.sha256 ? [] : ['it is another one'])
    return [
      ...faults,
      ...(await finding('its extract', compare)).map((what) => `its extract is not the one named: ${what}`),
    ]
  }

  /**
   * Judges, by the rules of the appender itself, whether its sender could post this at that point
   * of the log.
   */
  async #judge(row: RawMessage, statement: MessageStatement, view: OperationView): Promise<string[]> {
    const { refersTo, id } = statement.payload
    const target = refersTo && (await findMessages(this.#tx, this.#operation, [refersTo.message])).get(refersTo.message)
    const faults: string[] = []
    if (target && target.log_index >= row.log_index) faults.push('it refers to a message that came later')
    const chained = refersTo?.as === 'correction' || refersTo?.as === 'withdrawal'
    const standsFor = chained ? (target?.stands_for ?? id) : id
    if (row.stands_for !== standsFor) faults.push('its stands_for is not the first of its corrections')
    const actor: Standing = {
      session: '',
      person: row.person_id,
      organization: row.organization_id,
      device: row.device_id,
      tier: '',
      listed: null,
    }
    const threads = new Map(row.thread_opened < row.log_index ? [[row.thread_id, row.thread_compartment ?? '']] : [])
    try {
      judgePost(view, actor, { operation: this.#operation, statement }, { threads, target })
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      faults.push(`its sender could not post it: ${error.code} ${error.message}`)
    }
    return faults
  }

  async finish(): Promise<string[]> {
    const stored = await countContents(this.#tx, this.#operation)
    const known = { bodies: this.#bodies, extracts: this.#extracts, threads: this.#threads }
    return Object.entries(known)
      .filter(([name, count]) => stored[name as keyof typeof stored] !== count)
      .map(
        ([name, count]) =>
          `it has ${stored[name as keyof typeof stored]} ${name} where ${count} belong to its messages`,
      )
  }
}
