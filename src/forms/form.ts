import type { Label } from './labels.ts'

export type FormId = 'text' | 'warning' | 'feedback' | 'seizure'

/** How a message refers to another. */
export const relations = ['reply', 'feedback', 'correction', 'withdrawal'] as const

export type Relation = (typeof relations)[number]

/**
 * A JSON Schema 2020-12, with `label` (a key of `fieldLabels`) on every field and `codes` (a code
 * list) where one applies.
 */
export interface Schema {
  readonly type: 'object' | 'array' | 'string' | 'integer' | 'boolean'
  readonly label?: string
  readonly codes?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: false
  readonly dependentRequired?: Readonly<Record<string, readonly string[]>>
  readonly minProperties?: number
  readonly items?: Schema
  readonly minItems?: number
  readonly maxItems?: number
  readonly uniqueItems?: boolean
  readonly enum?: readonly string[]
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly format?: 'date'
  readonly minimum?: number
  readonly maximum?: number
}

/** What messages of a kind say. Forms are data: a version, once used, never changes. */
export interface Form {
  readonly id: FormId
  readonly version: number
  readonly title: Label
  readonly fields: Schema
  /**
   * What travels in the clear beside the sealed body: JSON pointers into the fields, `*` for each
   * element of a list.
   */
  readonly extract: readonly string[]
  /** Whether a message of this form has a subject line. */
  readonly subject: 'required' | 'optional'
  /** Which forms it may refer to, by relation; a relation that is not named is refused. */
  readonly refersTo: Readonly<Partial<Record<Relation, readonly FormId[]>>>
  /** Whether a message of this form may stand without referring to another. */
  readonly standsAlone: boolean
}
