import { spawnSync } from 'node:child_process'
import { createHash, createPublicKey, verify as verifySignature } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { isProblem, type Cordon } from '../src/client/index.ts'
import { VerifyKeys, parseEvidence, parseLogKeys, verifyEvidence, type Evidence } from '../src/protocol/index.ts'
import { enrolWith, partyOf, takeIn } from './support/actors.ts'
import { ended, start } from './support/command.ts'
import { howMany, patience } from './support/counts.ts'
import type { startServer } from './support/server.ts'
import { usualOperation } from './support/usual-operation.ts'

const disclosure = {
  justification: 'case 2026/118',
  recipient: { name: 'A. Judge', organization: 'Court of Appeal', country: 'KE' },
  legalBasis: 'order 2026/118 of the court',
}

async function scene(owner: Parameters<typeof startServer>[0]) {
  const { server, administrator, coordinator, operation } = await usualOperation(owner)
  const kenya = await partyOf(owner, administrator, { kind: 'administration', name: 'Kenya', country: 'KE' })
  await takeIn(coordinator, operation, kenya, 'ncp')
  const office = await partyOf(owner, administrator, { kind: 'rilo', name: 'Audit office' })
  const auditor = await enrolWith(owner, office.client, { name: 'Auditor', organization: office.organization })
  await takeIn(coordinator, operation, { client: auditor, organization: office.organization }, 'auditor')
  const session = await kenya.client.follow(operation)
  const messages: string[] = []
  for (const text of ['pangolin one', 'pangolin two', 'pangolin three']) {
    const { message } = await session.post({ form: 'text', fields: { text } })
    messages.push(message)
  }
  return { server, administrator, coordinator, operation, kenya, auditor, session, messages }
}

let shared: ReturnType<typeof scene> | undefined
/** For whoever only asks for bundles of it. */
const sharedScene = () => (shared ??= scene(t))

const trustOf = async (client: Cordon) => {
  const { logKeys, root } = client.self.account.pins
  return { keys: (await parseLogKeys(logKeys)).keys, root, witnesses: [], quorum: 0 }
}

