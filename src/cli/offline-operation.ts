import { isProblem, keepMessage, keptMessages, keptOperations, type Draft, type Message } from '../client/index.ts'
import { choose } from './choice.ts'
import type { CommandDevice } from './device.ts'
import { CommandFailure, exitCodes } from './failures.ts'
import { knownOperation, type KnownOperation } from './followed-operation.ts'

/** What is known of an operation without asking anybody. */
export interface OfflineOperation extends KnownOperation {
  readonly operation: string
  readonly messages: readonly Message[]
}

/**
 * The operation that is meant, of those in which a command of this device ever was; undefined where
 * there is none, or a word is missing.
 */
async function awayFrom({ store }: CommandDevice, word: string | undefined): Promise<OfflineOperation | undefined> {
  const known: (KnownOperation & { operation: string })[] = []
  for (const operation of await keptOperations(store)) {
    const kept = await knownOperation({ store }, operation)
    if (kept) known.push({ ...kept, operation })
  }
  const named = known.map((one) => ({ ...one, id: one.operation, name: one.facts.name, also: one.facts.reference }))
  const found = word === undefined ? (named.length === 1 ? named[0] : undefined) : choose('operation', word, named)
  return found && { ...found, messages: await keptMessages(store, found.operation) }
}

/**
 * Does what asks the service; where it cannot be reached, keeps the message for the next command
 * and says that it was not sent. What cannot be made of what this device knows is not kept.
 */
export async function orKeep(
  device: CommandDevice,
  operation: string | undefined,
  work: () => Promise<void>,
  make: (away: OfflineOperation) => Draft | undefined,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!isProblem(error, 'NETWORK')) throw error
    const away = await awayFrom(device, operation)
    const draft = away && make(away)
    if (!away || !draft) throw error
    const message = await keepMessage(device.store, away.operation, draft, device.client)
    throw new CommandFailure(
      `${error.detail} The message was not sent yet: it is kept in the store, and sent by the next command on ${away.facts.reference}.`,
      exitCodes.failed,
      { reason: error.code, pending: message },
    )
  }
}
