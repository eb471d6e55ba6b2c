import {
  administratorOf,
  coordinationUnit,
  operationOf,
  type ActorOptions,
  type OperationTerms,
  type Scene,
} from './actors.ts'
import { startClientScene, type MakeClientScene } from './client-scenes.ts'
import type { Owner } from './scenes.ts'
import type { TestServerOptions } from './server.ts'

type Name = 'administrator' | 'coordinator'
type Actors = { readonly [Who in Name]?: Omit<ActorOptions, 'store'> }

/**
 * What `operationOn` makes on a new service, made once per run: for whatever happens on an ordinary
 * operation. With other terms the people are made once per run, and the operation is new.
 */
export async function usualOperation(
  owner: Owner,
  options: TestServerOptions = {},
  { history = 'full', state = 'active', ...actors }: OperationTerms & Actors = {},
): Promise<Scene> {
  const of = (name: Name) => actors[name] ?? {}
  if (history !== 'full' || state !== 'active') {
    const scene = await startClientScene(owner, 'coordination-unit', makeUnit, { server: options, of })
    const { server, clients, made } = scene
    const unit = { client: clients.coordinator, organization: made.secretariat }
    const operation = await operationOf(clients.administrator, unit, { history, state })
    return { server, ...clients, ...made, operation }
  }
  const { server, clients, made } = await startClientScene(owner, 'usual-operation', makeOperation, {
    server: options,
    of,
  })
  await clients.coordinator.follow(made.operation)
  return { server, ...clients, ...made }
}

const makeUnit: MakeClientScene<Name, { secretariat: string }> = async (owner, server, as) => {
  const administrator = await administratorOf(owner, server, as('administrator'))
  const { client: coordinator, organization } = await coordinationUnit(owner, administrator, as('coordinator'))
  return { clients: { administrator, coordinator }, made: { secretariat: organization } }
}

export const makeOperation: MakeClientScene<Name, { secretariat: string; operation: string }> = async (...on) => {
  const { clients, made } = await makeUnit(...on)
  const unit = { client: clients.coordinator, organization: made.secretariat }
  return { clients, made: { ...made, operation: await operationOf(clients.administrator, unit) } }
}
