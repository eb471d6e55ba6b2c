import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openLogKey } from '../src/log/index.ts'
import { utf8 } from '../src/protocol/index.ts'
import { checkLog } from './support/check-log.ts'
import { Desk, ended, joinWithDesk, start, temporary } from './support/command.ts'
import { postBytes } from './support/rubbish.ts'
import { usualOperation } from './support/usual-operation.ts'

// What the real command refuses, and how it says so: exit code 1 where something was refused, 2
// where it was used wrongly.

const directory = temporary(t)
const at = (name: string) => join(directory, name)
const nobody = new Desk(t, directory, 'nobody')

t.test('wrong use ends with 2, says what is right, and touches nothing', async (t) => {
  const wrong: [string[], RegExp][] = [
    [['frobnicate'], /unknown command/],
    [['operation', 'advance', 'finished'], /Allowed choices/],
    [['post', 'Hello', '--as', 'reply'], /--reply-to/],
    [['import', 'x.csv'], /required option '--map/],
    [['audit', '--kind', 'message.sent'], /no kind of entry "message.sent"; there is message\.posted/],
    [['audit', '--device', 'laptop'], /43 letters and digits/],
    [['audit', '--message', 'seventeen'], /--message is the number of a message/],
    [['devices', '--revoke', 'x', '--compromised-since', '2026-02-31'], /There is no day 2026-02-31/],
    [['devices', '--revoke', 'x', '--compromised-since', '2026-02-28T24:00Z'], /is no time/],
    [['post', 'Hello', '--reply-by', '05/12/2099'], /--reply-by is no time that can be used/],
    [['post', 'Hello', '--reply-by', '12'], /--reply-by is no time that can be used/],
    [['post', 'Hello', '--reply-by', '2099-02-30'], /There is no day 2099-02-30/],
    [['post', 'Hello', '--reply-by', '2399-01-01'], /1900 to 2199/],
    [['renew', '--all', 'Amina'], /one of the three/],
    [['renew', 'Amina', '--root-file', 'root.json'], /one of the three/],
    [['person', 'lost', 'Amina', '--reason', 'Bag stolen'], /unknown option '--reason'/],
  ]
  const [results, none, damaged, help] = await Promise.all([
    Promise.all(wrong.map(async ([args, says]) => ({ args, says, done: await nobody.run(args) }))),
    nobody.run(['read', '--json']),
    nobody.run(['enrol', 'cordon-invitation:nonsense', '--json']),
    nobody.run(['post', '--help']),
  ])
  for (const { args, says, done } of results) {
    t.equal(done.code, 2, args.join(' '))
    t.match(done.stderr, says)
    t.equal(done.stdout, '')
  }
  t.equal(none.code, 1)
  t.match(none.json, { error: { message: /cordon enrol INVITATION/ } }, 'no store: says how to get one')
  t.equal(damaged.code, 1)
  t.match(damaged.json, { error: { code: 'INVITATION_DAMAGED', message: /first to its last character/ } })
  t.equal(help.code, 0)
  t.match(help.stdout, /Examples:\n {2}\$ cordon post/)
})

t.test('in an operation', async (t) => {
  const stage = await usualOperation(t)
  const { server } = stage
  const { coordinator, operation } = stage
  const kenya = await joinWithDesk(t, directory, stage, { name: 'kenya', country: 'KE' })
  const thailand = await joinWithDesk(t, directory, stage, { name: 'thailand', country: 'TH' })
  const session = await coordinator.follow(operation)
  const { index } = await session.post({ form: 'text', fields: { text: 'Here.' } })

  t.test('who may not, or names what is not there, is told what is', async (t) => {
    const denied = await kenya.run(['operation', 'advance', 'reporting', '--yes', '--json'])
    t.equal(denied.code, 1)
    t.match(denied.json, { error: { code: 'FORBIDDEN' } })
    const unknown = await kenya.run(['read', '99999'])
    t.equal(unknown.code, 1)
    t.match(unknown.stderr, /lists the threads with their numbers/)
    const stranger = await kenya.run(['invite', 'X', '--organization', 'Atlantis'])
    t.equal(stranger.code, 1)
    t.match(stranger.stderr, /There is no organization that you may invite into "Atlantis" here; there is kenya/)
    const used = await nobody.run(['enrol', 'cordon-invitation:nonsense'])
    t.equal(used.code, 1)
  })

  t.test('an act with wide effects says them first, and asks', async (t) => {
    await kenya.must('operation', 'compartment', 'create', 'KE–TH')
    await kenya.must('post', 'A name.', '--subject', 'Source', '--tlp', 'red', '--yes', '--compartment', 'KE–TH')
    const add = ['operation', 'compartment', 'add', 'KE–TH', 'thailand']
    const asks: [string[], RegExp][] = [
      [add, /^thailand officer will read what was said in KE–TH before, too: 1 message, 1 of them TLP:RED\.$/m],
      [['operation', 'remove', 'kenya'], /^kenya officer will be removed: keys are renewed without them\.$/m],
      [
        ['operation', 'remove', 'thailand', '--whole-organization'],
        /^thailand will be removed with 1 member: thailand/m,
      ],
    ]
    for (const [args, says] of asks) {
      const done = await kenya.run(args)
      t.equal(done.code, 2, args.join(' '))
      t.match(done.stderr, says)
      t.match(done.stderr, /This command cannot ask here: say --yes/)
    }
    t.match(await kenya.must('operation', 'show'), { members: { length: 3 } }, 'nothing was done')
    t.match((await kenya.run([...add, '--yes'])).stdout, /thailand officer is in KE–TH now/)
  })

  t.test('a form is checked before anything is sealed', async (t) => {
    writeFileSync(at('bad.json'), JSON.stringify({ country: 'Kenia', colour: 'red' }))
    writeFileSync(at('broken.json'), '{"country":')
    const bad = await kenya.run(['post', '--form', 'seizure', '--fields', at('bad.json')])
    t.equal(bad.code, 1)
    t.match(bad.stderr, /\/country: not-in-list/)
    t.match(bad.stderr, /\/colour: unknown-field/)
    const broken = await kenya.run(['post', '--form', 'seizure', '--fields', at('broken.json')])
    t.match(broken.stderr, /is not JSON/)
    const missing = await kenya.run(['post', '--form', 'seizure', '--fields', at('missing.json')])
    t.match(missing.stderr, /there is no such file/)
    t.equal(session.messages.length, 1)
  })

  t.test('what came from others cannot steer the terminal', async (t) => {
    const hostile = await postHostile(kenya, operation)
    const list = await thailand.run(['read'])
    const one = await thailand.run(['read', String(hostile)])
    for (const { stdout } of [list, one]) {
      t.match(stdout, /\\u001b\]0;pwned\\u0007\\u202e/)
      // eslint-disable-next-line no-control-regex
      t.notMatch(stdout, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/)
    }
    const json = await thailand.run(['read', String(hostile), '--json'])
    t.notMatch(json.stdout, /\u202e/)
    t.match(json.json, { messages: [{ subject: '\u001b]0;pwned\u0007\u202e' }] }, 'and a machine gets what was said')
    t.match(await thailand.must('read', String(index)), { messages: [{ fields: { text: 'Here.' } }] })
  })

  t.test('a wrong passphrase opens nothing', async (t) => {
    writeFileSync(at('wrong'), 'not the passphrase of anything')
    const store = await kenya.run(['read', '--json'], { CORDON_STORE_PASSPHRASE_FILE: at('wrong') })
    t.equal(store.code, 1)
    t.match(store.json, { error: { message: /does not open the store/ } })
    await kenya.must('sign-out')
    const out = await kenya.run(['read', '--json'])
    t.match(out.json, { error: { code: 'NOT_SIGNED_IN', message: /cordon sign-in/ } })
    const refused = await kenya.run(['sign-in', '--json'], { CORDON_PASSPHRASE_FILE: at('wrong') })
    t.match(refused.json, { error: { code: 'SIGN_IN_REFUSED' } })
    const same = await kenya.run(['sign-in', '--json'], { CORDON_PASSPHRASE_FILE: at('passphrase-store') })
    t.match(same.json, { error: { code: 'STORE_PASSPHRASE_REUSED' } }, 'that of the store is never sent')
    const asked = await kenya.run(['sign-in', '--json'], { CORDON_PASSPHRASE_FILE: '' })
    t.equal(asked.code, 2, 'nobody to ask')
    t.match(await kenya.must('sign-in'), { certified: true })
  })

  t.test('a database that is not there is not verified, one that was changed is not called right', async (t) => {
    const elsewhere = await ended(start(t, ['verify', '--json'], { DATA_DIRECTORY: at('nowhere') }))
    t.match(elsewhere.json, { error: { message: /There is no database in/ } })
    t.equal(elsewhere.code, 1)
    await checkLog(server)
    const env = { DATABASE_URL: server.database.url, DATA_DIRECTORY: server.directory }
    const right = await ended(start(t, ['verify', '--json'], env))
    t.match(right.json, { verified: true })
    const other = await ended(start(t, ['verify'], { ...env, DATA_DIRECTORY: otherKey(t) }))
    t.equal(other.code, 1)
    t.match(other.stdout, /NOT verified: \d+ discrepanc/)
  })

  t.test('a service that is away is said to be away', async (t) => {
    await coordinator.close()
    await stage.administrator.close()
    await server.close()
    const away = await kenya.run(['read', '--json'])
    t.equal(away.code, 1)
    t.match(away.json, { error: { code: 'NETWORK' } })
  })
})

/** A data directory with the key of somebody else's log. */
function otherKey(owner: Parameters<typeof temporary>[0]): string {
  const place = temporary(owner)
  openLogKey(join(place, 'log.key'), false)
  return place
}

/**
 * A member's device with a client that keeps to no form: a subject that would set the title of a
 * terminal and turn the text.
 */
async function postHostile(from: Desk, operation: string): Promise<number> {
  const { client, store, close } = await from.open()
  const content = {
    form: 'text',
    fields: { text: 'x' },
    subject: '\u001b]0;pwned\u0007\u202e',
    attachments: [],
    pad: '',
  }
  const { index } = await postBytes({ client, store }, operation, utf8(JSON.stringify(content)))
  await close()
  return index
}
