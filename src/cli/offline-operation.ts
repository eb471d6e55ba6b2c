import { isProblem, keepMessage, keptMessages, keptOperations, type Draft, type Message } from '../client/index.ts'
import { choose } from './choice.ts'
import type { CommandDevice } from './device.ts'
import { CommandFailure, exitCodes } from './failures.ts'
import { knownOperation, type KnownOperation } from './followed-operation.ts'
import { isolated } from './terminal.ts'

/** An operation as the store knows it, without the service. */
export interface OfflineOperation extends KnownOperation {
  readonly operation: string
  readonly messages: readonly Message[]
}

/**
 * The operation that a word names, among those that the store knows; undefined where there is none,
 * or where no word is given and there are several.
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
 * Runs work that needs the service. Where the service cannot be reached, keeps the message for the
 * next command and throws CommandFailure. A message that needs facts of the service is not kept.
 */
export async function orKeep(
  device: CommandDevice,
  operation: string | undefined,
  work: () => Promise<void>,
  make: (away: OfflineOperation) => Promise<Draft | undefined>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!isProblem(error, 'NETWORK')) throw error
    const away = await awayFrom(device, operation)
    const draft = away && (await make(away))
    if (!away || !draft) throw error
    const message = await keepMessage(device.store, away.operation, draft, device.client)
    throw new CommandFailure(
      `${error.detail} The message was not sent yet: it is kept in the store, and sent by the next command on ${isolated(away.facts.reference)}.`,
      exitCodes.failed,
      { reason: error.code, pending: message },
    )
  }
}
