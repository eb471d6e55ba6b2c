// What this holds: with the command alone somebody says where they are told, and a contact point
// sees who sleeps when and wakes all who are needed.
// What makes it fail: an address that counts without its code, an account or a membership that
// --all forgets, somebody else's that it touches.
import t from 'tap'
import { enrolWith, partyOf, takeIn } from './support/actors.ts'
import { joinWithDesk, temporary } from './support/command.ts'
import { codeFor } from './support/idle.ts'
import { startMailServer } from './support/mail-server.ts'
import { usualOperation } from './support/usual-operation.ts'

t.test('INV-106: an address is set, confirmed, shown and removed', async (t) => {
  const mail = await startMailServer(t)
  const scene = await usualOperation(t, { notices: { url: mail.url, from: 'cordon@service.example' } })
  const { server } = scene
  const kenya = await joinWithDesk(t, temporary(t), scene, { name: 'Kenya', country: 'KE' })
  const address = 'wanjiru@customs.example'
  t.match((await kenya.run(['notices'])).stdout, /You have no address: nothing is sent to you\./)
  const bad = await kenya.run(['notices', 'set', 'Wanjiru <w@b.example>', '--json'])
  t.match([bad.code, bad.json], [1, { error: { code: 'VALIDATION' } }])
  t.match((await kenya.run(['notices', 'set', address])).stdout, /A code is on its way\./)
  t.match((await kenya.run(['notices', 'show'])).stdout, /wanjiru@customs\.example waits for its code/)
  t.equal((await kenya.run(['notices', 'confirm', '123'])).code, 2)
  const code = await codeFor({ mail, server }, address)
  t.match(await kenya.must('notices', 'confirm', `${code.slice(0, 4)} ${code.slice(4)}`), { confirmed: true })
  t.match((await kenya.run(['notices'])).stdout, /wanjiru@customs\.example, confirmed \d{4}-\d\d-\d\d \(UTC\)/)
  t.match(await kenya.must('notices', 'remove'), { address: null })
  t.match(await kenya.must('notices'), { address: null, waiting: null, sends: true })
})

t.test(
  'INV-76: who sleeps is listed with the day, and woken together with the account; others are not touched',
  async (t) => {
    const scene = await usualOperation(t, {}, { state: 'draft' })
    const { administrator, coordinator, operation } = scene
    const desk = await joinWithDesk(t, temporary(t), scene, { name: 'Kenya', country: 'KE' })
    const thailandIs = { kind: 'administration', name: 'Thailand', country: 'TH' } as const
    const thailand = await partyOf(t, administrator, thailandIs)
    await takeIn(coordinator, operation, thailand, 'ncp')
    const elsewhere = await enrolWith(t, thailand.client, {
      name: 'Somchai',
      organization: thailand.organization,
      tier: 'person',
    })
    await thailand.client.operations.admit(operation, {
      person: elsewhere.person,
      organization: thailand.organization,
      role: 'officer',
    })
    const { client: ncp, close } = await desk.open()
    const { organization } = ncp
    const officers = []
    for (const name of ['Amina Otieno', 'Baraka Mwangi']) {
      const officer = await enrolWith(t, ncp, { name, organization, tier: 'person' })
      await ncp.operations.admit(operation, { person: officer.person, organization, role: 'officer' })
      officers.push(officer)
    }
    const person = ncp.person
    const [amina, baraka] = officers
    if (!amina || !baraka) throw new Error('there are two')
    for (const one of officers) await ncp.directory.suspend(one.person, 'On leave')
    await ncp.directory.wake(baraka.person, 'Back')
    await thailand.client.directory.suspend(elsewhere.person, 'On leave')
    await close()
    const list = await desk.run(['person', 'list'])
    t.match(list.stdout, /Amina Otieno +asleep +…[0-9a-f]{8}/)
    t.match(list.stdout, /Baraka Mwangi +active +\d{4}-\d\d-\d\d +…[0-9a-f]{8}/)
    for (const args of [[], ['amina', '--all']]) t.equal((await desk.run(['operation', 'wake', ...args])).code, 2)
    const woken = await desk.run(['operation', 'wake', '--all'])
    t.match(woken.stdout, /Woken: Amina Otieno, Baraka Mwangi\./, woken.stderr)
    await amina.signIn({ passphrase: 'seven warm otters by the pier' })
    const members = await coordinator.operations.members(operation)
    t.same(
      members.filter(({ asleep }) => asleep).map((one) => one.person),
      [elsewhere.person],
    )
    t.match((await desk.run(['operation', 'wake', '--all'])).stdout, /No member was woken\./)

    await coordinator.operations.changeRole(operation, person, 'coordinator')
    const advanced = await desk.run(['operation', 'advance', 'rehearsal'])
    t.match(advanced.stdout, /1 member asleep: cordon operation wake --all\./)
    const left = await desk.run(['operation', 'wake', '--all'])
    t.match(
      left.stdout,
      /No member was woken\.\s+The accounts of Somchai sleep: their contact points wake them first\./,
    )
    await thailand.client.directory.wake(elsewhere.person, 'Back')
    t.match(await desk.must('operation', 'wake', '--all'), { woken: 1, left: 0 })
  },
)
