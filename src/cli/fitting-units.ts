import { units, type UnitCode, type UnitKind } from '../forms/index.ts'

/** The kinds of units in which goods are usually counted, by the first words of a commodity. */
const usual: readonly (readonly [RegExp, readonly UnitKind[]])[] = [
  [/^wildlife\/[^/]+\/(?:live|carcass|whole)$/, ['count']],
  [/^wildlife\//, ['mass', 'count']],
  [/^(?:drugs|precursors)(?:\/|$)/, ['mass', 'volume', 'count']],
  [/^(?:medicines|medical-devices|counterfeits)(?:\/|$)/, ['count', 'mass', 'volume']],
  [/^tobacco(?:\/|$)/, ['count', 'mass']],
  [/^(?:alcohol|excise)(?:\/|$)/, ['volume', 'mass']],
  [/^timber(?:\/|$)/, ['volume', 'mass', 'count']],
  [/^(?:environment|strategic|food)(?:\/|$)/, ['mass', 'volume', 'count']],
  [/^(?:weapons|cultural|currency)(?:\/|$)/, ['count', 'mass']],
]

/**
 * The units that fit a commodity, those of the most usual kind first. Other units may be given all
 * the same.
 */
export function fittingUnits(commodity: string): UnitCode[] {
  const kinds = usual.find(([words]) => words.test(commodity))?.[1] ?? ['count', 'mass']
  const codes = Object.keys(units) as UnitCode[]
  return kinds.flatMap((kind) => codes.filter((code) => units[code].kind === kind))
}
