// What this holds: with the command alone somebody who has lost every device comes back by two
// people of two organizations, and nothing of the old device works any more. What makes it fail: an
// invitation that works unapproved, an approval within one organization, words that do not say what
// is missing, a device of old that still reads or signs in.
import t from 'tap'
import { Desk, seat } from '../support/command.ts'
import { follow, heldBy, invitationIn, isOut, setOut, tell } from '../support/journey.ts'

t.test('a lost last device, with the commands', async (t) => {
  const journey = await setOut(t)
  const { administrator, directory, operation, ncp, officer } = journey
  const wanjiru = ncp.desk
  const organization = await administrator.directory.registerOrganization({ kind: 'rilo', name: 'RILO' })
  const abroad = await seat(t, directory, administrator, { name: 'Noor Haddad', organization, tier: 'ncp' })
  await abroad.leave()
  const first = await tell(journey, operation, 'Before the loss.')
  const thief = await follow(officer.desk)

  const lost = ['person', 'lost', 'amina']
  const unasked = await wanjiru.run(lost)
  t.equal(unasked.code, 2, 'nothing that cannot be undone without a yes')
  t.match(
    unasked.stderr,
    /1 device of Amina Otieno will be revoked for good, and keys renewed in 1 operation\.[^]*--yes/,
  )
  const revoked = await wanjiru.run([...lost, '--yes'])
  t.match(revoked.stderr, /Revoked: 1 device\./)
  t.match(revoked.stdout, /Now invite Amina Otieno again .* let a person of another organization approve it\./)
  t.equal(await thief.code, 1, 'what the lost device followed ends')
  const invited = await wanjiru.run(['invite', 'Amina Otieno'])
  const [, id = ''] = /cordon person approve (\S+)/.exec(invited.stdout) ?? []
  t.not(id, '', 'who invites is told what somebody else has to run')

  const found = new Desk(t, directory, 'found')
  const early = await found.run(['enrol', invitationIn(invited), '--no-wait', '--json'])
  t.match([early.code, early.json], [1, { error: { code: 'APPROVAL_MISSING' } }])
  const own = await wanjiru.run(['person', 'approve', id, '--yes'])
  t.equal(own.code, 1, 'nobody approves what they asked for')
  t.match(own.stderr, /A person of another organization must approve this/)
  const approve = ['person', 'approve', id]
  t.match(await abroad.desk.run(approve), {
    code: 2,
    stderr: /Wanjiru Kamau asks that Amina Otieno \(Kenya\), who lost every device, comes back\./,
  })
  const approved = await abroad.desk.run([...approve, '--yes'])
  t.match(approved.stdout, /Approved: Amina Otieno can enrol with the invitation\./)

  t.equal((await found.run(['enrol', invitationIn(invited), '--no-wait'])).code, 0)
  t.match((await wanjiru.run(['person', 'list'])).stderr, /Certified: Amina Otieno \(Kenya\)/)
  const after = await tell(journey, operation, 'After the return.')
  t.match((await found.run(['read', String(first.index)])).stdout, /Before the loss\./)
  t.match((await found.run(['read', String(after.index)])).stdout, /After the return\./)

  t.ok(after.epoch > first.epoch, 'under a new key')
  t.ok(first.recipients.includes(officer.device))
  t.notOk(after.recipients.includes(officer.device), 'that the lost device is not given')
  await isOut(t, officer.desk)
  t.same(await heldBy(officer.desk, operation), { keys: [first.epoch], texts: ['Before the loss.'] })
})
