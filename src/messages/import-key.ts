import { may } from '../access.ts'
import type { Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import { asActor } from '../identity/index.ts'
import type { Act } from '../log/index.ts'
import { authorizeIn } from '../operations/index.ts'
import type { DeviceId, OperationView } from '../protocol/index.ts'
import { deleteImportKeys, importKeys, insertImportKeys } from './store.ts'

interface KeysInput {
  readonly operation: string
  readonly keys: readonly { readonly device: string; readonly sealed: string }[]
  /** SHA-256 of each sealed key, by device, as the entry records it. */
  readonly digests: ReadonlyMap<string, string>
  /** Whether these keys replace the key that the organization has. */
  readonly replace: boolean
}

/** The devices that hold the key already, by organization. */
type Holders = Map<string, Set<string>>
interface ImportKeyRows {
  readonly operation: string
  readonly organization: string
  readonly replace: boolean
  readonly keys: Parameters<typeof insertImportKeys>[1]
}

/**
 * Stores an organization's import key for further of its devices: the first key stays, and a device
 * that adds another holds it. An NCP or a coordinator of the organization can replace the key as a
 * whole: otherwise one device that stored a key which does not open would stop its imports for
 * good.
 */
export const storeKeysAct: Act<OperationView, KeysInput, Holders, ImportKeyRows, null> = {
  name: 'store import key',
  // One act to a group, so that the second finds the key of the first.
  key: ({ operation }) => operation,
  load: (tx, view) => loadHolders(tx, view),
  decide({ snapshot: view, loaded, input, actor }) {
    const { organization, role } = authorizeIn(view, actor, 'records.import')
    if (input.replace && role !== 'ncp' && role !== 'coordinator')
      throw new Problem('FORBIDDEN', { permission: 'records.import' })
    for (const { device } of input.keys) {
      const person = view.devices.get(device as DeviceId)?.person
      const member = person === undefined ? undefined : view.member(person)
      const entitled = member?.organization === organization && may(member.role, 'records.import', view.state).allowed
      if (!entitled) throw new Problem('GRANT_REFUSED', { device })
    }
    const holders = input.replace ? new Set<string>() : (loaded.get(organization) ?? new Set<string>())
    if (holders.size > 0 && !holders.has(actor.device)) throw new Problem('ALREADY_EXISTS')
    const added = input.keys.filter(({ device }) => !holders.has(device))
    if (added.length === 0) return { entries: [], rows: [], answer: () => null }
    const recipients = added.map(({ device }) => ({ device, sha256: input.digests.get(device) }))
    const details = {
      session: actor.session,
      channel: 'http',
      recipients,
      sealedBy: actor.device,
      ...(input.replace ? { replaced: true } : {}),
    }
    return {
      entries: [{ kind: 'records.key-stored', actor: asActor(actor), subject: organization, details }],
      rows: [
        {
          operation: input.operation,
          organization,
          replace: input.replace,
          keys: added.map(({ device, sealed }) => ({
            operation_id: input.operation,
            organization_id: organization,
            device_id: device,
            sealed,
            sealed_by: actor.device,
          })),
        },
      ],
      answer: () => null,
    }
  },
  async write(tx, rows) {
    for (const { row } of rows) {
      if (row.replace) await deleteImportKeys(tx, row.operation, row.organization)
      await insertImportKeys(tx, row.keys)
    }
  },
}

async function loadHolders(tx: Tx, view: OperationView): Promise<Holders> {
  const holders: Holders = new Map()
  for (const organization of new Set([...view.members.values()].map((member) => member.organization))) {
    const keys = await importKeys(tx, view.operation, organization)
    holders.set(organization, new Set(keys.map(({ device }) => device)))
  }
  return holders
}
