import type { Command } from 'commander'
import { dropMessage, keptOperations, listPending, type PendingMessage } from '../../client/index.ts'
import { choose, shortId } from '../choice.ts'
import { onDevice, onStore, type CommandDevice, type DeviceOptions } from '../device.ts'
import { knownOperation } from '../followed-operation.ts'
import { table } from '../table.ts'
import { timesIn } from '../words.ts'

interface Options extends DeviceOptions {
  readonly drop?: string
}

interface PendingInOperation extends PendingMessage {
  readonly operation: string
  readonly reference: string
  readonly timeZone: string
}

export function addPending(command: Command): void {
  onStore(command)
    .option('--drop <id>', 'give up this message; the end of its id as it is listed')
    .addHelpText(
      'after',
      `
The next command on their operation sends these messages. A signed message may have reached the service; giving it up does not take it back.

Examples:
  $ cordon pending
  $ cordon pending --drop 4c7d91e2`,
    )
    .action((options: Options) =>
      onDevice(options, (device) => (options.drop === undefined ? list(device) : drop(device, options.drop))),
    )
}

async function pendingOf({ store }: CommandDevice): Promise<PendingInOperation[]> {
  const all: PendingInOperation[] = []
  for (const operation of await keptOperations(store)) {
    const { reference = operation, timeZone = 'UTC' } = (await knownOperation({ store }, operation))?.facts ?? {}
    for (const one of await listPending(store, operation)) all.push({ ...one, operation, reference, timeZone })
  }
  return all
}

async function list(device: CommandDevice): Promise<void> {
  const pending = await pendingOf(device)
  device.terminal.result({ pending }, () => {
    if (pending.length === 0) return ['Nothing waits to be sent.']
    const rows = pending.map(({ message, reference, form, subject, fields, at, signed, timeZone }) => [
      shortId(message),
      reference,
      form,
      (subject ?? (typeof fields['text'] === 'string' ? fields['text'] : '')).slice(0, 40),
      at === undefined ? '' : timesIn(timeZone)(at),
      signed ? 'may have arrived' : 'not sent',
    ])
    return table(['id', 'operation', 'form', 'subject', 'written', ''], rows)
  })
}

async function drop(device: CommandDevice, word: string): Promise<void> {
  const pending = await pendingOf(device)
  const named = pending.map((one) => ({ ...one, id: one.message, name: one.message }))
  const { id, operation, signed } = choose('pending message', word, named)
  await dropMessage(device.store, operation, id)
  device.terminal.result({ dropped: id, signed }, () => [
    signed
      ? `Dropped: ${shortId(id)}. It may have reached the service all the same.`
      : `Dropped: ${shortId(id)}. It was never sent.`,
  ])
}
