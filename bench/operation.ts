import { LightClient, id } from './light-client.ts'
import type { EpochKey } from '../src/protocol/index.ts'

export interface BenchOperation {
  readonly operation: string
  readonly head: string
  readonly key: EpochKey
  readonly members: readonly LightClient[]
  readonly auditor?: LightClient
}

/**
 * Makes an active operation with so many members, one for each administration, and opens its first
 * epoch.
 */
export async function makeOperation(
  setUpString: string,
  count: number,
  { auditor: withAuditor = false }: { auditor?: boolean } = {},
): Promise<BenchOperation> {
  const administrator = await LightClient.administrator(setUpString)
  const members: LightClient[] = []
  const bring = async () => {
    const organization = { id: id(), kind: 'administration', name: `Customs ${id()}`, country: 'XX' }
    await administrator.call('POST', '/v1/organizations', organization)
    members.push(await administrator.bring(organization.id, 'ncp'))
  }
  while (members.length < count) await Promise.all(Array.from({ length: Math.min(10, count - members.length) }, bring))
  const [coordinator] = members
  if (!coordinator) throw new Error('an operation has members')
  const operation = id()
  const at = new Date().toISOString()
  await administrator.call('POST', '/v1/operations', {
    name: 'Bench',
    reference: 'BENCH',
    timeZone: 'UTC',
    statement: await administrator.memberStatement({
      v: 2,
      operation,
      previous: null,
      at,
      act: 'create-operation',
      history: 'full',
      allHolds: [],
      coordinators: [{ person: coordinator.person, organization: coordinator.organization }],
    }),
  })
  const head = async () => (await coordinator.call<{ head: string }>('GET', `/v1/operations/${operation}`)).head
  for (const member of members.slice(1)) {
    await coordinator.call('POST', `/v1/operations/${operation}/organizations`, { organization: member.organization })
    const act = { act: 'admit', person: member.person, organization: member.organization, role: 'ncp' } as const
    const statement = await coordinator.memberStatement({ v: 2, operation, previous: await head(), at, ...act })
    await coordinator.call('POST', `/v1/operations/${operation}/members`, { statement })
  }
  let auditor: LightClient | undefined
  if (withAuditor) {
    const organization = id()
    await administrator.call('POST', '/v1/organizations', { id: organization, kind: 'rilo', name: 'Audit office' })
    auditor = await administrator.bring(organization, 'ncp')
    await coordinator.call('POST', `/v1/operations/${operation}/organizations`, { organization })
    const act = { act: 'admit', person: auditor.person, organization, role: 'auditor' } as const
    const statement = await coordinator.memberStatement({ v: 2, operation, previous: await head(), at, ...act })
    await coordinator.call('POST', `/v1/operations/${operation}/members`, { statement })
  }
  for (const state of ['rehearsal', 'active'] as const) {
    const act = { act: 'advance', state } as const
    const statement = await coordinator.memberStatement({ v: 2, operation, previous: await head(), at, ...act })
    await coordinator.call('POST', `/v1/operations/${operation}/advance`, { statement })
  }
  const newest = await head()
  const key = await coordinator.openEpoch(operation, newest, members)
  return { operation, head: newest, key, members, ...(auditor === undefined ? {} : { auditor }) }
}
