import { MemoryStore, type Change, type ClientStore, type Cordon } from '../../src/client/index.ts'
import { newClient, passphrase, type ActorOptions } from './actors.ts'
import { startScene, type Owner } from './scenes.ts'
import type { TestServer, TestServerOptions } from './server.ts'

/** All that a client's store holds. */
type KeptClient = readonly (readonly [name: string, value: unknown])[]

/** A store in memory whose content is plain JSON, session keys too. */
class PlainStore implements ClientStore {
  readonly holdsKeys = false
  readonly #inner = new MemoryStore()

  get(name: string): Promise<unknown> {
    return this.#inner.get(name)
  }

  list(prefix: string): Promise<[string, unknown][]> {
    return this.#inner.list(prefix)
  }

  write(changes: readonly Change[]): Promise<void> {
    return this.#inner.write(changes)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }
}

/**
 * A client that goes on with what one like it has kept, at another address of the service. It signs
 * in anew, as if it had just been made: some acts ask for a recent proof of who one is.
 */
async function takeUp(
  owner: Owner,
  server: TestServer,
  kept: KeptClient,
  options: Omit<ActorOptions, 'store'> = {},
): Promise<Cordon> {
  const store = new MemoryStore()
  const at = (name: string, value: unknown) => {
    if (name === 'account') return { ...(value as object), server: server.url }
    return value
  }
  await store.write(kept.map(([name, value]) => ({ name, value: at(name, value) })))
  const client = newClient(owner, { ...options, store })
  await client.load()
  await client.signIn({ passphrase })
  return client
}

/** Clients by name, and whatever else was made, as plain JSON. */
export interface ClientScene<Name extends string, Made> {
  readonly clients: Readonly<Record<Name, Cordon>>
  readonly made: Made
}

/** Makes each client with the store that `as` gives for its name. */
export type MakeClientScene<Name extends string, Made> = (
  owner: Owner,
  server: TestServer,
  as: (name: Name) => { readonly store: ClientStore },
) => Promise<ClientScene<Name, Made>>

/** A service with people on it who are clients: made once per run. See `startScene`. */
export async function startClientScene<Name extends string, Made>(
  owner: Owner,
  name: string,
  make: MakeClientScene<Name, Made>,
  options: {
    readonly server?: TestServerOptions
    /** What a client runs on, which may be the clock of the server. */
    readonly of?: (name: Name, server: TestServer) => Omit<ActorOptions, 'store'>
  } = {},
): Promise<ClientScene<Name, Made> & { readonly server: TestServer }> {
  const { server, data } = await startScene(owner, name, (maker, on) => makeAndKeep(maker, on, make), options.server)
  const clients = await Promise.all(
    data.kept.map(async ([who, kept]) => [who, await takeUp(owner, server, kept, options.of?.(who, server))] as const),
  )
  return { server, clients: Object.fromEntries(clients) as Record<Name, Cordon>, made: data.made }
}

/** Signs everybody out, so that whoever takes them up signs in anew. */
async function makeAndKeep<Name extends string, Made>(
  owner: Owner,
  server: TestServer,
  make: MakeClientScene<Name, Made>,
) {
  const stores = new Map<Name, ClientStore>()
  const { clients, made } = await make(owner, server, (name) => {
    const store = new PlainStore()
    stores.set(name, store)
    return { store }
  })
  const kept: (readonly [Name, KeptClient])[] = []
  for (const [name, store] of stores) {
    await clients[name].signOut()
    kept.push([name, await store.list('')])
  }
  return { kept, made }
}
