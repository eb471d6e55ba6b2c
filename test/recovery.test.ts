// What this holds: somebody who has lost every device comes back by an invitation that a second
// person of another organization approved, with new factors and new keys, and by nothing else. What
// makes it fail: an invitation that works unapproved, an approval by somebody of the same
// organization, for something else, too late or twice; an old passphrase or device that still
// works.
import t from 'tap'
import { isProblem, type Cordon } from '../src/client/index.ts'
import { enrolWith, newClient, opened, passphrase } from './support/actors.ts'
import { entriesSince, sizes } from './support/entries.ts'
import { verifyAll } from './support/check-log.ts'
import { startClientScene } from './support/client-scenes.ts'
import { admin } from './support/database.ts'
import type { Owner } from './support/scenes.ts'
import { type TestServer } from './support/server.ts'
import { makeTwoAdministrations } from './support/two-administrations.ts'

const text = (words: string) => ({ form: 'text', fields: { text: words } })
const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )
const other = 'eleven pale storks over a lake'
const hour = 3_600_000
const isOfUnit = (name: string) => name === 'administrator' || name === 'coordinator'

/**
 * An operation with an officer and the contact point of Kenya, and the contact point of Thailand,
 * by the clock of the server.
 */
async function scene(owner: Owner) {
  const { server, clients, made } = await startClientScene(owner, 'two-administrations', makeTwoAdministrations, {
    of: (name, on) => (isOfUnit(name) ? {} : { platform: { clock: () => on.clock.now() } }),
  })
  const { administrator, coordinator, officer } = clients
  const { operation, kenya: organization } = made
  await coordinator.follow(operation)
  const kenya = { client: clients.kenya, organization }
  const thailand = { client: clients.thailand, organization: made.thailand }
  const again = (inviter: Cordon, person: string, tier: 'ncp' | 'person') =>
    inviter.directory.invite({ person: { id: person, name: 'Amina Otieno' }, organization, tier })
  const platform = { clock: () => server.clock.now() }
  return { server, administrator, coordinator, operation, kenya, thailand, officer, platform, again }
}

/** The verifier finds what this does to the rows of requests; then they are put back. */
async function foundIn(server: TestServer, sentence: string): Promise<void> {
  await admin(server.database.superUrl, async (client) => {
    await client.query('CREATE TABLE kept AS SELECT * FROM recovery')
    const { rowCount } = await client.query(sentence)
    const { discrepancies } = await verifyAll(server)
    t.ok(rowCount && discrepancies.some(({ what }) => what.startsWith('recovery ')), sentence, { discrepancies })
    await client.query('DELETE FROM recovery; INSERT INTO recovery SELECT * FROM kept; DROP TABLE kept')
  })
}

t.test('INV-95: a lost last device: revoked, approved by a second person, and everything begins anew', async (t) => {
  const { server, administrator, operation, kenya, thailand, officer, platform, again } = await scene(t)
  const ncp = kenya.client
  const writing = await thailand.client.follow(operation)
  const first = await writing.post(text('Before the loss.'))
  await opened(officer, operation, first.message)
  t.equal(await code(again(ncp, officer.person, 'person')), 'DEVICES_LIVE', 'who has a device invites from it')
  const before = await sizes(server)
  t.equal(await ncp.directory.revokeAll(officer.person), 1)
  t.equal(await code(officer.me()), 'SESSION_ENDED')
  t.equal(await code(thailand.client.directory.revokeAll(officer.person)), 'NOT_FOUND')
  const { text: invitation, invitation: id } = await again(ncp, officer.person, 'person')
  const device = newClient(t, { platform })
  const enrol = () => code(device.enrol({ invitation, passphrase: other }))
  t.equal(await enrol(), 'APPROVAL_MISSING')
  t.equal(await code(device.enrol({ invitation, passphrase })), 'APPROVAL_MISSING', 'not even with the old passphrase')
  const asked = await thailand.client.directory.recovery(id)
  t.match(asked, { state: 'open', person: { name: 'Amina' }, organization: { name: 'Kenya' } })
  t.equal(await code(ncp.directory.approveRecovery(asked)), 'FORBIDDEN', 'not who asked')
  t.equal(await code(officer.directory.recovery(id)), 'SESSION_ENDED')
  const second = await enrolWith(t, ncp, { name: 'Second', organization: kenya.organization, tier: 'ncp', platform })
  t.equal(await code(second.directory.approveRecovery(asked)), 'FORBIDDEN', 'nobody of the same organization')
  const another = { ...asked, request: 'A'.repeat(43) }
  t.equal(await code(thailand.client.directory.approveRecovery(another)), 'APPROVAL_MISSING', 'nothing else')
  t.equal(await enrol(), 'APPROVAL_MISSING')
  t.equal(await code(administrator.directory.recovery(id)), 'accepted')
  await thailand.client.directory.approveRecovery(asked)
  await thailand.client.directory.approveRecovery(asked)
  t.equal(await enrol(), 'accepted')
  for (const change of [
    `approver_person_id = '${administrator.person}'`,
    `approver_person_id = NULL, approved_at = NULL`,
    `approved_at = approved_at + interval '1 hour'`,
    `requested_at = requested_at + interval '1 hour'`,
    `request = reverse(request)`,
  ])
    await foundIn(server, `UPDATE recovery SET ${change}`)
  await foundIn(server, 'DELETE FROM recovery')
  t.equal(await enrol(), 'ALREADY_ENROLLED')
  await ncp.directory.certifyWaiting()
  t.equal(await code(device.signIn({ passphrase })), 'SIGN_IN_REFUSED', 'the old passphrase is forgotten')
  await device.signIn({ passphrase: other })
  t.equal(device.person, officer.person)
  const { message } = await writing.post(text('Welcome back.'))
  t.equal((await opened(device, operation, message)).fields['text'], 'Welcome back.')
  t.equal((await opened(device, operation, first.message)).fields['text'], 'Before the loss.')
  t.equal(await code(officer.signIn({ passphrase: other })), 'SIGN_IN_REFUSED', 'the lost device stays out')
  const kinds = (await entriesSince(server, before)).filter(({ kind }) => /approval|enrolled/.test(kind))
  t.match(
    kinds.filter(({ person }) => person !== second.person).map(({ kind, details }) => [kind, details.reason]),
    [
      ['approval.given', 'approved'],
      ['device.enrolled', 'recovered'],
    ],
  )
})

