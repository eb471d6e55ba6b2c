/** A hole in the numbers of a compartment: entries between that were not shown. */
export interface Hole {
  readonly compartment: string
  /** Indexes of the entries before and after the hole. */
  readonly after: number
  readonly before: number
}

/** Compartment, number and index of the newest entry that was seen in it. */
export type CompartmentCount = readonly [compartment: string, seq: number, index: number]

/**
 * The entries of each compartment are numbered without a gap, so that a service cannot withhold one
 * unseen.
 */
export class Sequences {
  readonly #last: Map<string, CompartmentCount>

  constructor(counted: readonly CompartmentCount[] = []) {
    this.#last = new Map(counted.map((last) => [last[0], last]))
  }

  /**
   * Takes the number of the next entry; the hole before it, if there is one. The first visible
   * entry begins the count.
   */
  take(compartment: string, seq: number, index: number): Hole | undefined {
    const last = this.#last.get(compartment)
    this.#last.set(compartment, [compartment, seq, index])
    return last !== undefined && seq !== last[1] + 1 ? { compartment, after: last[2], before: index } : undefined
  }

  counted(): CompartmentCount[] {
    return [...this.#last.values()]
  }
}