const sha256 = (...parts: (string | Uint8Array)[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

t.test('a bundle proves its entries to whoever has the keys, and the log says that it was made', async (t) => {
  const { operation, auditor, coordinator, kenya, administrator, messages, session } = await scene(t)
  const { text, verified } = await auditor.audit.evidence(
    operation,
    { kinds: ['message.*', 'member.*', 'device.*', 'epoch.*', 'operation.*'] },
    disclosure,
  )
  t.match(verified, { discrepancies: [], statements: Number })
  t.ok(verified.statements >= messages.length + 4)
  const evidence = parseEvidence(text)
  t.equal(evidence.entries.length, verified.entries)
  t.notMatch(text, /"(body|extract|grant)"/, 'no content')
  t.notMatch(text, /pangolin/)

  const made: Record<string, unknown>[] = []
  for await (const { entries } of auditor.audit.pages(operation, { kinds: ['export.made'] }))
    for (const { leaf, details } of entries) made.push({ ...leaf, details })
  t.match(made, [
    {
      kind: 'export.made',
      actor: { person: auditor.person },
      digest: sha256(text).toString('base64url'),
      details: { ...disclosure, entries: verified.entries, query: { kind: /message/ } },
    },
  ])

  // The manual's first four steps, without any code of ours.
  const { entries, checkpoint, keys } = evidence
  const [origin = '', sizeLine = '', rootLine = ''] = checkpoint.split('\n')
  const size = Number(sizeLine)
  const signed = `${origin}\n${sizeLine}\n${rootLine}\n`
  const line = checkpoint.split('\n').find((one) => one.startsWith('\u2014')) ?? ''
  const signature = Buffer.from(line.split(' ')[2] ?? '', 'base64').subarray(4)
  const raw = Buffer.from(keys.log[0]?.split('+').slice(2).join('+') ?? '', 'base64').subarray(1)
  const pem = createPublicKey({
    key: Buffer.concat([Buffer.from('MCowBQYDK2VwAyEA', 'base64'), raw]),
    format: 'der',
    type: 'spki',
  })
  t.ok(verifySignature(null, Buffer.from(signed), pem, signature), 'step 3')
  for (const { leaf, proof, details, salt, statement } of entries) {
    const { index, private: hidden, digest } = JSON.parse(leaf) as { index: number; private?: string; digest?: string }
    let hash = sha256(Buffer.of(0), leaf)
    let [i, last] = [index, size - 1]
    for (const sibling of proof.map((one) => Buffer.from(one, 'base64url'))) {
      if (i % 2 === 1 || i === last) {
        hash = sha256(Buffer.of(1), sibling, hash)
        while (i % 2 === 0 && i !== 0) [i, last] = [Math.floor(i / 2), Math.floor(last / 2)]
      } else hash = sha256(Buffer.of(1), hash, sibling)
      ;[i, last] = [Math.floor(i / 2), Math.floor(last / 2)]
    }
    t.equal(hash.toString('base64'), rootLine, `step 2 of entry ${String(index)}`)
    if (details !== undefined)
      t.equal(sha256(Buffer.from(salt ?? '', 'base64url'), details).toString('base64url'), hidden)
    if (statement !== undefined) t.equal(sha256(statement).toString('base64url'), digest)
  }

  const refusal = async (client: Cordon, filters = {}) =>
    client.audit.evidence(operation, filters, disclosure).then(
      () => 'given',
      (error: unknown) => (isProblem(error) ? error.code : String(error)),
    )
  t.equal(await refusal(coordinator), 'FORBIDDEN')
  t.equal(await refusal(kenya.client), 'FORBIDDEN')
  t.equal(await refusal(administrator), 'NOT_FOUND')
  t.equal(await refusal(auditor, { message: '01900000-0000-7000-8000-000000000000' }), 'EVIDENCE_EMPTY')
  t.equal(
    await auditor.audit
      .evidence(await auditor.audit.directory(), {}, disclosure)
      .catch((error: unknown) => isProblem(error) && error.code),
    'AUDITOR_ONLY',
    'the directory is for auditors of the platform',
  )
  await coordinator.operations.remove(operation, auditor.person)
  t.equal(await refusal(auditor), 'NOT_FOUND')
  t.strictSame(session.alarms, [])
})

/**
 * Every string in the parts of a bundle that are proven, with a way to put another in its place.
 */
function* proven(evidence: Evidence): Generator<{ where: string; read: string; write: (text: string) => void }> {
  const bundle = evidence
  yield { where: 'checkpoint', read: bundle.checkpoint, write: (text) => (bundle.checkpoint = text) }
  for (const [i, entry] of bundle.entries.entries()) {
    for (const name of ['leaf', 'details', 'salt', 'statement'] as const) {
      const read = entry[name]
      if (read !== undefined)
        yield { where: `entries[${String(i)}].${name}`, read, write: (text) => (entry[name] = text) }
    }
    for (const [n, read] of entry.proof.entries())
      yield { where: `entries[${String(i)}].proof[${String(n)}]`, read, write: (text) => (entry.proof[n] = text) }
  }
  for (const [i, read] of bundle.certificates.entries())
    yield { where: `certificates[${String(i)}]`, read, write: (text) => (bundle.certificates[i] = text) }
}

t.test('INV-34: one changed character anywhere in what a bundle proves is found', patience, async (t) => {
  const { operation, auditor } = await sharedScene()
  const { text } = await auditor.audit.evidence(operation, {}, disclosure)
  const trust = await trustOf(auditor)
  const keys = new VerifyKeys()
  const check = async (evidence: Evidence) => (await verifyEvidence(evidence, trust, keys)).discrepancies.length
  t.equal(await check(parseEvidence(text)), 0)
  const missed: string[] = []
  const runs = howMany(60, 2_000)
  for (let n = 0; n < runs; n++) {
    const evidence = parseEvidence(text)
    const places = [...proven(evidence)]
    const place = places[Math.floor(Math.random() * places.length)]
    if (place === undefined) throw new Error('there is nothing to change')
    const at = Math.floor(Math.random() * place.read.length)
    const other = place.read[at] === 'x' ? 'y' : 'x'
    place.write(place.read.slice(0, at) + other + place.read.slice(at + 1))
    if ((await check(evidence)) === 0) missed.push(`${place.where} ${String(at)}`)
  }
  t.strictSame(missed, [], `${String(runs)} of ${String(runs)} changes found`)

  const bend = async (what: string, change: (evidence: Evidence) => void, found = 1) => {
    const evidence = parseEvidence(text)
    change(evidence)
    t.ok((await check(evidence)) >= found, what)
  }
  await bend('entries exchanged', ({ entries }) => entries.reverse())
  await bend('an entry twice', ({ entries }) => entries.splice(3, 0, ...entries.slice(3, 4)))
  await bend('details under another entry', ({ entries }) => {
    const [a, b] = entries.filter(({ details }) => details !== undefined)
    if (a?.details !== undefined && b?.details !== undefined) [a.details, b.details] = [b.details, a.details]
  })
  await bend('its statements taken out', ({ entries }) => entries.forEach((entry) => delete entry.statement), 3)
  await bend('its details taken out', ({ entries }) => {
    for (const entry of entries) {
      delete entry.details
      delete entry.salt
    }
  })
  await bend('no entry at all', ({ entries }) => entries.splice(0))
  await bend('another root named', (evidence) => Object.assign(evidence, { root: 'A'.repeat(43) }))
  await bend('other keys named', ({ keys: named }) => named.log.reverse())
  await bend('no certificates', ({ certificates }) => certificates.splice(0))
  await bend('another log', (evidence) => Object.assign(evidence, { log: '01900000-0000-7000-8000-000000000000' }))
  await bend('another host', (evidence) => Object.assign(evidence, { host: 'elsewhere.example' }))
  t.ok(
    (await verifyEvidence(parseEvidence(text), { ...trust, root: 'A'.repeat(43) }, keys)).discrepancies.length > 0,
    'another root',
  )
  t.ok(
    (await verifyEvidence(parseEvidence(text), { ...trust, quorum: 1 }, keys)).discrepancies.length === 1,
    'a quorum that is not there',
  )
  for (const [what, bad] of Object.entries({
    nothing: '',
    'no JSON': '{',
    'another document': '{}',
    'one field more': text.replace('{', '{"x": 1,'),
  }))
    t.throws(() => parseEvidence(bad), what)
})

t.test('a bundle is verified offline by the command, with keys that came by another way', async (t) => {
  const { operation, auditor } = await sharedScene()
  const place = await mkdtemp(join(tmpdir(), 'cordon-evidence-'))
  t.teardown(() => rm(place, { recursive: true, force: true }))
  const { text } = await auditor.audit.evidence(operation, { kinds: ['message.*'] }, disclosure)
  const [file, keys] = [join(place, 'bundle.json'), join(place, 'cordon.keys')]
  const { logKeys, root } = auditor.self.account.pins
  await writeFile(file, text)
  await writeFile(keys, `${logKeys.join('\n')}\n`)
  const run = (...args: string[]) => ended(start(t, ['verify', ...args]))
  const good = await run(file, '--log-keys', keys, '--root', root)
  t.match(good, { code: 0, stdout: /^Verified: 3 entries of the log .* 3 signed statements/ })
  t.match(good.stdout, sha256(text).toString('base64url'), 'what the entry export.made has as its digest')
  t.match(await run(file), { code: 2, stderr: /keys that you got elsewhere/ })
  t.match(await run(file, '--log-keys', file, '--root', root), { code: 2, stderr: /does not hold the keys of a log/ })
  t.match(await run(join(place, 'none'), '--log-keys', keys, '--root', root), { code: 1, stderr: /cannot be read/ })
  await writeFile(file, text.replace('"kind\\":\\"message.posted', '"kind\\":\\"message.deleted'))
  t.match(await run(file, '--log-keys', keys, '--root', root), { code: 1, stdout: /NOT verified: 1 discrepancy/ })
  await writeFile(file, text.slice(0, -20))
  t.match(await run(file, '--log-keys', keys, '--root', root), { code: 1, stderr: /is no bundle of evidence/ })
})

const tools = ['jq', 'openssl', 'sha256sum'].filter((tool) => spawnSync('which', [tool]).status !== 0)

t.test(
  'the manual in the bundle works as it is written',
  { skip: tools.length === 0 ? false : `not installed: ${tools.join(', ')}` },
  async (t) => {
    const { operation, auditor } = await sharedScene()
    const place = await mkdtemp(join(tmpdir(), 'cordon-manual-'))
    t.teardown(() => rm(place, { recursive: true, force: true }))
    const { text } = await auditor.audit.evidence(operation, { kinds: ['message.*'] }, disclosure)
    await writeFile(join(place, 'FILE'), text)
    const shell = (sentence: string) => spawnSync('bash', ['-c', sentence], { cwd: place, encoding: 'utf8' })
    const { manual, entries, keys, checkpoint } = parseEvidence(text)
    const step = (start: string) => manual.find((one) => one.startsWith(start)) ?? ''
    const hash = /\(printf .*sha256sum/.exec(step('1.'))?.[0] ?? ''
    t.equal(shell(hash).stdout.split(' ')[0], sha256(Buffer.of(0), entries[0]?.leaf ?? '').toString('hex'))
    const extract = /jq -j .*> text/.exec(step('3.'))?.[0] ?? ''
    t.equal(shell(extract).status, 0)
    const line = checkpoint.split('\n').find((one) => one.startsWith('\u2014')) ?? ''
    await writeFile(join(place, 'signature'), Buffer.from(line.split(' ')[2] ?? '', 'base64').subarray(4))
    const raw = Buffer.from(keys.log[0]?.split('+').slice(2).join('+') ?? '', 'base64').subarray(1)
    const pem = Buffer.concat([Buffer.from('MCowBQYDK2VwAyEA', 'base64'), raw]).toString('base64')
    await writeFile(join(place, 'log.pem'), `-----BEGIN PUBLIC KEY-----\n${pem}\n-----END PUBLIC KEY-----\n`)
    const command = /openssl pkeyutl .*-sigfile signature/.exec(manual.join('\n'))?.[0] ?? ''
    t.match(shell(command).stdout, /Signature Verified Successfully/)
  },
)