t.test(
  'INV-95: the only device of the only contact point is lost: an administrator asks, another organization approves',
  async (t) => {
    const { administrator, operation, coordinator, kenya, thailand, platform, again } = await scene(t)
    const lost = kenya.client
    await administrator.directory.revokeAll(lost.person)
    const { text: invitation, invitation: id } = await again(administrator, lost.person, 'ncp')
    const asked = await thailand.client.directory.recovery(id)
    t.equal(await code(administrator.directory.approveRecovery(asked)), 'FORBIDDEN')
    await thailand.client.directory.approveRecovery(asked)
    const device = newClient(t, { platform })
    await device.enrol({ invitation, passphrase: other })
    await administrator.directory.certifyWaiting()
    t.equal((await device.signIn({ passphrase: other })).tier, 'ncp')
    const { message } = await (await coordinator.follow(operation)).post(text('To the contact point.'))
    t.equal((await opened(device, operation, message)).fields['text'], 'To the contact point.')
    const officer = await enrolWith(t, device, {
      name: 'New',
      organization: kenya.organization,
      tier: 'person',
      platform,
    })
    t.ok(officer.signedIn, 'and answers for its people again')
  },
)

t.test(
  'INV-95: a request waits 72 hours and an approval counts as long; who approved must still be somebody',
  async (t) => {
    const { server, administrator, kenya, thailand, officer, platform, again } = await scene(t)
    const { directory } = kenya.client
    await directory.revokeAll(officer.person)
    const late = await again(kenya.client, officer.person, 'person')
    const asked = await thailand.client.directory.recovery(late.invitation)
    server.clock.advance(73 * hour)
    await thailand.client.factors.stepUp({ passphrase })
    t.equal((await thailand.client.directory.recovery(late.invitation)).state, 'expired')
    t.equal(await code(thailand.client.directory.approveRecovery(asked)), 'APPROVAL_MISSING')
    t.equal(await code(again(kenya.client, officer.person, 'person')), 'STEP_UP_REQUIRED')
    await kenya.client.factors.stepUp({ passphrase })
    const next = await again(kenya.client, officer.person, 'person')
    await thailand.client.directory.approveRecovery(await thailand.client.directory.recovery(next.invitation))
    server.clock.advance(73 * hour)
    const device = newClient(t, { platform })
    t.equal(await code(device.enrol({ invitation: next.text, passphrase: other })), 'APPROVAL_MISSING', 'too late')
    await kenya.client.factors.stepUp({ passphrase })
    await thailand.client.factors.stepUp({ passphrase })
    const third = await again(kenya.client, officer.person, 'person')
    await thailand.client.directory.approveRecovery(await thailand.client.directory.recovery(third.invitation))
    const outside = newClient(t, { platform })
    t.equal(
      await code(outside.enrol({ invitation: next.text, passphrase: other })),
      'APPROVAL_MISSING',
      'for another request',
    )
    t.ok(administrator.signedIn)
    t.equal(await code(device.enrol({ invitation: third.text, passphrase: other })), 'accepted')
  },
)
