import { may, seesKind } from '../access.ts'
import type { CompartmentId, DeviceId, Leaf, Member, OperationView, PersonId } from '../protocol/index.ts'

/** Whether two people are in one compartment, or are one person, as things are in the view. */
export function sharesCompartment(view: OperationView, one: PersonId, other: PersonId): boolean {
  return one === other || view.compartmentsOf(one).some((compartment) => view.isIn(other, compartment))
}

function seesByCompartment(view: OperationView, member: Member, leaf: Leaf): boolean {
  if (leaf.compartment !== undefined) return view.isIn(member.person, leaf.compartment as CompartmentId)
  if (leaf.kind.startsWith('member.')) {
    return sharesCompartment(view, member.person, leaf.subject as PersonId)
  }
  if (leaf.kind.startsWith('device.')) {
    const person = view.devices.get(leaf.subject as DeviceId)?.person
    return person !== undefined && sharesCompartment(view, member.person, person)
  }
  return view.compartmentsOf(member.person).length > 0
}

/** Whether a member may have messages of this compartment at this index, by the rule of history. */
export function mayReadFrom(view: OperationView, member: Member, compartment: CompartmentId, index: number): boolean {
  return index >= (view.readsFrom(member.person, compartment) ?? Infinity)
}

/**
 * Whether a member sees an entry in its feed, as things are in the view (access-entries.csv and the
 * rule of history).
 */
export function seesEntry(view: OperationView, member: Member, leaf: Leaf): boolean {
  const sight = seesKind(member.role, leaf.kind)
  if (sight === 'no' || (sight === 'compartment' && !seesByCompartment(view, member, leaf))) return false
  const content = leaf.kind.startsWith('message.') || leaf.kind === 'attachment.stored'
  if (!content || member.role === 'auditor') return true
  return (
    may(member.role, 'message.read', view.state).allowed &&
    mayReadFrom(view, member, leaf.compartment as CompartmentId, leaf.index)
  )
}

/**
 * Whether the parts of an entry beside its statement (body, extract, grant) go to this member:
 * never to auditors.
 */
export function seesContent(member: Member): boolean {
  return member.role !== 'auditor'
}
