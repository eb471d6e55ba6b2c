// What this holds: with the command alone somebody enrols by invitation, takes a second device into
// use, and loses it.
// What makes it fail: an invitation that works twice or after it was taken back; a device that
// somebody else can make; history that a device is not given; a follower, a session or a sign-in
// that goes on after the loss; a key that is not renewed with the next message; words that do not
// say what to do next.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Desk, until } from '../support/command.ts'
import { follow, heldBy, invitationIn, isOut, setOut, tell } from '../support/journey.ts'

t.test('enrolment, a second device and a lost one, with the commands', async (t) => {
  const journey = await setOut(t)
  const { directory, operation, ncp, officer } = journey
  const wanjiru = ncp.desk
  const amina = officer.desk
  const desk = (name: string) => new Desk(t, directory, name)

  t.test('enrol by invitation', async (t) => {
    const daudi = desk('daudi')
    const thief = desk('thief')
    const before = await tell(journey, operation, 'Before Daudi came.')
    const invited = await wanjiru.run(['invite', 'Daudi Mwangi'])
    t.equal(invited.code, 0)
    t.match(invited.stdout, /Invitation for Daudi Mwangi, until .*\. It is shown once:/)
    t.notMatch(invited.stdout, /approve/, 'a newcomer needs nobody else')
    const enrolled = await daudi.run(['enrol', invitationIn(invited), '--no-wait'])
    t.equal(enrolled.code, 0)
    t.match(enrolled.stderr, /Enrolled: Daudi Mwangi \(Kenya\)\. The keys of this device are in /)
    t.match(enrolled.stdout, /waits to be certified: Wanjiru Kamau \(Kenya\) has to use cordon once/)
    const early = await daudi.run(['post', 'Nobody has certified me.'])
    t.match(
      early,
      { code: 1, stderr: /You are in no operation: a coordinator admits you/ },
      'until then nothing is read or written',
    )

    const certified = await wanjiru.run(['person', 'list'])
    t.match(certified.stderr, /Certified: Daudi Mwangi \(Kenya\) can now be admitted and read\./)
    t.match(certified.stdout, /Daudi Mwangi +active/)
    const admitted = await wanjiru.run(['operation', 'admit', 'Kenya', 'Daudi', '--role', 'officer'])
    t.match(admitted.stdout, /Admitted: Daudi Mwangi \(Kenya\) as officer\./)
    t.match((await daudi.run(['read', String(before.index)])).stdout, /Before Daudi came\./, 'he reads what was before')
    const { index } = await daudi.must<{ index: number }>('post', 'I am here.')
    t.match((await wanjiru.run(['read', String(index)])).stdout, /Kenya, Daudi Mwangi[^]*I am here\./)

    const again = await thief.run(['enrol', invitationIn(invited), '--json'])
    t.match([again.code, again.json], [1, { error: { code: 'INVITATION_INVALID' } }], 'an invitation works once')
    const { text } = await wanjiru.must<{ text: string }>('invite', 'Esther Njeri')
    const took = await wanjiru.run(['invitations', '--revoke', 'esther'])
    t.match(took.stdout, /Taken back: the invitation for Esther Njeri\./)
    t.equal((await thief.run(['enrol', text])).code, 1, 'and not after it was taken back')
    const list = await wanjiru.run(['invitations'])
    t.match(list.stdout, /Daudi Mwangi +person +used[^]*Esther Njeri +person +revoked/)
    t.same(await heldBy(thief, operation), { keys: [], texts: [] })
  })

  const second = desk('second')
  let device = ''

  t.test('a second device', async (t) => {
    const old = await tell(journey, operation, 'Before the second device.')
    const [refused, invited] = await Promise.all([
      wanjiru.run(['invite', officer.name]),
      amina.run(['invite', '--further-device']),
    ])
    t.equal(refused.code, 1, 'not even the contact point makes one for her')
    t.match(refused.stderr, /has a device: a person invites the own further devices/)
    const wrong = join(directory, 'not-hers')
    writeFileSync(wrong, 'three grey herons on a roof')
    const args = ['enrol', invitationIn(invited), '--no-wait']
    const other = await desk('stranger').run([...args, '--json'], { CORDON_PASSPHRASE_FILE: wrong })
    t.match([other.code, other.json], [1, { error: { code: 'SIGN_IN_REFUSED' } }], 'the invitation alone is not enough')
    t.match((await second.run(args)).stdout, /Amina Otieno \(Kenya\) has to use cordon once/)
    t.match((await amina.run(['read'])).stderr, /Certified: Amina Otieno \(Kenya\)/)
    t.match((await second.run(['read', String(old.index)])).stdout, /Before the second device\./, 'history comes')
    const { index } = await second.must<{ index: number }>('post', 'From my second device.')
    t.match((await amina.run(['read', String(index)])).stdout, /Kenya, Amina Otieno[^]*From my second device\./)
    const { devices } = await second.must<{ devices: { device: string; current: boolean }[] }>('devices')
    device = devices.find(({ current }) => current)?.device ?? ''
    const shown = await amina.run(['devices'])
    t.equal(shown.code, 0)
    for (const [one, which] of [
      [officer.device, ' +this one'],
      [device, ''],
    ] as const)
      t.match(shown.stdout, new RegExp(`${one.slice(0, 12)}… +certified .* +proven${which}\n`), 'each sees both')
  })

  t.test('a lost device', async (t) => {
    const thief = await follow(second)
    const before = await tell(journey, operation, 'While both were hers.')
    t.ok([device, officer.device].every((one) => before.recipients.includes(one)))
    await until('the lost device shows it', () => thief.shown().includes('While both were hers.'))
    const revoke = ['devices', '--revoke', device.slice(0, 8)]
    t.match(
      await amina.run(revoke),
      { code: 2, stdout: '', stderr: /will be revoked for good[^]*--yes/ },
      'not without a yes',
    )
    const alone = ['devices', '--revoke', 'this is none', '--compromised-since', '2026-02-31']
    t.match(await amina.run(alone), { code: 2, stderr: /There is no day 2026-02-31/ }, 'nor on a day that never was')
    t.match((await amina.run([...revoke, '--yes'])).stdout, new RegExp(`Revoked: ${device}\\.`))
    t.equal(await thief.code, 1, 'what the lost device followed ends')
    t.match(thief.notes(), /The session has ended|You are out of Operation Test now/)
    const after = await tell(journey, operation, 'When one was lost.')
    t.equal(after.epoch, before.epoch + 1, 'the next message goes under a new key')
    t.notOk(after.recipients.includes(device), 'which the lost device is not given')
    const [read] = await Promise.all([amina.run(['read', String(after.index)]), isOut(t, second)])
    t.match(read.stdout, /When one was lost\./)
    t.notMatch(thief.shown(), /When one was lost/)
    const held = await heldBy(second, operation)
    t.equal(Math.max(...held.keys), before.epoch, 'it holds no later key')
    t.notOk(held.texts.includes('When one was lost.'))
  })
})
