import type { Label } from './labels.ts'

export type UnitKind = 'mass' | 'volume' | 'count' | 'length' | 'area'

/**
 * The base unit of each kind, in which figures are given. Units of different kinds are never added.
 */
export const baseUnits = {
  mass: 'KGM',
  volume: 'LTR',
  count: 'H87',
  length: 'MTR',
  area: 'MTK',
} as const satisfies Record<UnitKind, string>

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

/** The most digits that a factor has after its point: figures hold a product to the last digit. */
export const mostFactorDigits = 14

/**
 * The units in use, by the codes of UN/ECE Recommendation 20: only units that convert exactly
 * within their kind. Boxes and bales are no quantities; the packaging of the goods names them. The
 * factors of pound, ounce, foot and inch are those of the international yard and pound of 1959, and
 * those of gallons follow from them (NIST Handbook 44, appendix C).
 */
export const units = {
  KGM: unit('mass', '1', 'kilogram'),
  GRM: unit('mass', '0.001', 'gram'),
  MGM: unit('mass', '0.000001', 'milligram'),
  MC: unit('mass', '0.000000001', 'microgram'),
  TNE: unit('mass', '1000', 'tonne'),
  LBR: unit('mass', '0.45359237', 'pound'),
  ONZ: unit('mass', '0.028349523125', 'ounce'),
  APZ: unit('mass', '0.0311034768', 'troy ounce'),
  GRN: unit('mass', '0.00006479891', 'grain'),
  STN: unit('mass', '907.18474', 'short ton (2,000 pounds)'),
  LTN: unit('mass', '1016.0469088', 'long ton (2,240 pounds)'),
  CTM: unit('mass', '0.0002', 'metric carat'),
  LTR: unit('volume', '1', 'litre'),
  MLT: unit('volume', '0.001', 'millilitre'),
  CLT: unit('volume', '0.01', 'centilitre'),
  HLT: unit('volume', '100', 'hectolitre'),
  MTQ: unit('volume', '1000', 'cubic metre'),
  DMQ: unit('volume', '1', 'cubic decimetre'),
  CMQ: unit('volume', '0.001', 'cubic centimetre'),
  FTQ: unit('volume', '28.316846592', 'cubic foot'),
  GLL: unit('volume', '3.785411784', 'gallon of the United States'),
  GLI: unit('volume', '4.54609', 'gallon of the United Kingdom'),
  OZA: unit('volume', '0.0295735295625', 'fluid ounce of the United States'),
  BLL: unit('volume', '158.987294928', 'barrel (42 gallons of the United States)'),
  H87: unit('count', '1', 'piece'),
  PR: unit('count', '2', 'pair'),
  DZN: unit('count', '12', 'dozen'),
  MIL: unit('count', '1000', 'thousand pieces'),
  MTR: unit('length', '1', 'metre'),
  CMT: unit('length', '0.01', 'centimetre'),
  KMT: unit('length', '1000', 'kilometre'),
  MMT: unit('length', '0.001', 'millimetre'),
  INH: unit('length', '0.0254', 'inch'),
  FOT: unit('length', '0.3048', 'foot'),
  YRD: unit('length', '0.9144', 'yard'),
  MTK: unit('area', '1', 'square metre'),
  CMK: unit('area', '0.0001', 'square centimetre'),
  DMK: unit('area', '0.01', 'square decimetre'),
  FTK: unit('area', '0.09290304', 'square foot'),
  INK: unit('area', '0.00064516', 'square inch'),
  HAR: unit('area', '10000', 'hectare'),
} as const satisfies Record<string, Unit>

export type UnitCode = keyof typeof units

export function findUnit(code: string): Unit | undefined {
  return Object.hasOwn(units, code) ? units[code as UnitCode] : undefined
}
