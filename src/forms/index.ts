export { codeLists, isPlace, placeRule } from './codes.ts'
export type { CodeListName } from './codes.ts'
export { commodities, isWithin, sumCommodities } from './commodities.ts'

export { isDay } from './days.ts'
export {
  addDecimals,
  canonicalDecimal,
  compareDecimals,
  isQuantity,
  isZero,
  mostQuantityDecimals,
  multiplyDecimals,
  sumDecimals,
} from './decimal.ts'
export { compareExtract, decodeExtract, encodeExtract, extractOf, extractSchema } from './extract.ts'
export type { Extract } from './extract.ts'
export { byCodeUnits, figurePlaces, inBaseUnit, rollUp, sameFigures } from './figures.ts'
export type { CategoryAmount, Figures } from './figures.ts'
export { relations } from './form.ts'
export type { Form, FormId, Relation, Schema } from './form.ts'
export { fieldLabels, inLanguage } from './labels.ts'
export type { LabelKey } from './labels.ts'
export { codeForm, comparingForm, isBlank, searchForm } from './names.ts'
export { permissionsFor } from './permissions.ts'
export { findForm, forms, mayRefer, newestForm } from './registry.ts'

export { isTimeZone } from './time-zones.ts'
export { units } from './units.ts'
export type { BaseUnit, UnitCode, UnitKind } from './units.ts'
export { fitsForm, validateExtract, validateFields, validateSubject, writingRule } from './validation.ts'
export type { Fault, FaultReason } from './validation.ts'
export { isTimeFault, localTime, readTime, sayTime, writeTime } from './written-times.ts'
export type { WrittenTime } from './written-times.ts'
