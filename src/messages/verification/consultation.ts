import type { Tx } from '../../db/index.ts'
import { differences, findPeople } from '../../identity/index.ts'
import {
  microsecondText,
  type Details,
  type Findings,
  type OwnedRow,
  type Owner,
  type OwnerView,
} from '../../log/index.ts'
import { isUuid, type Leaf } from '../../protocol/index.ts'
import {
  countDeliveries,
  countReadsOfNothing,
  deliveriesOf,
  importKeyRows,
  missingReads,
  readsByIndex,
  type RawRead,
} from './store.ts'

const nothing = (): OwnerView => ({
  expects: () => 'none',
  rows: (async function* (): AsyncGenerator<OwnedRow> {})(),
})

const listIn = <T>(details: Details, name: string) => (Array.isArray(details?.[name]) ? details[name] : []) as T[]
/**
 * Answers the ids in a list of details. Other texts are not compared: details may hold any text.
 */
const namedIn = (list: unknown) => (Array.isArray(list) ? list.filter(isUuid) : [])

interface Acknowledgement {
  readonly person: string
  readonly upTo: number
}
interface Reader {
  readonly person: string
  readonly messages: readonly string[]
}

/**
 * Answers the function that finds the organization of a person in the directory; a person's
 * organization never changes.
 */
function homes(tx: Tx): (person: string) => Promise<string> {
  const known = new Map<string, string>()
  return async (person) => {
    const home = known.get(person) ?? (await findPeople(tx, [person]))[0]?.organization_id ?? ''
    known.set(person, home)
    return home
  }
}

/**
 * The owners of consultations: each row has the entry that records it, at its time, and each entry
 * its rows.
 */
export function consultedOwners(): Owner[] {
  return [
    {
      name: 'delivery',
      open: (tx, { operation }) => (operation === null ? nothing() : { ...nothing(), ...deliveries(tx, operation) }),
    },
    {
      name: 'reading',
      open: (tx, { operation }) => (operation === null ? nothing() : readings(tx, operation)),
    },
    {
      name: 'import key',
      open: (tx, { operation }) => (operation === null ? nothing() : { ...nothing(), ...importKeys(tx, operation) }),
    },
  ]
}

/**
 * Compares deliveries with their entries. A row is made by the first entry that records how far a
 * device has everything; a later entry that repeats it makes none. So each row must have been found
 * once beside an entry of its own time, and none may be left over.
 */
function deliveries(tx: Tx, operation: string): Pick<OwnerView, 'after' | 'finish'> {
  const homeOf = homes(tx)
  let made = 0
  let at = ''
  const seen = new Set<string>()
  return {
    async after(leaf, details) {
      if (leaf.kind !== 'messages.delivered') return []
      if (leaf.at !== at) seen.clear()
      at = leaf.at
      const faults: string[] = []
      const acknowledged = listIn<Acknowledgement>(details, 'acknowledged').filter(
        ({ person, upTo }) => isUuid(person) && Number.isSafeInteger(upTo),
      )
      const rows = await deliveriesOf(tx, operation, acknowledged)
      for (const { person, upTo } of acknowledged) {
        const key = `${person} ${String(upTo)}`
        const row = rows.get(key)
        if (row === undefined) faults.push(`the delivery to ${person} up to ${String(upTo)} is missing`)
        else if (row.organization !== (await homeOf(person)))
          faults.push(`the delivery to ${person} names another organization`)
        else if (row.at === microsecondText(leaf.at) && !seen.has(key)) made++
        else if (row.at > microsecondText(leaf.at)) faults.push(`the delivery to ${person} is dated after its entry`)
        seen.add(key)
      }
      return faults
    },
    async finish() {
      const stored = await countDeliveries(tx, operation)
      return stored === made ? [] : [`it has ${String(stored)} deliveries where its entries made ${String(made)}`]
    },
  }
}

function readings(tx: Tx, operation: string): OwnerView {
  const homeOf = homes(tx)
  const check = async (row: RawRead, leaf: Leaf, details: Details): Promise<Findings> => {
    // Entries about deliveries name readers too, and no messages.
    const readers = leaf.kind === 'messages.read' ? listIn<Reader>(details, 'readers') : []
    const said = readers.some(
      ({ person, messages }) => person === row.person_id && namedIn(messages).includes(row.message_id),
    )
    const faults = differences(row, { organization_id: await homeOf(row.person_id), at: microsecondText(leaf.at) })
    if (!said) faults.push('its entry says nothing of it')
    return faults.map((what) => `its reading: ${what}`)
  }
  return {
    expects: ({ kind }) => (kind === 'messages.read' ? 'any' : 'none'),
    rows: (async function* () {
      for await (const row of readsByIndex(tx, operation))
        yield { index: row.log_index, check: (leaf: Leaf, details: Details) => check(row, leaf, details) }
    })(),
    async after(leaf, details) {
      if (leaf.kind !== 'messages.read') return []
      const faults: string[] = []
      for (const { person, messages } of listIn<Reader>(details, 'readers')) {
        if (!isUuid(person)) continue
        const read = { person, messages: namedIn(messages), index: leaf.index }
        for (const message of await missingReads(tx, operation, read))
          faults.push(`that ${person} read ${message} is missing`)
      }
      return faults
    },
    async finish() {
      const strays = await countReadsOfNothing(tx, operation)
      return strays === 0 ? [] : [`it has ${String(strays)} readings of messages that it does not have`]
    },
  }
}

interface RecordedImportKey {
  readonly sha256: unknown
  readonly by: string
  /**
   * Whether the entry says that the key was signed. Keys of before 2026-11-21 were not signed, and
   * entries of before 2026-11-30 do not say it.
   */
  readonly signed: boolean
}

/**
 * Compares the devices to which each organization's import key is sealed with the entries that made
 * it.
 */
function importKeys(tx: Tx, operation: string): Pick<OwnerView, 'after' | 'finish'> {
  const holders = new Map<string, Map<string, RecordedImportKey>>()
  return {
    after({ kind, subject, actor }, details) {
      if (kind !== 'records.key-stored' || !('device' in actor)) return []
      const before = details?.['replaced'] === true ? undefined : holders.get(subject)
      const after = new Map(before)
      for (const { device, sha256 } of listIn<{ device: string; sha256: unknown }>(details, 'recipients'))
        if (!after.has(device)) after.set(device, { sha256, by: actor.device, signed: 'sealedBy' in (details ?? {}) })
      holders.set(subject, after)
      return []
    },
    async finish() {
      const faults: string[] = []
      for (const { organization, device, sha256, sealedBy } of await importKeyRows(tx, operation)) {
        const stored = holders.get(organization)?.get(device)
        holders.get(organization)?.delete(device)
        const same = stored?.sha256 === sha256 && (sealedBy === stored.by || (sealedBy === null && !stored.signed))
        if (!same) faults.push(`the import key of ${organization} for ${device} is not one that was entered`)
      }
      for (const [organization, missing] of holders)
        for (const device of missing.keys()) faults.push(`the import key of ${organization} for ${device} is missing`)
      return faults
    },
  }
}
