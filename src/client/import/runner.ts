import { comparingForm } from '../../forms/index.ts'
import { may } from '../../access.ts'
import {
  ProtocolError,
  demand,
  digestOf,
  fromBase64url,
  fromUtf8,
  importSealPublicKey,
  openSealed,
  readImportKey,
  sealTo,
  signImportKey,
  utf8,
  verifySignature,
  type Bytes,
} from '../../protocol/index.ts'
import type { Self } from '../account.ts'
import { proveTogether, verifyKeys } from '../certificates.ts'
import type { Message } from '../message.ts'
import type { OperationSession } from '../operation-session.ts'
import type { Platform } from '../platform.ts'
import { isProblem, refuse } from '../problem.ts'
import type { Transparency } from '../transparency.ts'
import type { Transport } from '../transport.ts'
import { fieldChanges, importedRows, type FieldChange, type ImportedRow } from './changes.ts'
import { importMessageId } from './id.ts'
import type { Mapping } from './mapping.ts'
import type { MappedRow } from './rows.ts'

export interface ImportInput {
  readonly session: OperationSession
  readonly mapping: Mapping
  /** The rows of `mapRows`, which must have given no fault. */
  readonly rows: readonly MappedRow[]
  /** SHA-256 of the file, base64url. */
  readonly file: string
  /** Whether rows whose source changed since they were imported are corrected. */
  readonly update?: boolean
  /**
   * Brings the operation in step with the file: rows that changed are corrected, rows that the file
   * does not have any more are withdrawn, and rows that came back are sent again.
   */
  readonly inStep?: boolean
  readonly compartment?: string
  /**
   * Makes a new import key for the organization, where the present one is refused (an NCP or a
   * coordinator). Rows that were imported before are unknown under it and are sent again.
   */
  readonly newKey?: boolean
  /** The number of posts that run at one time; 32 if not given. */
  readonly inFlight?: number
  readonly onProgress?: (progress: { readonly done: number; readonly of: number }) => void
}

export interface ImportOutcome {
  readonly rows: number
  readonly imported: number
  /** The number of rows that were imported before. */
  readonly already: number
  /**
   * The rows whose source changed since they were imported: corrected with `update`, otherwise only
   * listed.
   */
  readonly changed: readonly { readonly line: number; readonly key: string }[]
  readonly corrected: number
  /** The rows that were imported and are not in the file any more: withdrawn with `inStep`. */
  readonly gone: readonly { readonly key: string; readonly message: string }[]
  readonly withdrawn: number
  /** The rows that were withdrawn and are in the file again: sent again with `inStep`. */
  readonly returned: readonly { readonly line: number; readonly key: string }[]
  readonly restored: number
  /** The index of the entry that records the import. */
  readonly index: number
}

/** What a file says otherwise than the operation, before anything is sent. */
export interface ImportProposal {
  /** The number of rows that the operation does not have. */
  readonly fresh: number
  readonly already: number
  readonly changed: readonly {
    readonly line: number
    readonly key: string
    readonly message: string
    readonly fields: readonly FieldChange[]
  }[]
  readonly gone: readonly { readonly key: string; readonly message: string; readonly subject?: string }[]
  readonly returned: readonly { readonly line: number; readonly key: string }[]
}

export interface ImportDeps {
  readonly platform: Platform
  readonly transport: Transport
  readonly transparency: Transparency
  readonly self: () => Self
}

interface SealedCopy {
  readonly device: string
  readonly sealed: string
}

interface SealedKey extends SealedCopy {
  /** The certificate of the device that sealed the key, and the certificates above it. */
  readonly chain: readonly string[]
}

interface Task {
  readonly id: string
  readonly does: 'imported' | 'corrected' | 'withdrawn' | 'restored'
  readonly row: Pick<MappedRow, 'form' | 'version' | 'fields' | 'subject'>
  readonly about?: { readonly message: Message; readonly as: 'correction' | 'withdrawal' }
}

interface Plan {
  readonly tasks: readonly Task[]
  readonly already: number
  readonly changed: readonly { readonly row: MappedRow; readonly last: Message }[]
  readonly gone: readonly ImportedRow[]
  readonly returned: readonly MappedRow[]
}

const mostIdsPerRequest = 1000

/**
 * Sends rows as sealed messages, each under an id that only the organization can compute. It first
 * asks which ids the operation has, so that a repetition sends no row twice. Rows that changed are
 * listed, and corrected with `update`. Ends with one entry that records the import. Throws
 * IMPORT_KEY_MISSING where another device of the organization holds the key and this one does not.
 */
