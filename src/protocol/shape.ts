import { Compile, type Validator } from 'typebox/compile'
import { Type, type Static, type TSchema } from 'typebox'
import { ProtocolError } from './errors.ts'
import {
  digestPattern,
  uuidPattern,
  type CompartmentId,
  type DeviceId,
  type OperationId,
  type OrganizationId,
  type PersonId,
} from './ids.ts'

/** An object with the named members and no others. */
export const exactly = { additionalProperties: false }

/** A UUID (RFC 9562) in lower case. */
export const uuid = Type.String({ pattern: uuidPattern.source })
export const operationId = Type.Unsafe<OperationId>(uuid)
export const organizationId = Type.Unsafe<OrganizationId>(uuid)
export const personId = Type.Unsafe<PersonId>(uuid)
export const compartmentId = Type.Unsafe<CompartmentId>(uuid)

/** A SHA-256: 32 bytes in base64url without padding. */
export const digest = Type.String({ pattern: digestPattern.source })
/** The id of a device: the RFC 7638 thumbprint of its signing key. */
export const deviceId = Type.Unsafe<DeviceId>(digest)

/** A time as RFC 3339 in UTC with milliseconds; `parseTimestamp` reads it. */
export const time = Type.String({ minLength: 24, maxLength: 24 })

/**
 * Makes a function that checks a value against a schema and answers it with its type. It throws
 * `ProtocolError` SHAPE otherwise.
 */
export function shape<S extends TSchema>(name: string, schema: S): (value: unknown) => Static<S> {
  // Compiled at first use: a command does not wait for schemas that it does not need.
  let compiled: { readonly validator: Validator; readonly longest: number } | undefined
  return (value) => {
    const { validator, longest } = (compiled ??= { validator: Compile(schema), longest: longestListOf(schema) })
    // Checked first, so that no time goes into the faults of a list that is too long anyway.
    if (hasLongerList(value, longest))
      throw new ProtocolError('SHAPE', `This is no ${name}: a list in it is longer than ${String(longest)}.`)
    if (validator.Check(value)) return value as Static<S>
    const [first] = validator.Errors(value)
    const where = first?.instancePath ? ` at ${first.instancePath}` : ''
    throw new ProtocolError('SHAPE', `This is no ${name}${where}: ${first?.message ?? 'it has the wrong shape'}.`)
  }
}

/**
 * The most items of a list, or members of an object, that any part of a schema allows; Infinity
 * where a list has no bound.
 */
function longestListOf(schema: unknown): number {
  if (typeof schema !== 'object' || schema === null) return 0
  const { type, maxItems, properties, ...others } = schema as Record<string, unknown>
  const members = typeof properties === 'object' && properties !== null ? Object.values(properties) : []
  const own = type === 'array' ? (typeof maxItems === 'number' ? maxItems : Infinity) : members.length
  return Math.max(own, ...[...members, ...Object.values(others)].map(longestListOf))
}

function hasLongerList(value: unknown, longest: number): boolean {
  if (typeof value !== 'object' || value === null || longest === Infinity) return false
  const inner: unknown[] = Array.isArray(value) ? value : Object.values(value)
  return inner.length > longest || inner.some((one) => hasLongerList(one, longest))
}

/**
 * A list of texts without a repetition. The check takes a time that grows with the length, also
 * where there are faults.
 */
export function distinct<S extends TSchema>(
  items: S,
  bounds: { readonly minItems?: number; readonly maxItems: number },
) {
  const list = Type.Array(items, { ...bounds })
  return Type.Refine(
    list,
    (value) => new Set<unknown>(value).size === value.length,
    () => 'must not hold an item twice',
  )
}
