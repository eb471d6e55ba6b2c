import { enrolWith, partyOf, takeIn } from './actors.ts'
import type { MakeClientScene } from './client-scenes.ts'
import { makeOperation } from './usual-operation.ts'

/**
 * The usual operation with the contact point and an officer of Kenya, and the contact point of
 * Thailand.
 */
export const makeTwoAdministrations: MakeClientScene<
  'administrator' | 'coordinator' | 'kenya' | 'thailand' | 'officer',
  { secretariat: string; operation: string; kenya: string; thailand: string }
> = async (owner, server, as) => {
  const { clients, made } = await makeOperation(owner, server, as)
  const { administrator, coordinator } = clients
  const administration = (name: string, country: string, options: ReturnType<typeof as>) =>
    partyOf(owner, administrator, { kind: 'administration', name, country, ...options })
  const kenya = await administration('Customs of Kenya', 'KE', as('kenya'))
  const thailand = await administration('Thailand', 'TH', as('thailand'))
  for (const party of [kenya, thailand]) await takeIn(coordinator, made.operation, party, 'ncp')
  const { client, organization } = kenya
  const amina = { name: 'Amina Otieno', organization, tier: 'person', ...as('officer') } as const
  const officer = await enrolWith(owner, client, amina)
  await client.operations.admit(made.operation, { person: officer.person, organization, role: 'officer' })
  return {
    clients: { administrator, coordinator, kenya: client, thailand: thailand.client, officer },
    made: { ...made, kenya: organization, thailand: thailand.organization },
  }
}
