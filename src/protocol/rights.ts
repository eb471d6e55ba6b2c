/** The name of a right that entries give and take, as `Rights` and a client's floor know it. */
export const rightTo = {
  belong: (person: string) => `member ${person}`,
  beAwake: (person: string) => `awake ${person}`,
  count: (device: string) => `device ${device}`,
  beIn: (compartment: string, person: string) => `in ${compartment} ${person}`,
  sealWith: (compartment: string) => `epoch ${compartment}`,
} as const

/** For each right the index of the newest entry that gave it, and of the newest that took it. */
export class Rights {
  readonly #given = new Map<string, number>()
  readonly #taken = new Map<string, number>()
  readonly #believed = new Map<string, number>()

  give(right: string, index: number): void {
    this.#given.set(right, index)
  }

  /** `believed`: whether the entry that took it is one that is believed. */
  take(right: string, index: number, believed: boolean): void {
    this.#taken.set(right, index)
    if (believed) this.#believed.set(right, index)
  }

  /** All that was ever taken by an entry that is believed, with the index of the newest. */
  get taken(): ReadonlyMap<string, number> {
    return this.#believed
  }

  /**
   * Whether a right is held that was given before this index: as if the entry that took it there
   * had never been.
   */
  forgets(right: string, takenAt: number): boolean {
    const given = this.#given.get(right)
    return given !== undefined && given < takenAt && given > (this.#taken.get(right) ?? -1)
  }
}
