// What this holds: a message of one's own organization says which organizations have read it, and
// which have not yet; only those count whose people can read it.
import t from 'tap'
import { readershipLine, readershipOf } from '../src/cli/readers.ts'
import type { Message, OperationView, ReaderReceipt } from '../src/client/index.ts'
import { takeIn } from './support/actors.ts'
import { joinWithDesk, seat, temporary } from './support/command.ts'
import { usualOperation } from './support/usual-operation.ts'

const members = [
  ['own', 'kenya'],
  ['colleague', 'kenya'],
  ['one', 'thailand'],
  ['two', 'thailand'],
  ['three', 'peru'],
  ['late', 'chad'],
  ['program', 'togo'],
  ['outside', 'fiji'],
].map(([person, organization]) => ({ person, organization }))

const view = {
  members: new Map(members.map((member) => [member.person, member])),
  services: new Set(['program']),
  reads: (person: string) => person !== 'outside',
  readsFrom: (person: string) => (person === 'late' ? 50 : 0),
} as unknown as OperationView

const message = { index: 41, organization: 'kenya', compartment: 'all' } as Message

const receipt = (person: string, organization: string, readAt?: string) =>
  ({ person, organization, ...(readAt === undefined ? {} : { readAt }) }) as ReaderReceipt

const at = '2026-11-30T12:00:00.000Z'

// Bites: readershipOf
t.test('an organization counts where one of its people can read the message, and has read it', async (t) => {
  const receipts = [
    receipt('colleague', 'kenya', at),
    receipt('one', 'thailand'),
    receipt('two', 'thailand', at),
    receipt('late', 'chad', at),
    receipt('program', 'togo', at),
    receipt('three', 'peru'),
  ]
  t.same(readershipOf(view, message, []), { organizations: ['thailand', 'peru'], unread: ['thailand', 'peru'] })
  const found = readershipOf(view, message, receipts)
  t.same(found, { organizations: ['thailand', 'peru'], unread: ['peru'] })
  t.equal(readershipLine(found, { peru: 'Peru Customs' }), 'Read by 1 of 2 organizations: not yet Peru Customs.')
  const addressed = readershipOf(view, { ...message, addressees: ['thailand', 'fiji'] }, receipts)
  t.same(addressed, { organizations: ['thailand'], unread: [] })
  t.equal(readershipLine(addressed, {}), 'Read by the one organization that it is for.')
  t.equal(readershipLine({ organizations: ['a', 'b'], unread: [] }, {}), 'Read by all 2 organizations that it is for.')
  t.equal(
    readershipLine({ organizations: [], unread: [] }, {}),
    'It is for no other organization: no reading of it is told.',
  )
  const many = Array.from({ length: 20 }, (_, n) => `o${String(n).padStart(2, '0')}`)
  t.match(
    readershipLine({ organizations: many, unread: many }, {}),
    /^Read by 0 of 20 .*: not yet o00, .*o11 and 8 more\.$/,
  )
})

// Bites: readershipsOf
t.test('read shows it to the organization of the sender, and to no other', async (t) => {
  const directory = temporary(t)
  const stage = await usualOperation(t)
  const { administrator, coordinator, operation } = stage
  const kenya = await joinWithDesk(t, directory, stage, { name: 'kenya', country: 'KE' })
  const organization = await administrator.directory.registerOrganization({
    kind: 'administration',
    name: 'Thai Customs',
    country: 'TH',
  })
  const thailand = await seat(t, directory, administrator, { name: 'Anong', organization })
  await takeIn(coordinator, operation, thailand, 'ncp')
  await thailand.leave()
  const { index } = await kenya.must<{ index: number }>('post', 'Who reads this?')
  const before = await kenya.run(['read', String(index)])
  t.match(before.stdout, /\(Read by 0 of 2 organizations: not yet Coordination unit, Thai Customs\.\)/)
  const other = await thailand.desk.run(['read', `@${String(index)}`])
  t.match(other.stdout, new RegExp(`^#${String(index)} \\(new\\)`, 'm'))
  t.notMatch(other.stdout, /Read by/)
  await stage.server.consultation.flush()
  const after = await kenya.run(['read', `#${String(index)}`])
  t.match(after.stdout, /\(Read by 1 of 2 organizations: not yet Coordination unit\.\)/)
  const json = await kenya.must<{ messages: object[] }>('read', String(index))
  t.match(json.messages, [{ readership: { unread: { length: 1 } } }])
})
