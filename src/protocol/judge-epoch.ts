import type { CompartmentId, DeviceId, PersonId } from './ids.ts'
import type { OperationView } from './operation-view.ts'

/**
 * The number of people, without the one who opened the epoch, who must say that its key does not
 * open.
 */
const complaintsNeeded = 2

/**
 * Whether the next epoch of a compartment may be opened: the first one, one after a stale one, and
 * one where all other people say that the key does not open and they are too few to make it stale.
 * Otherwise one member could replace the keys of the others faster than any member posts.
 */
export function mayOpenNext(view: OperationView, compartment: CompartmentId): boolean {
  const state = view.compartments.get(compartment)
  const current = view.currentEpoch(compartment)
  if (!state || !current || state.stale) return true
  const personOf = (device: DeviceId): PersonId | undefined => view.devices.get(device)?.person
  const signer = personOf(current.signer)
  const others = (devices: Iterable<DeviceId>) =>
    new Set([...devices].map(personOf).filter((person) => person !== undefined && person !== signer))
  const readers = others(current.recipients).size
  return readers < complaintsNeeded && readers > 0 && others(state.disputedBy).size === readers
}
