import { randomBytes } from 'node:crypto'
import { stat, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { isPermission, may, roles, states } from '../src/access.ts'
import { forms } from '../src/forms/index.ts'
import {
  describeBody,
  makeEpochKey,
  readEpochStatement,
  readMemberStatement,
  readMessageStatement,
  sealBody,
  sealGrant,
  signEpochStatement,
  signMemberStatement,
  signMessageStatement,
  type DeviceId,
  type MemberAct,
  type MessagePayload,
} from '../src/protocol/index.ts'
import { enrolWith, opened, operationOn, partyOf, passphrase, takeIn } from './support/actors.ts'
import { kindOf, withLeaf, type Frame } from './support/altered.ts'
import { standBetween } from './support/between.ts'
import { patience } from './support/counts.ts'
import { conversePython, pythonWith, runPython, type Json } from './support/python.ts'
import { startServer, temporaryDirectory } from './support/server.ts'
import { admitInTwoSteps, postUnderThreeEpochs } from './support/three-epochs.ts'
import { usualOperation } from './support/usual-operation.ts'

const program = join(import.meta.dirname, '../contrib/python')
const found = pythonWith(join(program, 'requirements.txt'))
const skip = 'missing' in found ? `contrib/python cannot be run: ${found.missing}` : false
const python = 'python' in found ? found.python : ''
const random = (length: number) => new Uint8Array(randomBytes(length))

t.test('its tables are those of docs/access.md and docs/forms.json', { skip }, async (t) => {
  const source =
    'import json; from cordon_client.rules import MAY; from cordon_client.messages import EXTRACTED; print(json.dumps({"may": MAY, "extracted": EXTRACTED}))'
  const { lines } = await runPython(python, ['-c', source], { cwd: program })
  const { may: rules, extracted } = lines[0] as { may: Record<string, [string, string]>; extracted: object }
  for (const [permission, [open, running]] of Object.entries(rules)) {
    if (!isPermission(permission)) throw new Error(`there is no ${permission}`)
    const having = roles.filter((role) => may(role, permission, 'active').role !== 'no')
    t.same(open.split(' '), having, permission)
    t.same(
      running.split(' '),
      states.filter((state) => may('coordinator', permission, state).state),
      permission,
    )
  }
  for (const { id, extract } of forms) t.same(extracted[id as keyof object], extract, id)
})

t.test(
  'INV-19: a client in Python that is not ours enrols, reads, posts, and refuses what does not fit',
  { skip, timeout: Math.max(patience.timeout, 280_000) },
  async (t) => {
    const between = await standBetween(t, /python/i)
    const real = await startServer(t, { publicUrl: between.url })
    between.target = `http://127.0.0.1:${(real.app.server.address() as AddressInfo).port}`
    const { administrator, coordinator, operation } = await operationOn(t, real)
    const kenya = await partyOf(t, administrator, { kind: 'administration', name: 'Customs of Kenya', country: 'KE' })
    const thailand = await partyOf(t, administrator, {
      kind: 'administration',
      name: 'Customs of Thailand',
      country: 'TH',
    })
    await takeIn(coordinator, operation, kenya, 'ncp')
    const session = await kenya.client.follow(operation)
    const first = await session.post({ form: 'text', subject: 'Hello', fields: { text: 'A container left Mombasa.' } })

    const place = temporaryDirectory(t)
    const secret = async (name: string, value: string) => {
      await writeFile(join(place, name), value, { mode: 0o600 })
      return join(place, name)
    }
    const state = join(place, 'cordon.state')
    const env = {
      CORDON_STORE_PASSPHRASE_FILE: await secret('store', 'the file of somebody in a test'),
      CORDON_PASSPHRASE_FILE: await secret('sign-in', passphrase),
    }
    const client = (...args: string[]) =>
      runPython(python, ['-m', 'cordon_client', '--state', state, ...args], { cwd: program, env })
    const must = async (...args: string[]) => {
      const ran = await client(...args)
      if (ran.code !== 0) throw new Error(`${args.join(' ')}: ${ran.stderr}`)
      return ran
    }
    // One process for all that follows: deriving the key of the file takes a moment each time.
    let talk: ReturnType<typeof conversePython> | undefined
    const ask = (asked: Json) => {
      const driver = join(import.meta.dirname, 'support/python-driver.py')
      talk ??= conversePython(t, python, [driver, state, join(place, 'store')], { cwd: program })
      return talk(asked)
    }
    const read = () => ask({ do: 'read', operation }) as unknown as Promise<Reading>
    const post = (draft: Json) => ask({ do: 'post', operation, draft })
    const message = async (id: string) => (await read()).messages[id]

    await t.test('it is enrolled, certified, admitted and granted', async (t) => {
      const { text, person } = await kenya.client.directory.invite({
        person: { name: 'A person with Python' },
        organization: kenya.organization,
        tier: 'person',
      })
      between.answer = (path, answer) => {
        if (path === '/v1/enrolments') throw new Error('lost')
        return answer
      }
      t.match(await client('enrol', text), { code: 1, stderr: /^refused: UNREACHABLE: / })
      between.reset()
      t.match((await must('enrol', text)).lines, [{ person }], 'what had no answer was accepted')
      t.match(await client('enrol', text), { code: 1, stderr: /^refused: STATE: / }, 'once')
      t.equal((await stat(state)).mode & 0o777, 0o600)
      await must('sign-in')
      await kenya.client.directory.certifyWaiting()
      t.match((await must('whoami')).lines, [{ person, organization: kenya.organization, tier: 'person' }])
      const granted = session.events.once('entry', ({ kind }) => kind === 'history.granted')
      await coordinator.operations.admit(operation, { person, organization: kenya.organization, role: 'officer' })
      await granted
      const { lines } = await must('read', operation)
      t.match(lines, [
        { subject: 'Hello', fields: { text: 'A container left Mombasa.' }, marks: [], index: first.index },
      ])
      t.match(lines, [{ sender: { person: kenya.client.person, device: kenya.client.device } }])
      const wrong = { ...env, CORDON_STORE_PASSPHRASE_FILE: await secret('wrong', 'the file of somebody else') }
      const args = ['-m', 'cordon_client', '--state', state, 'whoami']
      t.match(await runPython(python, args, { cwd: program, env: wrong }), { code: 1, stderr: /^refused: STATE: / })
    })

    await t.test('the SDK opens what it posts, and it opens what the SDK posts', async (t) => {
      const fields = {
        country: 'KE',
        date: '2026-11-20',
        items: [{ category: 'wildlife/pangolin/scales', quantity: '12.5', unit: 'KGM', brand: 'none' }],
        narrative: 'Écailles dans un conteneur.',
      }
      const { lines } = await must('post', operation, '--form', 'seizure', '--fields', JSON.stringify(fields))
      const posted = await opened(kenya.client, operation, String(lines[0]?.['id']))
      t.match(posted, { form: 'seizure', fields, organization: kenya.organization, index: lines[0]?.['index'] })
      t.same(posted.marks, [])
      const answer = await session.post({
        form: 'text',
        fields: { text: 'Thank you.' },
        thread: posted.thread,
        refersTo: { message: posted.id, as: 'reply' },
      })
      t.match(await message(answer.message), { fields: { text: 'Thank you.' }, marks: [] })
      t.same(session.alarms, [])
    })

    await t.test('it opens the next epoch where the one before went stale', async (t) => {
      await takeIn(coordinator, operation, thailand, 'ncp')
      await session.post({ form: 'text', fields: { text: 'With Thailand.' } })
      await coordinator.operations.remove(operation, thailand.client.person)
      const { id } = await post({ form: 'text', fields: { text: 'Without Thailand.' } })
      const posted = await opened(kenya.client, operation, String(id))
      t.match(posted, { epoch: 2, fields: { text: 'Without Thailand.' }, marks: [] })
      t.equal(session.view.currentEpoch(session.view.all)?.signer, posted.device, 'under a key that it made')
      t.same(session.alarms, [])
    })

    /** The reason for which it refuses to read while the service lies so. */
    const refusedFor = async (frame: (frame: Frame) => Frame | undefined): Promise<string> => {
      between.frame = frame
      const { refused = '' } = await read()
      between.reset()
      return refused.split(':')[0] ?? ''
    }
    const { device, certificate } = kenya.client.self
    const own = certificate?.hash ?? ''

    await t.test(
      'it refuses a receipt with one byte changed, and what has no receipt counts as not sent',
      async (t) => {
        const change = (text: string, at: number) =>
          text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1)
        const ways: [reason: string, change: (receipt: Receipt) => Json][] = [
          ['RECEIPT_DIGEST', ({ leaf }) => ({ leaf: change(leaf, leaf.indexOf('"digest":"') + 15) })],
          ['RECEIPT_PROOF', ({ proof }) => ({ proof: [change(proof[0] ?? '', 5), ...proof.slice(1)] })],
          ['CHECKPOINT_SIGNATURE', ({ checkpoint }) => ({ checkpoint: change(checkpoint, checkpoint.length - 20) })],
          [
            'CHECKPOINT_SIGNATURE',
            ({ checkpoint }) => ({ checkpoint: change(checkpoint, checkpoint.indexOf('=\n') - 9) }),
          ],
        ]
        let asked: Json = { do: 'post', operation, draft: { form: 'text', fields: { text: 'Is it there?' } } }
        for (const [reason, alter] of ways) {
          between.answer = (path, answer) => {
            if (!path.endsWith('/messages')) return answer
            const receipt = answer['receipt'] as Receipt
            return { ...answer, receipt: { ...receipt, ...alter(receipt) } }
          }
          t.match(await ask(asked), { refused: new RegExp(`^${reason}: `) }, reason)
          between.reset()
          asked = { do: 'send' }
        }
        const { sent } = (await ask(asked)) as { sent: Json[] }
        t.match(await opened(kenya.client, operation, String(sent[0]?.['id'])), { fields: { text: 'Is it there?' } })
        t.same(await ask(asked), { sent: [] }, 'nothing is left to send')
      },
    )

    await t.test('it refuses forged member statements', async (t) => {
      const whole = (await kenya.client.follow(operation)).view
      const newcomer = [...whole.members.values()].find(({ role }) => role === 'officer')?.person
      const admits = (frame: Frame) => kindOf(frame) === 'member.admitted' && subjectOf(frame) === newcomer
      let admitted: Frame | undefined
      await refusedFor((frame) => ((admitted = admits(frame) ? frame : admitted), frame))
      const { act, crt, jws } = await readMemberStatement(String(admitted?.['statement']))
      const instead = async (statement: string) => {
        const { hash } = await readMemberStatement(statement)
        return refusedFor((frame) => (admits(frame) ? { ...withLeaf(frame, { digest: hash }), statement } : frame))
      }
      const byCoordinator = (change: object) => signMemberStatement(coordinator.self.device, crt, { ...act, ...change })
      const flipped = jws.slice(0, -20) + (jws.at(-20) === 'A' ? 'B' : 'A') + jws.slice(-19)
      t.equal(await instead(flipped), 'SIGNATURE', 'a signature that is not one')
      const analyst = await signMemberStatement(device, own, { ...act, role: 'analyst' } as MemberAct)
      t.equal(await instead(analyst), 'UNENTITLED', 'by an NCP, who admits no analyst')
      const outside = administrator.self
      const byOutsider = await signMemberStatement(outside.device, outside.certificate?.hash ?? '', act)
      t.equal(await instead(byOutsider), 'SIGNER', 'by somebody who is no member')
      t.equal(await instead(await byCoordinator({ previous: own })), 'MEMBERS_CHAIN', 'after one that nobody has seen')
      t.equal(await instead(await byCoordinator({ person: thailand.client.person })), 'VIEW', 'about somebody else')
      const isOpened = (frame: Frame) => kindOf(frame) === 'epoch.opened'
      let epoch: Frame | undefined
      await refusedFor((frame) => ((epoch ??= isOpened(frame) ? frame : undefined), frame))
      const { payload } = await readEpochStatement(String(epoch?.['statement']))
      const recipients = [...payload.recipients, administrator.device as DeviceId].toSorted()
      const surplus = await signEpochStatement(device, own, { ...payload, recipients })
      const { hash } = await readEpochStatement(surplus)
      const forAnother = (frame: Frame) =>
        isOpened(frame) && frame['index'] === epoch?.['index']
          ? { ...withLeaf(frame, { digest: hash }), statement: surplus }
          : frame
      t.equal(await refusedFor(forAnother), 'EPOCH_RECIPIENTS', 'a key for somebody who is no member')
      const shorter = (frame: Frame) => (frame.type === 'caught-up' ? { ...frame, consistency: [] } : frame)
      t.equal(await refusedFor(shorter), 'CONSISTENCY', 'a log of which nothing proves that it only grew')
      const unled = (frame: Frame) => (kindOf(frame) === 'operation.created' ? { ...frame, chain: [] } : frame)
      t.equal(await refusedFor(unled), 'CERTIFICATE_CHAIN', 'a creator who does not lead to the root')
      const shapeless = (frame: Frame) => (isOpened(frame) ? { ...frame, leaf: 5 } : frame)
      t.equal(await refusedFor(shapeless), 'SHAPE', 'something that is no leaf')
      for (const kind of ['message.posted', 'member.admitted']) {
        const old = (frame: Frame) => (isOf(kind)(frame) ? withLeaf(frame, { at: '1999-01-01T00:00:00.000Z' }) : frame)
        t.equal(await refusedFor(old), 'LEAF_TIME', `an entry ${kind} that is dated before another that precedes it`)
      }
      const withheld = await refusedFor((frame) => (subjectOf(frame) === thailand.client.person ? undefined : frame))
      t.equal(withheld, 'EPOCH_HEADS', 'the admission and the removal of a member are withheld')
    })

    await t.test('it refuses a body under another key id, a key that was not committed to, and a hole', async (t) => {
      const isFirst = (frame: Frame) => subjectOf(frame) === first.message
      let posted: Frame | undefined
      between.frame = (frame) => ((posted = isFirst(frame) ? frame : posted), frame)
      t.match(await message(first.message), { fields: { text: 'A container left Mombasa.' } })
      const { payload } = await readMessageStatement(String(posted?.['statement']))
      const { compartment } = payload
      const header = { compartment, epoch: 2, message: payload.id, device: device.id }
      const body = await sealBody(header, { form: 'text', fields: { text: '' }, attachments: [] }, makeEpochKey(random))
      const said: MessagePayload = { ...payload, body: await describeBody(body) }
      const statement = await signMessageStatement(device, own, said)
      const { hash } = await readMessageStatement(statement)
      between.frame = (frame) => (isFirst(frame) ? { ...withLeaf(frame, { digest: hash }), statement, body } : frame)
      const refused = await message(first.message)
      t.match(refused, { refused: /^BODY_HEADER: / })
      t.equal(refused?.['fields'], undefined, 'nothing of it is shown')
      between.frame = (frame) => (isFirst(frame) ? { ...frame, body } : frame)
      t.match(await message(first.message), { refused: /^BODY_HASH: / }, 'nor a body of another message')

      between.frame = (frame) => (isFirst(frame) ? undefined : frame)
      t.match((await read()).alarms, [/^HOLE: /])
      t.match(await post({ form: 'text', fields: { text: '?' } }), { refused: /^ALARM: HOLE: / }, 'nothing is sealed')
      between.reset()

      const [mine, { keys }] = [...session.view.devices].find(([, { tier }]) => tier === 'person') ?? missing()
      const grant = await sealGrant({ device: mine, seal: keys.seal }, compartment, 1, makeEpochKey(random))
      const lie = { grants: [{ compartment, epoch: 1, grant }] }
      between.frame = (frame) => (frame.type === 'granted' ? { ...frame, ...lie } : frame)
      between.answer = (path, answer) => (path.endsWith('/grants') ? lie : answer)
      const { messages, badGrants } = await read()
      t.match(messages[first.message], { refused: /^NO_KEY: GRANT_COMMITMENT: / })
      t.match(badGrants, [/^GRANT_COMMITMENT: /])
      between.reset()
      t.match(await message(first.message), { fields: { text: 'A container left Mombasa.' }, marks: [] })
    })
  },
)

