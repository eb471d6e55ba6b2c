// What this holds: commands about people and devices say whom they are for, what is not there, and
// what will happen before it does. What makes it fail: "not found" where somebody has no right, a
// device ended without a yes, somebody locked out who is shown as active, words of the system.
import { join } from 'node:path'
import t from 'tap'
import { seat } from './support/command.ts'
import { setOut } from './support/journey.ts'

t.test('commands about people and devices', async (t) => {
  const { administrator, directory, ncp, officer } = await setOut(t)
  const wanjiru = ncp.desk
  const amina = officer.desk
  const rootFile = join(directory, 'root.json')

  t.test('an officer is told that they are for contact points and administrators', async (t) => {
    for (const args of [['renew'], ['renew', '--all'], ['person', 'list'], ['person', 'lost', 'Wanjiru', '--yes']]) {
      const { code, stderr, stdout } = await amina.run(args)
      t.match({ code, stdout }, { code: 1, stdout: '' }, args.join(' '))
      t.match(stderr, /for contact points of the organization and for administrators/)
      t.notMatch(stderr, /Check the address/)
    }
  })

  t.test('who is not there, and what is no administrator’s, is said', async (t) => {
    t.match(await wanjiru.run(['renew', 'Nobody']), {
      code: 1,
      stderr: /^No person whose certificate is due is called "Nobody"\.\n$/,
    })
    t.match(await wanjiru.run(['renew', '--root-file', rootFile]), {
      code: 1,
      stderr: /this device is not an administrator’s/,
    })
    const { desk, leave } = await seat(t, directory, administrator, {
      name: 'Second administrator',
      organization: administrator.organization,
      tier: 'administrator',
    })
    await leave()
    const missing = await desk.run(['renew', '--root-file', rootFile])
    t.match(missing, { code: 1, stderr: /root\.json: there is no such file/ })
    t.notMatch(missing.stderr, /ENOENT/)
  })

  t.test('an invitation ends at a time of a zone that is named', async (t) => {
    t.match((await wanjiru.run(['invite', 'Daudi Mwangi'])).stdout, /until .*\(UTC\)\. It is shown once/)
    t.match((await wanjiru.run(['invitations'])).stdout, /Daudi Mwangi .*\(UTC\)/)
    t.match((await wanjiru.run(['person', 'list'])).stdout, /Daudi Mwangi +no live device/, 'who has no device yet')
  })

  t.test('the last device is not ended unasked, and who has none is shown so', async (t) => {
    const revoke = ['devices', '--revoke', officer.device]
    t.match(await amina.run(revoke), {
      code: 2,
      stdout: '',
      stderr: /the device that you are using\. You have no other device: you will be locked out[^]*--yes/,
    })
    t.match((await wanjiru.run(['person', 'list'])).stdout, /Amina Otieno +active/)
    t.match(await amina.run([...revoke, '--yes']), { code: 0, stdout: `Revoked: ${officer.device}.\n` })
    t.match((await wanjiru.run(['person', 'list'])).stdout, /Amina Otieno +no live device/)
  })
})
