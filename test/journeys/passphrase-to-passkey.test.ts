// What this holds: somebody who has a passphrase adds passkeys, signs in with them, gives the
// passphrase up and does everything by passkey from then on: proving again who they are, enrolling
// a further device, removing a passkey. Once through the SDK, once with the commands, whose
// addresses go to a browser without a window. What makes it fail: a door that knows passphrases
// alone, or a command that asks for one.
import t from 'tap'
import { administratorOf, newClient, operationOn, partyOf, passphrase } from '../support/actors.ts'
import { SoftwareAuthenticator } from '../support/authenticator.ts'
import { Desk, freePort, joinWithDesk, temporary } from '../support/command.ts'
import { admin } from '../support/database.ts'
import { browse, runWithBrowser } from '../support/page-browser.ts'
import { startServer } from '../support/server.ts'

type Owner = Parameters<typeof startServer>[0]

/** A browser makes passkeys for a name, such as localhost, and for no address. */
async function namedServer(owner: Owner) {
  const port = await freePort()
  return startServer(owner, { port, publicUrl: `http://localhost:${String(port)}` })
}

t.test('INV-102: from a passphrase to passkeys, through the SDK', async (t) => {
  const server = await namedServer(t)
  const platform = { clock: () => server.clock.now() }
  const administrator = await administratorOf(t, server, { platform })
  const { client } = await partyOf(t, administrator, { kind: 'partner', name: 'Partner', platform })
  const blue = new SoftwareAuthenticator(server.url)
  const laptop = new SoftwareAuthenticator(server.url)
  await t.rejects(client.factors.removePassphrase(), { code: 'FACTOR_NEEDED' })
  await client.factors.addPasskey('Blue key', blue)
  const { id } = await client.factors.addPasskey('Laptop', laptop)
  await client.signIn({ authenticator: laptop })
  await client.factors.removePassphrase()
  await t.rejects(client.signIn({ passphrase }), { code: 'SIGN_IN_REFUSED' })
  await client.signIn({ authenticator: blue })

  server.clock.advance(3_600_000)
  await t.rejects(client.factors.removePasskey(id), { code: 'STEP_UP_REQUIRED' })
  await client.factors.stepUpWith(blue)
  const { text } = await client.directory.invite({
    person: { id: client.person, name: 'The same' },
    organization: client.organization,
    tier: 'ncp',
  })
  const further = newClient(t, { platform })
  await further.enrol({ invitation: text, authenticator: laptop })
  await client.directory.certifyWaiting()
  t.match(await further.signIn({ authenticator: laptop }), { tier: 'ncp' })
  await client.factors.removePasskey(id)
  await t.rejects(further.signIn({ authenticator: laptop }), { code: 'SIGN_IN_REFUSED' }, 'what was removed is gone')
  t.match(await client.factors.list(), { passphrase: null, passkeys: [{ name: 'Blue key' }] })
  await t.rejects(client.factors.removePasskey((await client.factors.list()).passkeys[0]?.id ?? ''), {
    code: 'FACTOR_NEEDED',
  })
})

t.test('INV-102: the same with the commands', async (t) => {
  const server = await namedServer(t)
  const directory = temporary(t)
  const kenya = await joinWithDesk(t, directory, await operationOn(t, server), { name: 'Kenya', country: 'KE' })
  const blue = new SoftwareAuthenticator(server.url)
  const laptop = new SoftwareAuthenticator(server.url)
  const by = (authenticator: SoftwareAuthenticator, ...args: string[]) =>
    runWithBrowser(kenya, args, async (address) =>
      t.match(await browse(address, authenticator), /You may close this window/),
    )

  t.equal((await kenya.run(['factors', 'passphrase', '--remove'])).code, 1, 'something must be left')
  const added = await by(blue, 'factors', 'passkey', 'add', ' Blue key ')
  t.match(added, { code: 0, json: { added: true, name: 'Blue key' } }, added.stderr)
  const again = await kenya.run(['factors', 'passkey', 'add', 'Blue key'])
  t.match(again, { code: 1, stderr: /You have a passkey called "Blue key"/ }, 'a name is given once')
  t.equal((await kenya.run(['factors', 'passkey', 'add', 'a\nb'])).code, 2)
  t.match(await by(laptop, 'factors', 'passkey', 'add', 'Laptop'), { code: 0 })
  t.match((await kenya.run(['factors'])).stdout, /passkey "Blue key" .*not used yet\npasskey "Laptop"/)

  await kenya.must('sign-out')
  t.match(await by(laptop, 'sign-in', '--passkey'), { code: 0, json: { certified: true } })
  const removed = await kenya.run(['factors', 'passphrase', '--remove'])
  t.match(removed, { code: 0, stdout: /The passphrase is removed.*cordon sign-in --passkey/ }, removed.stderr)
  t.match((await kenya.run(['sign-in', '--json'])).json, { error: { code: 'SIGN_IN_REFUSED' } })
  t.match(await by(blue, 'sign-in', '--passkey'), { code: 0 })

  // As if ten minutes had passed: nobody sets the clock of a process on.
  await admin(server.database.superUrl, (superuser) =>
    superuser.query(`UPDATE session SET verified_at = verified_at - interval '1 hour'`),
  )
  const third = new SoftwareAuthenticator(server.url)
  let asked = 0
  const proven = await runWithBrowser(kenya, ['factors', 'passkey', 'add', 'Telephone'], (address) =>
    browse(address, asked++ === 0 ? blue : third),
  )
  t.match(proven, { code: 0, json: { name: 'Telephone' } }, 'who has no passphrase proves by a passkey who they are')
  t.equal(asked, 2)
  t.match(await kenya.must('factors', 'passkey', 'remove', 'tele'), { name: 'Telephone', removed: true })

  const invited = await kenya.must<{ text: string }>('invite', '--further-device')
  const further = new Desk(t, directory, 'further')
  const enrolled = await runWithBrowser(further, ['enrol', invited.text, '--passkey', '--no-wait'], (address) =>
    browse(address, laptop),
  )
  t.match(enrolled, { code: 0, json: { certified: false } }, enrolled.stderr)
  await kenya.must('factors')
  t.match(await runWithBrowser(further, ['sign-in', '--passkey'], (address) => browse(address, laptop)), {
    json: { certified: true },
  })
  t.match(await kenya.must('factors', 'passkey', 'remove', 'Laptop'), { removed: true })
  const last = await kenya.run(['factors', 'passkey', 'remove', 'Blue key', '--json'])
  t.match(last.json, { error: { code: 'FACTOR_NEEDED' } }, 'the last one stays')
})
