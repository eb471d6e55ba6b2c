// What this holds: with the command alone an administrator lets an organization leave in the middle
// of two operations; its people are out of both at once, whoever followed is told so, and nothing
// is sealed to them again. What makes it fail: an operation or a session that is forgotten, a
// follower that hangs, an act without a yes, a list that shows it as before.
import t from 'tap'
import { seat, until } from '../support/command.ts'
import { follow, heldBy, isOut, setOut, tell } from '../support/journey.ts'

t.test('an organization leaves in mid-operation, with the commands', async (t) => {
  const journey = await setOut(t)
  const { administrator, coordinator, directory, operation, secretariat, kenya, ncp, officer } = journey
  const other = await administrator.operations.create({
    name: 'Operation Two',
    reference: 'T-2',
    timeZone: 'Africa/Nairobi',
    coordinators: [{ person: coordinator.person, organization: secretariat }],
  })
  await coordinator.follow(other)
  for (const state of ['rehearsal', 'active'] as const) await coordinator.operations.advance(other, state)
  await coordinator.operations.admitOrganization(other, kenya)
  await coordinator.operations.admit(other, { person: ncp.person, organization: kenya, role: 'ncp' })
  const host = { name: 'Ana Silva', organization: administrator.organization, tier: 'administrator' } as const
  const { desk: ana, leave } = await seat(t, directory, administrator, host)
  await leave()

  const befores = [await tell(journey, operation, 'Before they left.'), await tell(journey, other, 'Also before.')]
  const [amina, wanjiru] = await Promise.all([follow(officer.desk), follow(ncp.desk, '--operation', 'T-2')])
  await tell(journey, operation, 'In mid-stream.')
  await until('the officer sees it', () => amina.shown().includes('In mid-stream.'))
  const end = ['organization', 'end', 'kenya', '--reason', 'Left the programme']
  const unasked = await ana.run(end)
  t.equal(unasked.code, 2)
  t.match(
    unasked.stderr,
    /Kenya will leave for good, with 2 people \(Amina Otieno, Wanjiru Kamau\) and 2 devices, out of 2 operations at once\./,
  )
  t.match(unasked.stderr, /say --yes/)
  t.match((await ana.run([...end, '--yes'])).stdout, /Kenya has left, with 2 people\./)

  for (const following of [amina, wanjiru]) {
    t.equal(await following.code, 1, 'whoever followed is told')
    t.match(following.notes(), /The session has ended|You are out of Operation (Test|Two) now/)
  }
  const afters = [await tell(journey, operation, 'After they left.'), await tell(journey, other, 'Also after.')]
  for (const [n, { epoch, recipients }] of afters.entries()) {
    t.equal(epoch, (befores[n]?.epoch ?? 0) + 1, 'each operation goes on under a new key')
    t.same(recipients, [coordinator.device], 'without them')
  }
  await Promise.all([isOut(t, officer.desk), isOut(t, ncp.desk)])
  t.same((await heldBy(officer.desk, operation)).keys, [befores[0]?.epoch])
  t.same((await heldBy(ncp.desk, other)).keys, [befores[1]?.epoch])
  t.notMatch(amina.shown() + wanjiru.shown(), /After they left|Also after/)

  t.match((await ana.run(['organization', 'list'])).stdout, /Kenya +administration +KE +has left/)
  t.match((await ana.run([...end, '--yes'])).stdout, /Kenya has left already\./)
  t.equal((await ana.run(['invite', 'New', '--organization', 'Kenya', '--tier', 'ncp'])).code, 1, 'nobody is invited')
})
