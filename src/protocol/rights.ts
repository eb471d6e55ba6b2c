/** The name of a right that entries give and take, as `Rights` and a client's floor know it. */
export const rightTo = {
  belong: (person: string) => `member ${person}`,
  beAwake: (person: string) => `awake ${person}`,
  count: (device: string) => `device ${device}`,
  beIn: (compartment: string, person: string) => `in ${compartment} ${person}`,
  sealWith: (compartment: string) => `epoch ${compartment}`,
} as const

/** Knows, for each right, the newest entry that gave it and the newest entry that took it. */
export class Rights {
  readonly #given = new Map<string, number>()
  readonly #taken = new Map<string, number>()
  readonly #believed = new Map<string, number>()

  give(right: string, index: number): void {
    this.#given.set(right, index)
  }

  /** `believed`: whether the entry that took the right is believed. */
  take(right: string, index: number, believed: boolean): void {
    this.#taken.set(right, index)
    if (believed) this.#believed.set(right, index)
  }

  /** All rights that a believed entry ever took, each with the index of the newest such entry. */
  get taken(): ReadonlyMap<string, number> {
    return this.#believed
  }

  /**
   * Whether a right is held that was given before this index, as if the entry that took it there
   * did not exist.
   */
  forgets(right: string, takenAt: number): boolean {
    const given = this.#given.get(right)
    return given !== undefined && given < takenAt && given > (this.#taken.get(right) ?? -1)
  }
}
