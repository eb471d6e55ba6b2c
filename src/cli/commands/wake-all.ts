import { isProblem } from '../../client/index.ts'
import type { PersonId } from '../../protocol/index.ts'
import type { CommandDevice, ProofOptions } from '../device.ts'
import { membersIn, type FollowedOperation, type OperationOptions } from '../followed-operation.ts'
import { isolated } from '../terminal.ts'

export interface WakeOptions extends OperationOptions, ProofOptions {
  readonly all?: true
  readonly reason: string
}

/** The members who sleep in the operation. */
export function sleepersIn(followed: FollowedOperation): { id: string; name: string; organization: string }[] {
  const { view } = followed.session
  return membersIn(followed).flatMap(({ id, name }) => {
    const member = view.member(id as PersonId)
    return member?.asleep === true ? [{ id, name, organization: member.organization }] : []
  })
}

/**
 * Wakes every sleeping member whom this person may wake: first the accounts of the own
 * organization, then each member in the operation.
 */
export async function wakeAll(
  device: CommandDevice,
  followed: FollowedOperation,
  { reason }: WakeOptions,
): Promise<void> {
  const { client, terminal } = device
  const role = followed.session.view.member(client.person as PersonId)?.role
  const sleepers = sleepersIn(followed).filter(
    ({ organization }) => role === 'coordinator' || organization === client.organization,
  )
  const asleep = sleepers.length > 0 ? await sleepingAccounts(device) : new Set<string>()
  const woken: string[] = []
  const left: string[] = []
  for (const { id, name } of sleepers) {
    if (asleep.has(id)) await client.directory.wake(id, reason)
    try {
      await client.operations.wake(followed.session.operation, id)
      woken.push(isolated(name))
    } catch (error) {
      // The account sleeps, and a contact point of another organization answers for it.
      if (!isProblem(error, 'MEMBER_RULE')) throw error
      left.push(isolated(name))
    }
  }
  terminal.result({ woken: woken.length, left: left.length }, () => [
    ...(woken.length > 0
      ? [`Woken: ${woken.join(', ')}. The next key is sealed for them too.`]
      : ['No member was woken.']),
    ...(left.length > 0 ? [`The accounts of ${left.join(', ')} sleep: their contact points wake them first.`] : []),
  ])
}

/**
 * Ids of the sleeping accounts of the own organization; empty for a person who is no contact point.
 */
async function sleepingAccounts({ client }: CommandDevice): Promise<Set<string>> {
  try {
    const people = await client.directory.people(client.organization)
    return new Set(people.filter(({ asleep }) => asleep).map(({ person }) => person))
  } catch (error) {
    if (!isProblem(error, 'NOT_FOUND')) throw error
    return new Set()
  }
}
