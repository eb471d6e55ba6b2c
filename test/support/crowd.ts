import { logHost } from './check-log.ts'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Cordon, MemoryStore, webPlatform, type OperationSession, type Platform } from '../../src/client/index.ts'
import { formatInvitation, parseInvitation } from '../../src/protocol/index.ts'
import { openLogKey, type Report } from '../../src/log/index.ts'
import { verify } from '../../src/main.ts'
import { passphrase, systemClock } from './actors.ts'
import type { ServerProcess } from './processes.ts'

interface Owner {
  teardown(clean: () => Promise<unknown>): void
}

export interface Poster {
  readonly client: Cordon
  readonly organization: string
  session: OperationSession
  /** Every index of an entry that came over this client's sockets, as it came. */
  readonly received: number[]
  /** Ids of messages in the order in which this client opened them. */
  readonly opened: string[]
}

export interface Crowd {
  readonly coordinator: Cordon
  readonly leading: OperationSession
  readonly operation: string
  readonly posters: readonly Poster[]
}

/** A WebSocket that also notes which entries came, before the SDK has judged them. */
function recording(received: number[]): new (url: string, protocols: string[]) => WebSocket {
  return class extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols)
      this.addEventListener('message', ({ data }) => {
        const frame = JSON.parse(String(data)) as { type: string; index?: number }
        if (frame.type === 'entry' && frame.index !== undefined) received.push(frame.index)
      })
    }
  }
}

async function enrolOn(
  owner: Owner,
  inviter: Cordon,
  server: ServerProcess,
  name: string,
  organization: string,
  received: number[],
  changes: Partial<Platform>,
): Promise<Cordon> {
  const { text } = await inviter.directory.invite({ person: { name }, organization, tier: 'ncp' })
  const client = new Cordon({
    store: new MemoryStore(),
    platform: webPlatform(systemClock, { WebSocket: recording(received), ...changes }),
    keep: 'none',
  })
  owner.teardown(() => client.close())
  await client.enrol({ invitation: formatInvitation({ ...parseInvitation(text), server: server.url }), passphrase })
  await inviter.directory.certifyWaiting()
  await client.signIn({ passphrase })
  return client
}

/**
 * An active operation with so many members who post, each of an administration of its own, spread
 * over the servers. `changes`: of their platforms.
 */
export async function crowd(
  owner: Owner,
  servers: readonly ServerProcess[],
  size: number,
  changes: Partial<Platform> = {},
): Promise<Crowd> {
  // Each start of a service without a root makes a new set-up string: the newest holds.
  const first = servers.at(-1)
  if (!first) throw new Error('a crowd needs a server')
  const platform = webPlatform(systemClock, changes)
  const administrator = new Cordon({ store: new MemoryStore(), platform, keep: 'none' })
  owner.teardown(() => administrator.close())
  await administrator.initialize({
    server: first.url,
    setupString: first.setUpString ?? '',
    organization: { name: 'Secretariat' },
    person: { name: 'Administrator' },
    passphrase,
  })
  await administrator.signIn({ passphrase })
  const unit = await administrator.directory.registerOrganization({ kind: 'rilo', name: 'Coordination unit' })
  const coordinator = await enrolOn(owner, administrator, first, 'Coordinator', unit, [], changes)
  const operation = await administrator.operations.create({
    name: 'Operation Crowd',
    reference: 'CROWD',
    timeZone: 'UTC',
    coordinators: [{ person: coordinator.person, organization: unit }],
  })
  const leading = await coordinator.follow(operation)
  for (const state of ['rehearsal', 'active'] as const) await coordinator.operations.advance(operation, state)
  const posters: Poster[] = []
  for (let i = 0; i < size; i++) {
    const server = servers[i % servers.length] ?? first
    const organization = await administrator.directory.registerOrganization({
      kind: 'administration',
      name: `Customs ${String(i)}`,
      country: 'XX',
    })
    const received: number[] = []
    const client = await enrolOn(owner, administrator, server, `Officer ${String(i)}`, organization, received, changes)
    await coordinator.operations.admitOrganization(operation, organization)
    await coordinator.operations.admit(operation, { person: client.person, organization, role: 'ncp' })
    const poster: Poster = { client, organization, session: await client.follow(operation), received, opened: [] }
    watch(poster)
    posters.push(poster)
  }
  await Promise.all(posters.map(({ session }) => session.ready()))
  return { coordinator, leading, operation, posters }
}

export function watch(poster: Poster): void {
  poster.session.events.on('message', ({ id }) => poster.opened.push(id))
}

export const words = (text: string) => ({ form: 'text', fields: { text } })

/** Verifies everything with the keys of these servers; throws with the first discrepancies. */
export async function checkLogs(databaseUrl: string, keys: string): Promise<Report> {
  const key = join(keys, 'log.key')
  readFileSync(key)
  const report = await verify({ databaseUrl, keys: openLogKey(key, true).publicKeys, logHost })
  if (report.discrepancies.length > 0) {
    throw new Error(
      `the logs do not verify: ${report.discrepancies
        .slice(0, 5)
        .map(({ what, index }) => `${String(index)} ${what}`)
        .join('; ')}`,
    )
  }
  return report
}
