import type { Message } from './message.ts'
import type { ClientStore } from './store.ts'

/** Operations of which a store holds something. */
export async function keptOperations(store: ClientStore): Promise<string[]> {
  const names = (await store.list('operation/')).map(([name]) => name.split('/')[1] ?? '')
  return [...new Set(names)]
}

/** The messages of an operation that this device has opened and kept, in the order of the log; asks no service. */
export async function keptMessages(store: ClientStore, operation: string): Promise<Message[]> {
  const kept = (await store.list(`operation/${operation}/message/`)).map(([, value]) => value as Message)
  return kept.sort((a, b) => a.index - b.index)
}

/** Ids of messages that this device has signed and that have no receipt yet: they are sent when it next follows. */
export async function pendingMessages(store: ClientStore, operation: string): Promise<string[]> {
  const prefix = `operation/${operation}/pending/`
  return (await store.list(prefix)).map(([name]) => name.slice(prefix.length))
}

/** How many messages of an operation wait for the key of their epoch. */
export async function sealedMessages(store: ClientStore, operation: string): Promise<number> {
  return (await store.list(`operation/${operation}/sealed/`)).length
}
