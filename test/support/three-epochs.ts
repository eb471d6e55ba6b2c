import type { Cordon, OperationSession } from '../../src/client/index.ts'
import { partyOf, takeIn, type Scene } from './actors.ts'

interface Owner {
  teardown(clean: () => Promise<unknown>): void
}

/**
 * Posts a message under each of three epochs of the compartment `all`: the second follows the
 * removal of a member, the third the change of a role that takes a member out of `all`. Answers the
 * ids of the messages.
 */
export async function postUnderThreeEpochs(
  owner: Owner,
  { administrator, coordinator, operation }: Pick<Scene, 'administrator' | 'coordinator' | 'operation'>,
  session: OperationSession,
): Promise<string[]> {
  const join = async (name: string, country: string) => {
    const party = await partyOf(owner, administrator, { kind: 'administration', name, country })
    await takeIn(coordinator, operation, party, 'ncp')
    return party.client.person
  }
  const post = async (subject: string, text: string) =>
    (await session.post({ form: 'text', subject, fields: { text } })).message
  const [removed, changed] = [await join('Customs of Thailand', 'TH'), await join('Customs of Peru', 'PE')]
  const messages = [await post('Hello', 'A container left Mombasa.')]
  await coordinator.operations.remove(operation, removed)
  messages.push(await post('Second', 'It passed Colombo.'))
  await coordinator.operations.changeRole(operation, changed, 'observer')
  messages.push(await post('Third', 'It is in Bangkok.'))
  return messages
}

/**
 * Admits a person who observes at first and is an officer then, and waits until other members have
 * granted all keys to the device of that person.
 */
export async function admitInTwoSteps(
  { coordinator, operation }: Pick<Scene, 'coordinator' | 'operation'>,
  member: Cordon,
  { person, organization }: { person: string; organization: string },
): Promise<void> {
  await coordinator.operations.admit(operation, { person, organization, role: 'observer' })
  await coordinator.operations.changeRole(operation, person, 'officer')
  const waiting = async () =>
    (await member.transport.request<{ requests: unknown[] }>('GET', `/v1/operations/${operation}/grant-requests`))
      .requests.length
  for (const end = Date.now() + 60_000; (await waiting()) > 0;) {
    if (Date.now() > end) throw new Error('nobody has granted the keys')
    await (await member.follow(operation)).giveGrants()
  }
}
