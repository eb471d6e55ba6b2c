import { may } from '../access.ts'
import type { Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import { asActor } from '../identity/index.ts'
import type { Act } from '../log/index.ts'
import { authorizeIn } from '../operations/index.ts'
import type { DeviceId, OperationView } from '../protocol/index.ts'
import { importKeys, insertImportKeys } from './store.ts'

interface KeysInput {
  readonly operation: string
  readonly keys: readonly { readonly device: string; readonly sealed: string }[]
  /** SHA-256 of what is sealed, by device: what the entry says of it. */
  readonly digests: ReadonlyMap<string, string>
}

/** Devices that hold the key already, by organization. */
type Holders = Map<string, Set<string>>
type Row = Parameters<typeof insertImportKeys>[1][number]

/** Stores an organization's import key for further of its devices: the first key stays, and whoever adds a device holds it. */
export const storeKeysAct: Act<OperationView, KeysInput, Holders, readonly Row[], null> = {
  name: 'store import key',
  // One to a group, so that the second finds the key of the first.
  key: ({ operation }) => operation,
  load: (tx, view) => loadHolders(tx, view),
  decide({ snapshot: view, loaded, input, actor }) {
    const { organization } = authorizeIn(view, actor, 'records.import')
    for (const { device } of input.keys) {
      const person = view.devices.get(device as DeviceId)?.person
      const member = person === undefined ? undefined : view.member(person)
      const entitled = member?.organization === organization && may(member.role, 'records.import', view.state).allowed
      if (!entitled) throw new Problem('GRANT_REFUSED', { device })
    }
    const holders = loaded.get(organization) ?? new Set()
    if (holders.size > 0 && !holders.has(actor.device)) throw new Problem('ALREADY_EXISTS')
    const added = input.keys.filter(({ device }) => !holders.has(device))
    if (added.length === 0) return { entries: [], rows: [], answer: () => null }
    const recipients = added.map(({ device }) => ({ device, sha256: input.digests.get(device) }))
    const details = { session: actor.session, channel: 'http', recipients }
    return {
      entries: [{ kind: 'records.key-stored', actor: asActor(actor), subject: organization, details }],
      rows: [
        added.map(({ device, sealed }) => ({
          operation_id: input.operation,
          organization_id: organization,
          device_id: device,
          sealed,
          sealed_by: actor.device,
        })),
      ],
      answer: () => null,
    }
  },
  write: (tx, rows) =>
    insertImportKeys(
      tx,
      rows.flatMap(({ row }) => row),
    ),
}

async function loadHolders(tx: Tx, view: OperationView): Promise<Holders> {
  const holders: Holders = new Map()
  for (const organization of new Set([...view.members.values()].map((member) => member.organization))) {
    const keys = await importKeys(tx, view.operation, organization)
    holders.set(organization, new Set(keys.map(({ device }) => device)))
  }
  return holders
}
