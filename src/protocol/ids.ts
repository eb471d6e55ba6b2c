import { validate, v7 } from 'uuid'
import { demand } from './errors.ts'

declare const brand: unique symbol
type Branded<B extends string> = string & { readonly [brand]: B }

/**
 * A value whose shape was not checked yet: its ids are plain texts. Functions that write take such
 * values; functions that read answer values with ids.
 */
export type Plain<T> =
  T extends Branded<string> ? string : T extends object ? { readonly [K in keyof T]: Plain<T[K]> } : T

export type OperationId = Branded<'operation'>
export type OrganizationId = Branded<'organization'>
export type PersonId = Branded<'person'>
/** The RFC 7638 thumbprint of a device's signing key. */
export type DeviceId = Branded<'device'>
export type InvitationId = Branded<'invitation'>
/** The compartment `all` has the id of its operation. */
export type CompartmentId = Branded<'compartment'>
export type MessageId = Branded<'message'>

export type Random = (length: number) => Uint8Array

export const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
/** 32 bytes in base64url without padding. */
export const digestPattern = /^[A-Za-z0-9_-]{43}$/

/** A UUIDv7 (RFC 9562) at this time from this randomness. */
export function newId<Id extends string>(at: Date, random: Random): Id {
  return v7({ msecs: at.getTime(), random: random(16), seq: sequence(random) }) as Id
}

function sequence(random: Random): number {
  const [a = 0, b = 0, c = 0, d = 0] = random(4)
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
}

export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && uuidPattern.test(value) && validate(value)
}

export function parseDeviceId(value: unknown): DeviceId {
  demand(
    typeof value === 'string' && digestPattern.test(value),
    'ID',
    'A device is named by the thumbprint of its key.',
  )
  return value as DeviceId
}

/**
 * Whether a message was imported from a row of a table: its id is a UUIDv8 (RFC 9562) that the row
 * gives.
 */
export function isImportId(message: string): boolean {
  return message[14] === '8'
}

/** Formats a time as RFC 3339 in UTC with milliseconds, the one form in which times travel. */
export function timestamp(at: Date): string {
  return at.toISOString()
}

const firstInstant = Date.UTC(1900, 0, 1)
/** The first instant after the years that Cordon knows (milliseconds since 1970). */
export const pastInstants = Date.UTC(2200, 0, 1)

/** Whether a time is of the years 1900 to 2199 in UTC, the years that Cordon knows. */
export function isInKnownYears(at: Date): boolean {
  return at.getTime() >= firstInstant && at.getTime() < pastInstants
}

/**
 * Reads a time as it travels: RFC 3339 in UTC with milliseconds, of the years 1900 to 2199. Throws
 * `ProtocolError` TIME.
 */
export function parseTimestamp(value: unknown, name = 'time'): Date {
  const at = typeof value === 'string' ? new Date(value) : new Date(Number.NaN)
  demand(
    isInKnownYears(at) && at.toISOString() === value,
    'TIME',
    `${name} must be RFC 3339 in UTC with milliseconds, of the years 1900 to 2199.`,
  )
  return at
}