export async function importRows(deps: ImportDeps, input: ImportInput): Promise<ImportOutcome> {
  const { session, rows, mapping, newKey = false } = input
  await session.ready()
  const key = newKey ? await replaceImportKey(deps, session) : await importKey(deps, session)
  const { tasks, already, changed, gone, returned } = await planOf(deps, input, key)
  const counts = await sendAll(input, tasks)
  const { imported, corrected } = counts
  const { index } = await deps.transport.request<{ index: number }>(
    'POST',
    `/v1/operations/${session.operation}/imports`,
    {
      mapping: await digestOf(JSON.stringify(mapping)),
      file: input.file,
      rows: rows.length,
      imported: imported + counts.restored,
      already: already - counts.restored,
      corrected,
    },
  )
  const named = (row: MappedRow) => ({ line: row.line, key: row.key })
  return {
    rows: rows.length,
    already,
    changed: changed.map(({ row }) => named(row)),
    gone: gone.map(({ key: rowKey, last }) => ({ key: rowKey, message: last.id })),
    returned: returned.map(named),
    ...counts,
    index,
  }
}

/** What an import with `inStep` would send. Sends nothing and records nothing. */
export async function proposeImport(
  deps: ImportDeps,
  input: Pick<ImportInput, 'session' | 'mapping' | 'rows'>,
): Promise<ImportProposal> {
  await input.session.ready()
  const key = await importKey(deps, input.session)
  const { tasks, already, changed, gone, returned } = await planOf(deps, input, key)
  return {
    fresh: tasks.filter(({ does }) => does === 'imported').length,
    already,
    changed: changed.map(({ row, last }) => ({
      line: row.line,
      key: row.key,
      message: last.id,
      fields: fieldChanges(last, row),
    })),
    gone: gone.map(({ key: rowKey, last }) => ({
      key: rowKey,
      message: last.id,
      ...(last.subject === undefined ? {} : { subject: last.subject }),
    })),
    returned: returned.map(({ line, key: rowKey }) => ({ line, key: rowKey })),
  }
}

type PlanInput = Pick<ImportInput, 'session' | 'mapping' | 'rows' | 'update' | 'inStep'>

async function planOf(deps: ImportDeps, input: PlanInput, key: Bytes): Promise<Plan> {
  const { session, rows, mapping, inStep = false } = input
  const idOf = (rowKey: string, revision?: string) =>
    importMessageId(key, session.operation, mapping.mapping, rowKey, revision)
  const before = importedRows(session.messages, mapping.mapping, deps.self().account.organization)
  // Rows were once known by their key as it is written, which the file may write otherwise now: an
  // id of each form is known.
  const ids = await Promise.all(
    rows.map(({ key: written }) => {
      const form = comparingForm(written)
      return Promise.all([...new Set([form, written, before.get(form)?.key ?? form])].map((one) => idOf(one)))
    }),
  )
  const known = await knownIds(deps, session.operation, [...new Set(ids.flat())])
  const tasks: Task[] = []
  const changed: { row: MappedRow; last: Message }[] = []
  const returned: MappedRow[] = []
  let already = 0
  for (const [n, row] of rows.entries()) {
    const forms = ids[n] ?? []
    const [id = ''] = forms
    if (!forms.some((one) => known.has(one))) {
      tasks.push({ row, id, does: 'imported' })
      continue
    }
    already++
    const rowKey = comparingForm(row.key)
    const imported = before.get(rowKey)
    if (imported?.withdrawal !== undefined) {
      returned.push(row)
      const again = `${row.source} back after ${imported.withdrawal.id}`
      if (inStep) tasks.push({ row, id: await idOf(rowKey, again), does: 'restored' })
      continue
    }
    if (imported === undefined || imported.source === row.source) continue
    const { last } = imported
    changed.push({ row, last })
    // The revision names the version that it replaces: a row may change back and forth, and each
    // change is sent once.
    const revision = `${row.source} after ${last.id}`
    if (inStep || input.update === true)
      tasks.push({
        row,
        id: await idOf(rowKey, revision),
        does: 'corrected',
        about: { message: last, as: 'correction' },
      })
  }
  const present = new Set(rows.map((row) => comparingForm(row.key)))
  const gone = [...before].flatMap(([rowKey, row]) =>
    row.withdrawal === undefined && !present.has(rowKey) ? [{ rowKey, row }] : [],
  )
  if (inStep)
    for (const { rowKey, row } of gone)
      tasks.push({
        row: withdrawalOf(row),
        id: await idOf(rowKey, `gone after ${row.last.id}`),
        does: 'withdrawn',
        about: { message: row.last, as: 'withdrawal' },
      })
  return { tasks, already, changed, gone: gone.map(({ row }) => row), returned }
}

function withdrawalOf({ key }: ImportedRow): Task['row'] {
  const text = `The source of this message does not have the row ${key} any more.`
  return { form: 'text', version: 1, fields: { text } }
}

