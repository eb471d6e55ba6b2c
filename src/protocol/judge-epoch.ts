import type { CompartmentId, DeviceId, PersonId } from './ids.ts'
import type { OperationView } from './operation-view.ts'

/**
 * Of so many people, those who opened it aside, it takes the word that a key does not open, where
 * there are as many.
 */
const complaintsNeeded = 2

/**
 * Whether the next epoch of a compartment may be opened: the first one, one after a stale one, and
 * one where everybody else says that the key does not open and they are fewer than make it stale.
 * Otherwise one member could put a key in the place of each that the others open, faster than
 * anybody posts.
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
