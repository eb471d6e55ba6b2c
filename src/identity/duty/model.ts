export interface NamedPerson {
  readonly person: string
  readonly name: string
}

/** While it lasts, the deputy stands in for the person. */
export interface HandOverPeriod {
  readonly person: string
  readonly deputy: string
  readonly from: Date
  /** The end; undefined until the duty is taken back. */
  readonly until: Date | undefined
}

export interface OnDuty extends NamedPerson {
  readonly standsInFor: readonly NamedPerson[]
}

export function isInForce({ from, until }: Pick<HandOverPeriod, 'from' | 'until'>, at: Date): boolean {
  return from <= at && (until === undefined || at < until)
}

export function overlap(
  one: Pick<HandOverPeriod, 'from' | 'until'>,
  other: Pick<HandOverPeriod, 'from' | 'until'>,
): boolean {
  const endsBefore = (until: Date | undefined, from: Date) => until !== undefined && until <= from
  return !endsBefore(one.until, other.from) && !endsBefore(other.until, one.from)
}

/**
 * Answers whom of an organization's contact points, all of them able to act, a duty finds at this
 * moment: those who are not away, each with those they stand in for. The function follows one step
 * and never a second: where a deputy is away too, all contact points who are not away stand in.
 * Where all are away, all are asked.
 */
export function whoIsOnDuty(
  contactPoints: readonly NamedPerson[],
  handOvers: readonly HandOverPeriod[],
  at: Date,
): OnDuty[] {
  const standIn = new Map(handOvers.filter((one) => isInForce(one, at)).map(({ person, deputy }) => [person, deputy]))
  const present = contactPoints.filter(({ person }) => !standIn.has(person))
  if (present.length === 0) return contactPoints.map((one) => ({ ...one, standsInFor: [] }))
  return present.map((one) => ({
    ...one,
    standsInFor: contactPoints.filter(({ person }) => standIn.get(person) === one.person),
  }))
}
