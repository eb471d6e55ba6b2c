import type { Delimiter } from './csv.ts'
import type { Encoding } from './encodings.ts'
import type { Half, NumberStyle } from './numbers.ts'

/** How the text of a cell becomes a value of the form. */
export interface Reading {
  /** Words that mean that nothing was reported; those of the mapping if it is not given. */
  readonly missing?: readonly string[]
  /**
   * The code of the form for each word of the file; null where the word says nothing to this field.
   * Without `codes` and `prefixes` cells are taken as they are.
   */
  readonly codes?: Readonly<Record<string, Code>>
  /** The code for each beginning of a cell, as for HS codes; the longest beginning decides. */
  readonly prefixes?: Readonly<Record<string, Code>>
  /** The code for words that neither table has; null says nothing. Counted in the report. */
  readonly otherwise?: Code
  /** Fills digits with zeros on the left to this length, where a spreadsheet has cut them. */
  readonly pad?: number
  /** The texts that a field of free text has before and after what the cell says. */
  readonly before?: string
  readonly after?: string
  /** The text that splits the cell, for a field that is a list. */
  readonly separator?: string
  /** The number of decimal places to which a number is rounded. Counted in the report. */
  readonly decimals?: number
  /** How the middle is rounded: `up` (away from zero; if not given) or `even`. */
  readonly half?: Half
  /** The unit to which a quantity is converted, where the file gives it in another of its kind. */
  readonly convertTo?: string
  /** The formats of a day or a span, tried in this order; YYYY-MM-DD if not given. */
  readonly dateFormat?: string | readonly string[]
  /** The language of the names of months; English if not given. */
  readonly language?: string
  /** The first of the hundred years that two digits may mean; 1970 if not given. */
  readonly firstYear?: number
  /** The month, from 1, with which the fiscal years of the cells begin. */
  readonly fiscalYearBegins?: number
}

export type Code = string | boolean | null

/** A value from one cell, or from several cells put together. */
export interface CellSource extends Reading {
  readonly column?: string
  readonly columns?: readonly string[]
  /** What stands between the cells of `columns`; a space if not given. Empty cells are left out. */
  readonly between?: string
}

/** A text or a flag is the same for every row. */
export type ValueSource = string | boolean | CellSource

/** What to do where the rows of one message differ in a field. */
export type Several = 'first' | 'join' | 'span'

/** Puts a cell into a field of the form. */
export interface FieldTarget extends Reading {
  /** A JSON pointer to a field that is not inside a list of groups. */
  readonly field: string
  readonly several?: Several
}

/** Makes a line of the goods from a cell that holds a quantity; the readings are of that cell. */
export interface GoodsTarget extends Reading {
  readonly goods: GroupSource
}

export type Target = FieldTarget | GoodsTarget

/** One group of a list, such as a line of the goods, a person or a document, by its members. */
export type GroupSource = Readonly<Record<string, ValueSource>>

/** What fills one field, or the groups of one list. */
export type FieldSource = ValueSource | (CellSource & { readonly several?: Several }) | readonly GroupSource[]

/** Rows that are left out: where the column has one of these words, or none of them. */
export interface LeaveOut {
  readonly column: string
  readonly in?: readonly string[]
  readonly notIn?: readonly string[]
}

/** Says how the columns of a file become the fields of a form. */
export interface Mapping extends NumberStyle {
  /**
   * The name of the mapping. Message ids are made with it, so that an improved mapping keeps its
   * name.
   */
  readonly mapping: string
  readonly form: string
  readonly version: number
  readonly delimiter: Delimiter
  readonly encoding: Encoding
  /** The sheet of a workbook; its first one if not given. */
  readonly sheet?: string
  /** The line of the header, where other lines precede it. */
  readonly headerLine?: number
  /**
   * The columns whose values together identify a row for ever; null where no columns do: a row is
   * then known by all that the mapping uses of it.
   */
  readonly key: readonly string[] | null
  /** Whether rows with one key are numbered in their order instead of being refused. */
  readonly numbered: boolean
  /** Whether rows with one key become one message. */
  readonly together: boolean
  /** Whether goods of zero are kept, or left out together with rows that found nothing else. */
  readonly zeros: 'keep' | 'leave-out'
  /** Whether goods of one message that differ in their quantity alone are added up. */
  readonly addUp: boolean
  /** Words that mean that nothing was reported, in every column. */
  readonly missing: readonly string[]
  readonly leaveOut: readonly LeaveOut[]
  /** The subject line, with columns in braces. */
  readonly subject?: string
  readonly columns: Readonly<Record<string, readonly Target[]>>
  /** The source of fields and lists, by JSON pointer. */
  readonly fields: Readonly<Record<string, FieldSource>>
  /** Columns that are left out on purpose. Any other column without a target is a fault. */
  readonly ignore: readonly string[]
  /** The value of fields that are the same for every row, by JSON pointer. */
  readonly constants: Readonly<Record<string, string>>
}

export interface MappingFault {
  readonly pointer: string
  readonly reason: string
  readonly advice: string
}

/** The columns from which a source reads: none for a constant. */
export function columnsOf(source: ValueSource): readonly string[] {
  if (typeof source !== 'object') return []
  return source.columns ?? (source.column === undefined ? [] : [source.column])
}

/** Whether the source of a field is a list of groups. */
export function isGroups(source: FieldSource): source is readonly GroupSource[] {
  return Array.isArray(source)
}

/**
 * Every column of which the mapping makes something in a message, in the order of their names, so
 * that moving or adding a column changes no row.
 */
export function usedColumns({ columns, fields }: Mapping): string[] {
  const used = new Set(Object.keys(columns))
  for (const targets of Object.values(columns))
    for (const target of targets)
      if ('goods' in target)
        for (const source of Object.values(target.goods)) for (const one of columnsOf(source)) used.add(one)
  for (const source of Object.values(fields)) {
    const sources = isGroups(source) ? source.flatMap((group) => Object.values(group)) : [source]
    for (const one of sources) for (const column of columnsOf(one)) used.add(column)
  }
  return [...used].toSorted((a, b) => (a < b ? -1 : 1))
}

/** The columns that a subject names in braces: `{seizure_id} at {place}`. */
export function placeholdersOf(subject = ''): string[] {
  return [...subject.matchAll(/\{([^{}]*)\}/g)].map((match) => match[1] ?? '')
}
