// What this holds: a receipt is verified by the command and by the Go verifier with the log's keys
// alone, after the service has gone: who, what, when, and which witnesses cosigned. A forged,
// truncated or foreign receipt, another key and another body are refused with one sentence.
// What makes it fail: an origin that is not compared with the keys, a leaf that is not hashed, a
// statement or body that is taken as it comes, a quorum that is not counted.
// Bites: `verifyPortableReceipt`, `checkContent`, `verifyInclusion`.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { openLogKey } from '../src/log/index.ts'
import { operationOn } from './support/actors.ts'
import { logHost } from './support/check-log.ts'
import { ended, joinWithDesk, start, temporary } from './support/command.ts'
import { startServer, temporaryDirectory } from './support/server.ts'
import { policyOf, startWitness } from './support/witness.ts'

const place = temporary(t)
const at = (name: string) => join(place, name)
const write = (name: string, text: string) => {
  writeFileSync(at(name), text)
  return at(name)
}

const keyDirectory = temporaryDirectory(t)
const key = openLogKey(join(keyDirectory, 'log.key'), false)
const witnesses = await Promise.all(
  ['one', 'two'].map((name) => startWitness(t, { host: logHost, key, name: `${name}.example` })),
)
const server = await startServer(t, { directory: keyDirectory, witnesses: await policyOf(witnesses, 2) })
const scene = await operationOn(t, server)
const desk = await joinWithDesk(t, place, scene, { name: 'Kenya', country: 'KE' })
const posted = await desk.must<{ index: number; message: string }>('post', 'the truck left at noon')
const files = { receipt: at('r.tlog-proof'), statement: at('r.statement'), body: at('r.body') }
const written = ['--out', files.receipt, '--statement', files.statement, '--body', files.body]
await desk.must('receipt', String(posted.index), ...written)
const keys = write('cordon.keys', (await desk.run(['log-keys'])).stdout)
const witnessKeys = write('witness.keys', witnesses.map((one) => one.verifierKeys.join('\n')).join('\n'))
const policyText = [
  ...witnesses.flatMap((one, n) => one.verifierKeys.map((line, k) => `witness w${String(n)}${String(k)} ${line}`)),
  'group both all w00 w01 w10 w11',
  'quorum both',
  '',
].join('\n')
const policy = write('witnesses.policy', policyText)
const other = await startServer(t)
const elsewhere = await operationOn(t, other)
const foreign = await elsewhere.coordinator.follow(elsewhere.operation)
const strange = await foreign.post({ form: 'text', fields: { text: 'another log' } })
const strangeReceipt = await elsewhere.coordinator.portableReceipt(elsewhere.operation, strange.message)
const strangeKeys = write('strange.keys', `${elsewhere.coordinator.self.account.pins.logKeys.join('\n')}\n`)
await server.close()

const text = readFileSync(files.receipt, 'utf8')
const lines = text.split('\n')
const [, extra = '', ...afterEntry] = lines
const leaf = Buffer.from(extra.slice('extra '.length), 'base64').toString('utf8')
const withLeaf = (changed: string) =>
  [lines[0], `extra ${Buffer.from(changed).toString('base64')}`, ...afterEntry].join('\n')
