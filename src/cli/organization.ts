import { choose, idOf } from './choice.ts'
import type { Device, DeviceOptions } from './device.ts'

export interface OfOrganization extends DeviceOptions {
  readonly organization?: string
}

/** The organization whose people are meant: one's own, or another one for administrators. */
export async function organizationMeant({ client }: Device, { organization }: OfOrganization): Promise<string> {
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
