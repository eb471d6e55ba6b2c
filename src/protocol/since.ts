import type { CompartmentId, DeviceId, PersonId } from './ids.ts'
import type { CompartmentState } from './operation-state.ts'
import type { OperationView } from './operation-view.ts'
import type { ViewEntry } from './view-entry.ts'

/** Kinds of entries that bring a person into a compartment. */
const entering = /^(member\.(admitted|role-changed)|compartment\.member-added|operation\.rules-set)$/

/**
 * Whether an act counts the people whom it moves from their admission, and makes no epoch stale.
 * Acts of version 1 do, so that earlier logs stay valid.
 */
function countsFromAdmission({ statement }: ViewEntry): boolean {
  if (statement?.type !== 'member') return false
  const { act } = statement.value
  return (act.act === 'set-operation' || act.act === 'change-role') && act.v === 1
}

/**
 * The persons whom an entry can bring into a compartment or take out of one. The view has applied
 * the entry.
 */
function moved(view: OperationView, { kind, subject, compartment }: ViewEntry): PersonId[] {
  if (kind === 'operation.rules-set') return [...view.members.keys()]
  if (kind.startsWith('member.')) return [subject as PersonId]
  if (kind === 'device.certified') {
    const person = view.devices.get(subject as DeviceId)?.person
    return person !== undefined && view.services.has(person) ? [person] : []
  }
  if (kind === 'compartment.created')
    return [...(view.compartments.get(compartment as CompartmentId)?.members.keys() ?? [])]
  return kind.startsWith('compartment.') ? [subject as PersonId] : []
}

/**
 * Notes, after an entry was applied, since which index the persons whom it moved have been in each
 * compartment.
 */
export function noteSince(view: OperationView, entry: ViewEntry): void {
  for (const person of moved(view, entry)) {
    for (const { id, since, members } of view.compartments.values()) {
      if (!view.reads(person, id)) since.delete(person)
      else if (!since.has(person)) {
        const admitted = Math.max(view.members.get(person)?.joinedIndex ?? 0, members.get(person) ?? 0)
        since.set(person, countsFromAdmission(entry) ? admitted : entry.index)
      }
    }
  }
}

/**
 * Whether an entry brought a person into a compartment after its epoch was opened, who may
 * therefore not have that key.
 */
export function bringsNewcomers(view: OperationView, entry: ViewEntry, { since, epochs }: CompartmentState): boolean {
  if (view.history !== 'from-joining' || !entering.test(entry.kind) || countsFromAdmission(entry)) return false
  const opened = epochs.at(-1)?.openedIndex ?? 0
  return moved(view, entry).some((person) => (since.get(person) ?? -1) > opened)
}