const signature = lines.findIndex((line) => line.startsWith('\u2014 '))
const broken = lines.map((line, n) => (n === signature ? line.replace(/(.{12})(.)(.{8})$/, '$1A$3') : line))
const proofs: Record<string, [text: string, says: RegExp]> = {
  'another time in the entry': [withLeaf(leaf.replace('"at":"2', '"at":"1')), /^NOT verified: /],
  'another person in the entry': [
    withLeaf(leaf.replace(/"person":"(.)/, (_, first) => `"person":"${first === '0' ? '1' : '0'}`)),
    /^NOT verified: The log of the checkpoint does not hold this entry\.\n$/,
  ],
  'another place': [
    text.replace(/^index (\d+)$/m, (_, index: string) => `index ${String(Number(index) - 1)}`),
    /^NOT verified: The log of the checkpoint does not hold this entry\.\n$/,
  ],
  'a signature that is wrong': [broken.join('\n'), /^NOT verified: The signature of .* is wrong\.\n$/],
  'no entry': [[lines[0], ...afterEntry].join('\n'), /^NOT verified: The receipt does not bring its entry\.\n$/],
  'half of it': [text.slice(0, text.length / 2), /^NOT verified: /],
  'its proof alone': [text.slice(0, text.indexOf('\n\n')), /^NOT verified: A proof is lines, an empty line, /],
  'without the second key of the log': [
    lines.filter((line, n) => n !== signature + 1).join('\n'),
    /^NOT verified: This checkpoint lacks the /,
  ],
}

const verify = (...args: string[]) => ended(start(t, ['verify', ...args]))

t.test('a receipt says who, what and when to whoever has the keys, without the service', async (t) => {
  const done = await verify(files.receipt, '--keys', keys)
  t.equal(done.code, 0, done.stdout + done.stderr)
  t.match(done.stdout, new RegExp(`^Verified: a message was posted, entry ${String(posted.index)}\\.\n`))
  t.match(done.stdout, new RegExp(`What: ${posted.message}\n`))
  t.match(done.stdout, /When: \w+ 2026-\d\d-\d\d /)
  t.match(done.stdout, /Witnesses: none that you named cosigned it\.\n4 signatures of keys that you did not name/)
  t.comment(done.stdout)
  const json = (await verify(files.receipt, '--keys', keys, '--json')).json
  t.match(json, { verified: true, index: posted.index, kind: 'message.posted', about: posted.message, witnesses: [] })

  const own = await desk.run(['verify', files.receipt])
  t.equal(own.code, 0, 'with the keys that the store pinned')
  t.match(own.stdout, /Who: Kenya officer \(Kenya\)\n/)
  t.match(own.stdout, /When: .*Europe\/Brussels/)
  t.comment(own.stdout)
})

t.test('witnesses are named with their time, and a quorum is demanded', async (t) => {
  for (const how of [
    ['--witness-keys', witnessKeys],
    ['--witness-policy', policy],
  ]) {
    const done = await verify(files.receipt, '--keys', keys, ...how)
    t.equal(done.code, 0, done.stdout + done.stderr)
    t.match(done.stdout, /Witness: one\.example, .* 2026-.*\nWitness: two\.example, .* 2026-/)
  }
  const without = text
    .split('\n')
    .filter((line) => !line.startsWith('\u2014 two.example'))
    .join('\n')
  const lacking = await verify(write('one.tlog-proof', without), '--keys', keys, '--witness-policy', policy)
  t.equal(lacking.code, 1)
  t.match(
    lacking.stdout,
    /^NOT verified: It lacks the cosignatures that you demand: the quorum of the witness policy\.\n$/,
  )
})

t.test('the statement and the body beside it are those of the entry, or are refused', async (t) => {
  const beside = ['--statement', files.statement, '--body', files.body]
  const done = await verify(files.receipt, '--keys', keys, ...beside)
  t.equal(done.code, 0, done.stdout)
  t.match(done.stdout, /Statement: form text, TLP:.*\nBody: SHA-256 \S{43}, that of the body you gave\n/)
  const body = readFileSync(files.body, 'utf8')
  const wrongBody = write(
    'wrong.body',
    body.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
  )
  const refused = await verify(files.receipt, '--keys', keys, '--statement', files.statement, '--body', wrongBody)
  t.match(refused, { code: 1, stdout: 'NOT verified: The statement names another body.\n' })
  const wrong = await verify(files.receipt, '--keys', keys, '--statement', files.body)
  t.match(wrong, { code: 1, stdout: /^NOT verified: The statement is another one than the entry commits to\.\n$/ })
  const alone = await verify(files.receipt, '--keys', keys, '--body', files.body)
  t.match(alone, { code: 1, stdout: /give --statement too/ })
})

t.test('what is forged, foreign or damaged is refused with one sentence', async (t) => {
  for (const [what, [forged, says]] of Object.entries(proofs)) {
    t.not(forged, text, what)
    const done = await verify(write('forged', forged), '--keys', keys)
    t.equal(done.code, 1, what)
    t.match(done.stdout, says, what)
    t.equal(done.stdout.trimEnd().split('\n').length, 1, 'one sentence')
  }
  const foreignLog = await verify(write('strange', strangeReceipt), '--keys', keys)
  t.equal(foreignLog.code, 1, 'a receipt of another log')
  const anotherKey = await verify(files.receipt, '--keys', strangeKeys)
  t.equal(anotherKey.code, 1, 'another key')
  t.match(anotherKey.stdout, /^NOT verified: /)
  t.match(await verify(write('nothing', ''), '--keys', keys), { code: 1, stderr: /neither a receipt nor a bundle/ })
  t.match(await verify(at('none'), '--keys', keys), { code: 1, stderr: /cannot be read/ })
  t.match(await verify(files.receipt), { code: 2, stderr: /give --keys FILE/ })
})

const program = join(import.meta.dirname, '../contrib/verify-go')
const go = spawnSync('go', ['mod', 'download'], { cwd: program, encoding: 'utf8', timeout: 60_000 })
const skip = go.status === 0 ? false : 'Go or golang.org/x/mod cannot be had: the verifier in contrib/ cannot be run'

t.test('verify-go confirms a receipt without a service or a session', { skip, timeout: 280_000 }, async (t) => {
  const built = mkdtempSync(join(tmpdir(), 'cordon-go-'))
  t.teardown(() => rmSync(built, { recursive: true, force: true }))
  const binary = join(built, 'verify-go')
  const build = spawnSync('go', ['build', '-o', binary, '.'], { cwd: program, encoding: 'utf8' })
  t.equal(build.status, 0, build.stderr)
  const run = (...args: string[]) => spawnSync(binary, args, { encoding: 'utf8' })
  const asked = witnesses.flatMap(({ verifierKeys: [line = ''] }) => ['-witness', line])
  const good = run('-receipt', files.receipt, '-keys', keys, ...asked, '-quorum', '2')
  t.equal(good.status, 0, good.stdout)
  t.match(good.stdout, /Witnesses: 2 of 2 cosigned/)
  t.match(good.stdout, new RegExp(`Verified: "message.posted", entry ${String(posted.index)} of `))
  t.comment(good.stdout)
  const few = run('-receipt', files.receipt, '-keys', keys, ...asked.slice(0, 2), '-quorum', '2')
  t.match(few, { status: 1, stdout: /cosignatures of 1 witnesses, 2 are demanded/ })
  for (const [what, [forged]] of Object.entries(proofs)) {
    // Go has no ML-DSA-44: the second key of the log is not checked.
    if (what.startsWith('without the second key')) continue
    const done = run('-receipt', write('forged', forged), '-keys', keys)
    t.match(done, { status: 1, stdout: /^NOT verified: .*\n$/ }, what)
  }
  t.match(run('-receipt', files.receipt, '-keys', strangeKeys), { status: 1, stdout: /^NOT verified: / })
  t.match(run('-receipt', write('strange', strangeReceipt), '-keys', keys), { status: 1, stdout: /^NOT verified: / })
  t.equal(run('-receipt', files.receipt).status, 2)
})
