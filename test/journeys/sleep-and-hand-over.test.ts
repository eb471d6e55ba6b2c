// What this holds: with the command alone an organization keeps its own people: a sleeping account
// is woken, a contact point hands over.
// What makes it fail: somebody asleep or gone who acts, one act that is enough to wake, a
// predecessor's open invitation that works, a key that is sealed to who is out, an act without a
// yes, words that do not say what is missing.
import t from 'tap'
import { Desk } from '../support/command.ts'
import { follow, heldBy, invitationIn, isOut, setOut, tell } from '../support/journey.ts'

t.test('a sleeping account and a hand-over, with the commands', async (t) => {
  const journey = await setOut(t)
  const { directory, operation, ncp, officer } = journey
  const wanjiru = ncp.desk
  const amina = officer.desk
  const peter = new Desk(t, directory, 'peter')
  const grace = new Desk(t, directory, 'grace')

  t.test('a sleeping account is woken', async (t) => {
    const before = await tell(journey, operation, 'While she was awake.')
    const following = await follow(amina)
    const suspended = await wanjiru.run(['person', 'suspend', 'amina', '--reason', 'Away for long'])
    t.equal(suspended.code, 0, 'what can be undone asks nobody')
    t.match(suspended.stdout, /Amina Otieno is suspended: out of all operations, sessions ended, nothing lost\./)
    t.equal(await following.code, 1)
    await isOut(t, amina, [['read'], ['post', 'In my sleep.']], /This account sleeps/)
    t.match((await wanjiru.run(['person', 'list'])).stdout, /Amina Otieno +asleep/)
    const meanwhile = await tell(journey, operation, 'While she slept.')
    t.equal(meanwhile.epoch, before.epoch + 1, 'under a new key')
    t.notOk(meanwhile.recipients.includes(officer.device))

    t.equal((await wanjiru.run(['operation', 'wake', 'amina'])).code, 1, 'the account first')
    const woken = await wanjiru.run(['person', 'wake', 'amina', '--reason', 'Back'])
    t.match(woken.stdout, /Amina Otieno can sign in again\. In each operation .*: cordon operation wake\./)
    const signedIn = await amina.run(['sign-in'])
    t.equal(signedIn.code, 0, 'the account is awake')
    t.match(signedIn.stderr, /Operation Test: You sleep in this operation until a member who may admit there wakes you/)
    const asleep = await amina.run(['post', 'Half awake.'])
    t.match(asleep, { code: 1, stderr: /You sleep in this operation/ }, 'in the operation she sleeps still')
    t.match((await wanjiru.run(['operation', 'wake', 'amina'])).stdout, /Woken: Amina Otieno\./)
    t.match((await amina.run(['read', String(meanwhile.index)])).stdout, /While she slept\./, 'history is full here')
    t.equal((await amina.run(['post', 'I am back.'])).code, 0)
  })

  t.test('an NCP hands over', async (t) => {
    const before = await tell(journey, operation, 'In the time of Wanjiru.')
    await wanjiru.must('read')
    const { text } = await wanjiru.must<{ text: string }>('invite', 'Peter Kariuki', '--tier', 'ncp')
    await peter.must('enrol', text, '--no-wait')
    await wanjiru.must('operation', 'admit', 'Kenya', 'Peter', '--role', 'ncp')
    const { text: open } = await wanjiru.must<{ text: string }>('invite', 'Never came')
    const retire = ['person', 'retire', 'wanjiru', '--reason', 'Posted elsewhere']
    const unasked = await peter.run(retire)
    t.equal(unasked.code, 2)
    const says = /Wanjiru Kamau will leave for good, with 1 device, out of 1 operation at once\.[^]*say --yes/
    t.match(unasked.stderr, says)
    t.match((await peter.run([...retire, '--yes'])).stdout, /Wanjiru Kamau has left: out of all operations/)
    const acts = [['read'], ['invite', 'One of mine'], ['operation', 'admit', 'Kenya', 'Amina', '--role', 'officer']]
    await isOut(t, wanjiru, acts)
    const late = await new Desk(t, directory, 'late').run(['enrol', open, '--json'])
    t.match([late.code, late.json], [1, { error: { code: 'INVITATION_INVALID' } }], 'what was open ended with them')

    const invited = await peter.run(['invite', 'Grace Wairimu'])
    await grace.must('enrol', invitationIn(invited), '--no-wait')
    t.match(await peter.must('operation', 'admit', 'Kenya', 'Grace', '--role', 'officer'), { role: 'officer' })
    const after = await tell(journey, operation, 'In the time of Peter.')
    t.equal(after.epoch, before.epoch + 1, 'under a new key')
    t.notOk(after.recipients.includes(ncp.device))
    const shown = await Promise.all([peter, grace].map((desk) => desk.run(['read', String(after.index)])))
    for (const { stdout } of shown) t.match(stdout, /In the time of Peter\./)
    t.notOk((await heldBy(wanjiru, operation)).texts.includes('In the time of Peter.'))
  })
})
