import { isProblem } from '../client/index.ts'
import { isPlace, placeRule } from '../forms/index.ts'
import { choose, idOf } from './choice.ts'
import type { CommandDevice, DeviceOptions } from './device.ts'
import { CommandFailure, exitCodes } from './failures.ts'

export interface OrganizationOptions extends DeviceOptions {
  readonly organization?: string
}

/** The organization of the option; without it, the organization of this person. */
export async function organizationMeant(
  { client }: CommandDevice,
  { organization }: OrganizationOptions,
): Promise<string> {
  if (organization === undefined) return client.organization
  const id = idOf(organization)
  if (id !== undefined) return id
  const all = await client.directory.organizations()
  return choose(
    'organization',
    organization,
    all.map((one) => ({ id: one.organization, name: one.name })),
  ).id
}

/** The code of a country that somebody typed, in capitals. Throws CommandFailure for no place. */
export function readPlace(code: string | undefined): string | undefined {
  const place = code?.trim().toUpperCase()
  if (place === undefined || isPlace(place)) return place
  throw new CommandFailure(`${JSON.stringify(code)} is no place. ${placeRule}`, exitCodes.usage)
}

/**
 * Answers a promise of the service. Throws CommandFailure where this person is neither a contact
 * point of the organization nor an administrator.
 */
export async function asContactPoint<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    if (!isProblem(error, 'NOT_FOUND')) throw error
    throw new CommandFailure(
      'This command is for contact points of the organization and for administrators: ask a contact point.',
      exitCodes.failed,
      { reason: error.code },
    )
  }
}
