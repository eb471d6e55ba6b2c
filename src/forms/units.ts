import type { Label } from './labels.ts'

export type UnitKind = 'mass' | 'volume' | 'count' | 'length'

/**
 * The base unit of each kind, in which figures are given. Units of different kinds are never added.
 */
export const baseUnits = { mass: 'KGM', volume: 'LTR', count: 'H87', length: 'MTR' } as const satisfies Record<
  UnitKind,
  string
>

export type BaseUnit = (typeof baseUnits)[UnitKind]

export interface Unit {
  readonly label: Label
  readonly kind: UnitKind
  readonly base: BaseUnit
  /** The number of base units in one such unit: an exact decimal. */
  readonly factor: string
}

function unit(kind: UnitKind, factor: string, en: string): Unit {
  return { label: { en }, kind, base: baseUnits[kind], factor }
}

/**
 * The units in use, by the codes of UN/ECE Recommendation 20: only units that convert exactly
 * within their kind. Boxes and bales are no quantities; the packaging of the goods names them.
 */
export const units = {
  KGM: unit('mass', '1', 'kilogram'),
  GRM: unit('mass', '0.001', 'gram'),
  MGM: unit('mass', '0.000001', 'milligram'),
  TNE: unit('mass', '1000', 'tonne'),
  LTR: unit('volume', '1', 'litre'),
  MLT: unit('volume', '0.001', 'millilitre'),
  CLT: unit('volume', '0.01', 'centilitre'),
  HLT: unit('volume', '100', 'hectolitre'),
  MTQ: unit('volume', '1000', 'cubic metre'),
  H87: unit('count', '1', 'piece'),
  PR: unit('count', '2', 'pair'),
  DZN: unit('count', '12', 'dozen'),
  MIL: unit('count', '1000', 'thousand pieces'),
  MTR: unit('length', '1', 'metre'),
  CMT: unit('length', '0.01', 'centimetre'),
  KMT: unit('length', '1000', 'kilometre'),
} as const satisfies Record<string, Unit>

export type UnitCode = keyof typeof units

export function findUnit(code: string): Unit | undefined {
  return Object.hasOwn(units, code) ? units[code as UnitCode] : undefined
}