t.test(
  'after three epochs and changes of roles the client in Python reads all messages, posts, and opens the fourth epoch',
  { skip, timeout: Math.max(patience.timeout, 280_000) },
  async (t) => {
    const { administrator, coordinator, operation } = await usualOperation(t)
    const kenya = await partyOf(t, administrator, { kind: 'administration', name: 'Customs of Kenya', country: 'KE' })
    await takeIn(coordinator, operation, kenya, 'ncp')
    const session = await kenya.client.follow(operation)
    const { organization } = kenya
    await postUnderThreeEpochs(t, { administrator, coordinator, operation }, session)
    const place = temporaryDirectory(t)
    const secret = async (name: string, value: string) => {
      await writeFile(join(place, name), value, { mode: 0o600 })
      return join(place, name)
    }
    const env = {
      CORDON_STORE_PASSPHRASE_FILE: await secret('store', 'the file of somebody in a test'),
      CORDON_PASSPHRASE_FILE: await secret('sign-in', passphrase),
    }
    const must = async (...args: string[]) => {
      const state = join(place, 'cordon.state')
      const ran = await runPython(python, ['-m', 'cordon_client', '--state', state, ...args], { cwd: program, env })
      if (ran.code !== 0) throw new Error(`${args.join(' ')}: ${ran.stderr}`)
      return ran.lines
    }
    const { text, person } = await kenya.client.directory.invite({
      person: { name: 'A person with Python' },
      organization,
      tier: 'person',
    })
    await must('enrol', text)
    await must('sign-in')
    await kenya.client.directory.certifyWaiting()
    await admitInTwoSteps({ coordinator, operation }, kenya.client, { person, organization })
    const all = await must('read', operation)
    t.match(
      all,
      ['Hello', 'Second', 'Third'].map((subject) => ({ subject, marks: [] })),
    )
    t.equal(all.length, 3)
    const post = async (words: string) => {
      const [line] = await must('post', operation, '--fields', JSON.stringify({ text: words }))
      return opened(kenya.client, operation, String(line?.['id']))
    }
    t.match(await post('Under the third key.'), { epoch: 3, marks: [] })
    const another = await enrolWith(t, kenya.client, { name: 'A second officer', organization, tier: 'person' })
    await admitInTwoSteps({ coordinator, operation }, kenya.client, { person: another.person, organization })
    t.match(await post('With one officer more.'), { epoch: 3, marks: [] }, 'who comes in gets the keys that are there')
    await coordinator.operations.changeRole(operation, another.person, 'observer')
    t.match(await post('With one officer fewer.'), { epoch: 4, marks: [] }, 'under a key that it made')
    t.equal((await must('read', operation)).length, 6)
    t.same(session.alarms, [])
  },
)

const isOf = (kind: string) => (frame: Frame) => frame.type === 'entry' && kindOf(frame) === kind

const subjectOf = (frame: Frame) =>
  frame.type === 'entry' ? (JSON.parse(String(frame['leaf'])) as { subject: string }).subject : undefined

function missing(): never {
  throw new Error('the view does not have the device')
}

interface Reading {
  messages: Record<string, Json>
  alarms: string[]
  badGrants: string[]
  refused?: string
}

interface Receipt {
  leaf: string
  proof: string[]
  checkpoint: string
}
