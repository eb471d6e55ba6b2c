import type { CompartmentId, OperationView } from '../protocol/index.ts'

/**
 * The least that this device will believe again of an operation: what it has verified once. Plain
 * JSON, for the store. A view that was read again counts only where it is not below this floor.
 */
export interface Floor {
  /** The newest statement of the operation's chain, and of each compartment's. */
  readonly head?: string
  readonly heads: Readonly<Record<string, string>>
  /** By name of a right (`rightTo`), the index of the newest entry that took the right. */
  readonly taken: Readonly<Record<string, number>>
  /** By compartment, the highest number of an epoch. */
  readonly epochs: Readonly<Record<string, number>>
  /** Whether a state counts only where a coordinator signed it. */
  readonly statesSigned: boolean
}

const nothing: Floor = { heads: {}, taken: {}, epochs: {}, statesSigned: false }

/** The floor after this view was verified. */
export function raise(floor: Floor = nothing, view: OperationView): Floor {
  const taken: Record<string, number> = { ...floor.taken }
  for (const [right, index] of view.rights.taken) taken[right] = Math.max(index, taken[right] ?? -1)
  const heads: Record<string, string> = { ...floor.heads }
  const epochs: Record<string, number> = { ...floor.epochs }
  for (const { id, believed, epochs: opened } of view.compartments.values()) {
    if (believed !== undefined) heads[id] = believed
    const highest = opened.findLast(({ refused }) => !refused)?.number ?? 0
    epochs[id] = Math.max(highest, epochs[id] ?? 0)
  }
  const head = view.believed ?? floor.head
  return {
    ...(head === undefined ? {} : { head }),
    heads,
    taken,
    epochs,
    statesSigned: floor.statesSigned || view.statesSigned,
  }
}

/**
 * What a view lacks of the floor, each as words for an alarm; empty where the view reaches the
 * floor.
 */
export function missing(floor: Floor, view: OperationView): string[] {
  const lacks: string[] = []
  for (const [right, index] of Object.entries(floor.taken)) {
    if (view.rights.forgets(right, index)) lacks.push(`entry ${String(index)}, which ended "${right}"`)
  }
  if (floor.head !== undefined && !view.partial && !view.chain.has(floor.head))
    lacks.push('a member statement of the operation')
  if (floor.statesSigned && !view.partial && !view.statesSigned) lacks.push('the signed state of the operation')
  for (const [id, head] of Object.entries(floor.heads)) {
    const compartment = view.compartments.get(id as CompartmentId)
    if (compartment && !compartment.chain.has(head)) lacks.push(`a member statement of compartment ${id}`)
  }
  for (const [id, number] of Object.entries(floor.epochs)) {
    const compartment = view.compartments.get(id as CompartmentId)
    if (compartment && compartment.epochs.length < number) lacks.push(`key ${String(number)} of compartment ${id}`)
  }
  return lacks
}
