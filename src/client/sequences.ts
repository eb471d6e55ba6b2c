/** A hole in the numbering of a compartment: the entries between were not shown. */
export interface Hole {
  readonly compartment: string
  /** Indexes of the entries before and after the hole. */
  readonly after: number
  readonly before: number
}

/** The number and the index of the newest entry that was seen in a compartment. */
export type CompartmentCount = readonly [compartment: string, seq: number, index: number]

/**
 * Follows the numbers of the entries of each compartment. They have no gap, so that a service
 * cannot withhold an entry unseen.
 */
export class Sequences {
  readonly #last: Map<string, CompartmentCount>

  constructor(counted: readonly CompartmentCount[] = []) {
    this.#last = new Map(counted.map((last) => [last[0], last]))
  }

  /**
   * Takes the number of the next entry. Answers the hole before it, if there is one. The first
   * visible entry begins the count.
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
