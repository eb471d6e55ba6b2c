import { isProblem } from '../client/index.ts'
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