async function sendAll(
  { session, inFlight = 32, onProgress, compartment }: ImportInput,
  tasks: readonly Task[],
): Promise<Record<Task['does'], number>> {
  const counts = { imported: 0, corrected: 0, withdrawn: 0, restored: 0 }
  let next = 0
  let done = 0
  onProgress?.({ done, of: tasks.length })
  const worker = async () => {
    for (let task = tasks[next++]; task; task = tasks[next++]) {
      const { row, id, about, does } = task
      const { form, version, fields, subject } = row
      try {
        await session.post({
          id,
          form,
          version,
          fields,
          ...(subject === undefined ? {} : { subject }),
          ...(compartment === undefined ? {} : { compartment }),
          ...(about
            ? {
                thread: about.message.thread,
                compartment: about.message.compartment,
                refersTo: { message: about.message.id, as: about.as },
              }
            : {}),
        })
        counts[does]++
      } catch (error) {
        // Another device of the organization has imported this row meanwhile.
        if (!isProblem(error, 'MESSAGE_ID_REUSED')) {
          next = tasks.length
          throw error
        }
      }
      onProgress?.({ done: ++done, of: tasks.length })
    }
  }
  const workers = await Promise.allSettled(Array.from({ length: Math.min(inFlight, tasks.length) }, worker))
  for (const result of workers) if (result.status === 'rejected') throw result.reason
  return counts
}

async function knownIds({ transport }: ImportDeps, operation: string, ids: readonly string[]): Promise<Set<string>> {
  const known = new Set<string>()
  for (let at = 0; at < ids.length; at += mostIdsPerRequest) {
    const part = ids.slice(at, at + mostIdsPerRequest)
    const path = `/v1/operations/${operation}/imports/known`
    const answer = await transport.request<{ known: { id: string }[] }>('POST', path, { ids: part })
    for (const { id } of answer.known) known.add(id)
  }
  return known
}

/**
 * The import key of the organization. Made at its first import; sealed again for devices that were
 * added since.
 */
async function importKey(deps: ImportDeps, session: OperationSession): Promise<Bytes> {
  const { transport, self, platform } = deps
  const path = `/v1/operations/${session.operation}/import-key`
  for (let attempt = 0; attempt < 3; attempt++) {
    const { exists, keys } = await transport.request<{ exists: boolean; keys: SealedKey[] }>('GET', path)
    const own = keys.find(({ device }) => device === self().device.id)
    if (exists && !own)
      throw refuse('IMPORT_KEY_MISSING', 'The import key of your organization is not sealed for this device.')
    const key = own ? await openKey(deps, session.operation, own) : new Uint8Array(platform.random(32))
    try {
      await transport.request('PUT', path, { keys: await sealedFor(deps, session, key) })
      return key
    } catch (error) {
      // Another device of the organization was first: its key counts.
      if (own || !isProblem(error, 'ALREADY_EXISTS')) throw error
    }
  }
  throw refuse('IMPORT_KEY_MISSING', 'Several devices of your organization begin to import at once.')
}

async function replaceImportKey(deps: ImportDeps, session: OperationSession): Promise<Bytes> {
  const key = new Uint8Array(deps.platform.random(32))
  const keys = await sealedFor(deps, session, key)
  await deps.transport.request('PUT', `/v1/operations/${session.operation}/import-key`, { keys, replace: true })
  return key
}

/**
 * Opens the import key and verifies that a device of the own organization signed it: sealing alone
 * needs no more than a public key. Throws IMPORT_KEY_REFUSED.
 */
async function openKey(deps: ImportDeps, operation: string, { sealed, chain }: SealedKey): Promise<Bytes> {
  const { account, device } = deps.self()
  try {
    const header = { kid: device.id, ope: operation }
    const text = fromUtf8(await openSealed('cordon-import+jwe', header, device.sealKey, sealed))
    const { signer, key, jws, ...said } = readImportKey(text)
    const [certificate] = await proveTogether(chain, account.pins.root)
    demand(
      certificate?.device === signer && certificate.organization === account.organization,
      'IMPORT_KEY',
      'The import key was not signed by a device of this organization.',
    )
    await verifySignature({ jws }, await verifyKeys.of(certificate))
    const meant = said.operation === operation && said.organization === account.organization
    demand(meant, 'IMPORT_KEY', 'The import key is of another organization or operation.')
    await deps.transparency.require([certificate])
    return fromBase64url(key)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    throw refuse('IMPORT_KEY_REFUSED', error.message, { reason: error.code }, error)
  }
}

async function sealedFor(deps: ImportDeps, session: OperationSession, key: Bytes): Promise<SealedCopy[]> {
  const { view, operation } = session
  const { account, device: own } = deps.self()
  const { organization } = account
  const devices = [...view.devices.values()].filter(({ person }) => {
    const member = view.member(person)
    return member?.organization === organization && may(member.role, 'records.import', view.state).allowed
  })
  await deps.transparency.require(devices)
  const content = utf8(await signImportKey(own, { operation, organization, key }))
  return Promise.all(
    devices.map(async ({ device, keys }) => ({
      device,
      sealed: await sealTo(
        'cordon-import+jwe',
        { kid: device, ope: operation },
        await importSealPublicKey(keys.seal.pub),
        content,
      ),
    })),
  )
}
