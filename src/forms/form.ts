import type { Label } from './labels.ts'

export type FormId = 'text' | 'warning' | 'feedback' | 'seizure'

/** The relations of a message to another one. */
export const relations = ['reply', 'feedback', 'correction', 'withdrawal'] as const

export type Relation = (typeof relations)[number]

/**
 * A JSON Schema 2020-12, with `label` (a key of `fieldLabels`) for every field and `codes` (a code
 * list) for coded fields.
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

/** The form of a kind of messages. Forms are data: a version that was used never changes. */
export interface Form {
  readonly id: FormId
  readonly version: number
  readonly title: Label
  readonly fields: Schema
  /**
   * The paths of the extract: JSON pointers into the fields, with `*` for each element of a list.
   */
  readonly extract: readonly string[]
  /** Whether a message of this form has a subject line. */
  readonly subject: 'required' | 'optional'
  /**
   * By relation, the forms to which a message of this form may refer. A relation that is not named
   * is refused.
   */
  readonly refersTo: Readonly<Partial<Record<Relation, readonly FormId[]>>>
  /** Whether a message of this form may stand without a reference to another one. */
  readonly standsAlone: boolean
}
