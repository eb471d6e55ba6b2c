import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { watch, type FSWatcher } from 'node:fs'
import { readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import fc from 'fast-check'
import t from 'tap'
import { openLogKey, witnessKeys } from '../src/log/index.ts'
import {
  base64,
  formatLogKeys,
  openNote,
  openWitnessed,
  parseExtendedCheckpoint,
  parseWitnessPolicy,
  signCheckpoint,
  signNote,
  verifyConsistency,
} from '../src/protocol/index.ts'
import { ended, start, until } from './support/command.ts'
import { howMany } from './support/counts.ts'
import { PaperLog, hasher } from './support/paper-log.ts'
import { freshId } from './support/toy-log.ts'
import {
  hashOf,
  heldBy,
  policyOf,
  policyText,
  send,
  startWitness,
  submission,
  temporaryDirectory,
} from './support/witness.ts'

const host = 'toy.example'
const key = openLogKey(join(temporaryDirectory(t), 'log.key'), false)
const strangers = openLogKey(join(temporaryDirectory(t), 'log.key'), false)
const plain = 'text/plain; charset=utf-8'

const newLog = (id: string = freshId()) => new PaperLog(host, id, key)

async function cosign(url: string, log: PaperLog, old: number, size = log.size) {
  return send(url, submission(old, await log.proof(old, size), await log.note(size)))
}

t.test('INV-50: every case of add-checkpoint, as tlog-witness says', async (t) => {
  const witness = await startWitness(t, { host, key })
  const { url } = witness
  const log = newLog().append(40)
  const cosigned = await cosign(url, log, 0, 20)
  t.equal(cosigned.status, 200, cosigned.text)

  const at40 = await log.note(40)
  const proof = await log.proof(20, 40)
  const [first = '', ...rest] = proof
  const [ed25519, mlDsa44] = log.signers
  const elsewhere = new PaperLog(host, log.origin.slice(-36), strangers).append(40)
  const other = newLog(log.origin.slice(-36)).append(40)
  const [otherEd25519] = new PaperLog(host, freshId(), key).signers
  const empty = { origin: newLog().origin, size: 0, root: hasher.empty }
  const emptySigners = key.signers(empty.origin)
  const fresh = newLog().append(5)
  const bent = (note: string, line: number) => {
    const lines = note.split('\n')
    lines[line] = (lines[line] ?? '').replace(
      /.(.{8})$/,
      (end, tail: string) => `${end.startsWith('A') ? 'B' : 'A'}${tail}`,
    )
    return lines.join('\n')
  }

  type Case = [name: string, body: string | Uint8Array, status: number, text?: string | RegExp]
  const table: Case[] = [
    // 400: not a submission
    ['nothing', '', 400],
    ['no empty line', `old 20\n${first}`, 400],
    ['no old size', `\n${at40}`, 400],
    ['an old size with a leading zero', submission('020', proof, at40), 400],
    ['an old size of two zeroes', submission('00', proof, at40), 400],
    ['an old size with a sign', submission('+20', proof, at40), 400],
    ['a negative old size', submission('-1', proof, at40), 400],
    ['an old size that is no number', submission('twenty', proof, at40), 400],
    ['an old size in hexadecimal', submission('0x14', proof, at40), 400],
    ['an old size beyond all numbers', submission('9'.repeat(30), proof, at40), 400],
    ['two spaces before the old size', submission(' 20', proof, at40), 400],
    ['another word than old', submission(20, proof, at40).replace('old', 'new'), 400],
    ['carriage returns', submission(20, proof, at40).replaceAll('\n', '\r\n'), 400],
    ['a proof line that is not base64', submission(20, ['!', ...rest], at40), 400],
    ['a proof line without padding', submission(20, [first.replace('=', ''), ...rest], at40), 400],
    ['a proof line that is no hash', submission(20, [base64(new Uint8Array(31)), ...rest], at40), 400],
    [
      '64 proof lines',
      submission(
        20,
        Array.from({ length: 64 }, () => first),
        at40,
      ),
      400,
    ],
    ['a checkpoint without signatures', submission(20, proof, at40.slice(0, at40.indexOf('\n\n') + 1)), 400],
    ['a size in the checkpoint with a leading zero', submission(20, proof, at40.replace('\n40\n', '\n040\n')), 400],
    ['a signature line without its dash', submission(20, proof, at40.replace('\u2014 ', '- ')), 400],
    ['bytes that are no UTF-8', Buffer.from(submission(20, proof, at40), 'latin1'), 400],
    ['an old size above the checkpoint', submission(41, [], at40), 400],
    // 404: a log that is not witnessed here
    ['another host', submission(0, [], await new PaperLog('else.example', freshId(), key).append(3).note()), 404],
    [
      'an origin that is no log',
      submission(0, [], await signCheckpoint({ origin: `${host}/logs/x`, size: 3, root: log.root(3) }, otherEd25519)),
      404,
    ],
    [
      'the host alone',
      submission(0, [], await signCheckpoint({ origin: host, size: 3, root: log.root(3) }, otherEd25519)),
      404,
    ],
    // 403: not signed by the log
    ['signed by nobody known', submission(20, await elsewhere.proof(20), await elsewhere.note()), 403],
    ['without its ML-DSA-44 line', submission(20, proof, await log.note(40, [ed25519])), 403, /lacks the ML-DSA-44/],
    ['without its Ed25519 line', submission(20, proof, await log.note(40, [mlDsa44])), 403, /lacks the Ed25519/],
    ['a wrong Ed25519 signature', submission(20, proof, bent(at40, 4)), 403],
    ['a wrong ML-DSA-44 signature', submission(20, proof, bent(at40, 5)), 403],
    ['signatures of another size', submission(20, proof, at40.replace('\n40\n', '\n41\n')), 403],
    [
      'signed as another log of the host',
      submission(20, proof, await signNote(at40.slice(0, at40.indexOf('\n\n') + 1), otherEd25519)),
      403,
    ],
    // 409: another old size than was cosigned last
    ['from the beginning again', submission(0, [], at40), 409, '20\n'],
    ['from a size before', submission(10, await log.proof(10, 40), at40), 409, '20\n'],
    ['from a size that was never cosigned', submission(30, await log.proof(30, 40), at40), 409, '20\n'],
    [
      'a smaller checkpoint than was cosigned',
      submission(10, await log.proof(10, 15), await log.note(15)),
      409,
      '20\n',
    ],
    ['the same smaller one with its own old size', submission(15, [], await log.note(15)), 409, '20\n'],
    ['an old size for a log that was never seen', submission(3, await fresh.proof(3), await fresh.note()), 409, '0\n'],
    // 422: it does not follow
    ['another tree of the same size', submission(20, [], await other.note(20)), 422],
    ['the same size with a proof', submission(20, [first], await log.note(20)), 422],
    ['another tree, with its own proof', submission(20, await other.proof(20), await other.note()), 422],
    ['no proof', submission(20, [], at40), 422],
    ['a proof that lacks its last line', submission(20, proof.slice(0, -1), at40), 422],
    ['a proof with one line more', submission(20, [...proof, first], at40), 422],
    ['a proof in another order', submission(20, proof.toReversed(), at40), 422],
    [
      '63 proof lines, of which most are wrong',
      submission(
        20,
        Array.from({ length: 63 }, () => first),
        at40,
      ),
      422,
    ],
    ['a proof from the empty tree', submission(0, [first], await fresh.note()), 422],
    [
      'an empty tree with another root',
      submission(0, [], await signCheckpoint({ ...empty, root: log.root(1) }, ...emptySigners)),
      422,
    ],
  ]
  for (const [name, body, status, text] of table) {
    const said = await send(url, body)
    t.equal(said.status, status, name, { said })
    t.equal(said.type, status === 409 ? 'text/x.tlog.size' : plain, `${name}: type`)
    if (typeof text === 'string') t.equal(said.text, text, `${name}: body`)
    else t.match(said.text, text ?? /^.+\n$/, `${name}: body`)
    t.notMatch(said.text, '\u2014', `${name}: nothing is cosigned`)
  }
  t.equal((await heldBy(url, log.origin)).text.split('\n')[1], '20', 'none of them moved what was cosigned')
  t.equal((await heldBy(url, fresh.origin)).status, 404, 'nor began anything')

  // 200
  const checkEmpty = await send(url, submission(0, [], await signCheckpoint(empty, ...emptySigners)))
  t.equal(checkEmpty.status, 200, 'an empty tree')
  const again = await send(url, submission(20, [], await log.note(20)))
  t.equal(again.status, 200, 'the same again')
  const grown = await send(url, submission(20, proof, at40))
  t.equal(grown.status, 200)
  t.equal(grown.type, plain)
  t.equal((await cosign(url, fresh, 0)).status, 200, 'a log that was never seen, from nothing')
  t.equal((await send(url, submission(0, [], await newLog().append(3).note()), { headers: {} })).status, 200)
  const types = ['text/plain', 'application/octet-stream', 'application/x-www-form-urlencoded', 'multipart/form-data']
  for (const type of types) {
    const said = await send(url, submission(40, [], at40), { headers: { 'content-type': type } })
    t.equal(said.status, 200, `sent as ${type}`)
  }
})

t.test('a cosignature is one line of each key, over the checkpoint, with the time in seconds', async (t) => {
  const seconds = 1_800_000_000
  const witness = await startWitness(t, { host, key, clock: () => new Date(seconds * 1_000 + 999) })
  const log = newLog().append(300)
  const published = await log.note()
  const { text: lines } = await send(witness.url, submission(0, [], published))
  t.match(lines, /^(— witness\.example [A-Za-z0-9+/=]+\n){2}$/)
  const note = `${published}${lines}`
  const { signatures, strangers } = await openNote(note, witness.keys)
  t.same(
    signatures.map(({ key: { algorithm }, timestamp }) => [algorithm, timestamp]),
    [
      ['Ed25519 cosignature', seconds],
      ['ML-DSA-44 cosignature', seconds],
    ],
  )
  t.equal(strangers, 2, 'the log itself')
  const held = await heldBy(witness.url, log.origin)
  t.equal(held.status, 200)
  t.equal(held.type, plain)
  t.equal(held.text, note, 'it serves the checkpoint, the signatures of the log that it verified, and its own')
  const policy = await policyOf([witness], 1)
  t.match(await openWitnessed(held.text, log.signers, policy), { size: 300, cosignedAt: seconds })
  t.equal((await heldBy(witness.url, newLog().origin)).status, 404)
  for (const path of [
    '/',
    '/add-checkpoint',
    `/${(await hashOf(log.origin)).toUpperCase()}/checkpoint`,
    '/../name/checkpoint',
  ])
    t.equal((await fetch(`${witness.url}${path}`)).status, 404, path)

  const stray = `${await log.note()}\u2014 else.example ${base64(new Uint8Array(80))}\n`
  t.equal((await send(witness.url, submission(300, [], stray))).status, 200, 'a signature of nobody known is ignored')
  t.notMatch((await heldBy(witness.url, log.origin)).text, 'else.example', 'and not kept')
  const extended = await signNote(`${(await log.note()).split('\n\n')[0] ?? ''}\nwords\n`, ...log.signers)
  const said = await send(witness.url, submission(300, [], extended))
  t.equal(said.status, 200, 'extension lines are cosigned as they are')
  const opened = await openNote(`${extended}${said.text}`, witness.keys)
  t.same(parseExtendedCheckpoint(opened.text).extensions, ['words'])
})

t.test('a clock that stands at nothing cosigns nothing', async (t) => {
  const witness = await startWitness(t, { host, key, clock: () => new Date(0) })
  const log = newLog().append(3)
  t.equal((await cosign(witness.url, log, 0)).status, 500)
  t.equal((await heldBy(witness.url, log.origin)).status, 404)
})

t.test(
  'INV-50: whatever grows or forks, and in whatever order it is sent, what was cosigned is one history',
  async (t) => {
    const witness = await startWitness(t, { host, key })
    let cosignatures = 0
    let refusals = 0
    const step = fc.record({ grow: fc.nat(20), from: fc.nat(), to: fc.nat(), forked: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(fc.nat(30), fc.array(step, { minLength: 3, maxLength: 12 }), async (at, steps) => {
        const id = freshId()
        const log = new PaperLog(host, id, key).append(at + 1)
        const fork = log.fork(host, id, key, at).append(1)
        const seen: { size: number; root: Uint8Array; log: PaperLog }[] = []
        for (const { grow, from, to, forked } of steps) {
          const mine = (forked ? fork : log).append(grow)
          const size = to % (mine.size + 1)
          const old = seen.length > 0 && from % 3 > 0 ? (seen.at(-1)?.size ?? 0) : from % (size + 1)
          const proof = old <= size && old <= mine.size ? await mine.proof(old, size) : []
          const said = await send(witness.url, submission(old, proof, await mine.note(size)))
          if (said.status === 200) {
            cosignatures++
            seen.push({ size, root: mine.root(size), log: mine })
          } else refusals++
        }
        for (const [i, { size, root, log: mine }] of seen.entries()) {
          const before = seen[i - 1]
          if (before === undefined) continue
          const proof = (await mine.proof(before.size, size)).map((line) => Buffer.from(line, 'base64'))
          if (!(await verifyConsistency(before.size, size, before.root, root, proof))) return false
        }
        return true
      }),
      { numRuns: howMany(40, 1_000) },
    )
    t.ok(cosignatures > 20 && refusals > 20, `${String(cosignatures)} cosigned, ${String(refusals)} refused`)
    t.comment(`${String(cosignatures)} cosigned, ${String(refusals)} refused`)
  },
)

t.test('INV-50: of checkpoints that come at once, none takes back what another was cosigned for', async (t) => {
  const witness = await startWitness(t, { host, key })
  for (let round = 0; round < howMany(10, 200); round++) {
    const log = newLog().append(30)
    await cosign(witness.url, log, 0, 10)
    const sizes = [11, 15, 20, 25, 30, 12, 18]
    const said = await Promise.all(sizes.map(async (size) => ({ size, ...(await cosign(witness.url, log, 10, size)) })))
    const won = said.filter(({ status }) => status === 200)
    t.equal(won.length, 1, 'one was first')
    for (const { status, text } of said)
      if (status !== 200) t.same([status, text], [409, `${String(won[0]?.size)}\n`], 'the others hear of it')
    t.equal((await heldBy(witness.url, log.origin)).text.split('\n')[1], String(won[0]?.size))
  }
})

t.test('it goes on where it was after a restart, and one process has the directory', async (t) => {
  const first = await startWitness(t, { host, key })
  const { directory } = first
  const log = newLog().append(20)
  await cosign(first.url, log, 0, 8)
  await t.rejects(startWitness(t, { host, key, directory }), { message: /another witness uses/ })
  t.same(await witnessKeys(directory), first.verifierKeys, 'its keys are told while it runs')
  await first.close()
  const second = await startWitness(t, { host, key, directory })
  t.same(second.verifierKeys, first.verifierKeys)
  const fork = newLog(log.origin.slice(-36)).append(20)
  t.same((await cosign(second.url, fork, 0)).text, '8\n')
  t.equal((await cosign(second.url, fork, 8)).status, 422)
  t.equal((await cosign(second.url, log, 8)).status, 200)
  await second.close()
  await t.rejects(startWitness(t, { host, key, directory, name: 'another.example' }), {
    message: /is named witness\.example/,
  })
})

t.test('what it remembers is believed only as it wrote it', async (t) => {
  const witness = await startWitness(t, { host, key })
  const log = newLog().append(20)
  await cosign(witness.url, log, 0, 8)
  const file = join(witness.directory, 'checkpoints', await hashOf(log.origin))
  const whole = await readFile(file, 'utf8')
  const other = newLog().append(8)
  await cosign(witness.url, other, 0)
  const fork = newLog(log.origin.slice(-36)).append(20)
  const wrong = [
    '',
    whole.slice(0, -10),
    whole.replace('\n8\n', '\n7\n'),
    await fork.note(8),
    (await heldBy(witness.url, other.origin)).text,
  ]
  for (const text of wrong) {
    await writeFile(file, text)
    for (const mine of [log, fork]) t.equal((await cosign(witness.url, mine, 8)).status, 500, 'nothing is cosigned')
    t.equal((await cosign(witness.url, fork, 0)).status, 500, 'nor begun again')
  }
  await writeFile(file, whole)
  t.equal((await cosign(witness.url, log, 8)).status, 200)
  t.same(
    (await readdir(join(witness.directory, 'checkpoints'))).filter((name) => name.endsWith('.next')),
    [],
  )
})

t.test('bodies that are too long, addresses that ask too often, and clients that never end', async (t) => {
  const witness = await startWitness(t, { host, key, requestTimeoutMs: 300, rate: { perSecond: 1, burst: 3 } })
  t.equal((await send(witness.url, 'x'.repeat(200_000))).status, 413)
  const socket = connect(Number(new URL(witness.url).port), '127.0.0.1')
  socket.on('error', () => {})
  socket.write('POST /add-checkpoint HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nold 0')
  const began = performance.now()
  // Node looks for requests that take too long every 30 s; the connection itself has its own end.
  await once(socket.resume(), 'close')
  t.ok(performance.now() - began < 35_000, 'it was cut off')
  const log = newLog().append(1)
  const statuses: number[] = []
  for (let i = 0; i < 6; i++) statuses.push((await cosign(witness.url, log, i === 0 ? 0 : 1)).status)
  t.ok(statuses.includes(429), statuses.join(' '))
  t.ok(statuses.includes(200))
})

t.test('the log of a witness holds both checkpoints of a log that does not follow, and no key', async (t) => {
  let written = ''
  const logTo = new Writable({
    write(chunk, _encoding, done) {
      written += String(chunk)
      done()
    },
  })
  const witness = await startWitness(t, { host, key, logLevel: 'info', logTo })
  const log = newLog().append(5)
  const fork = newLog(log.origin.slice(-36)).append(5)
  await cosign(witness.url, log, 0)
  const other = await fork.note()
  t.equal((await send(witness.url, submission(5, [], other))).status, 422)
  const line = written.split('\n').find((text) => text.includes('does not follow')) ?? '{}'
  const { held, shown, origin } = JSON.parse(line) as Record<string, string>
  t.equal(origin, log.origin)
  t.equal(parseExtendedCheckpoint(`${held?.split('\n\n')[0] ?? ''}\n`).size, 5)
  t.equal(shown, other)
  t.notMatch(written, /PRIVATE|body/)
})

// ---- the command

async function commandOn(owner: Parameters<typeof temporaryDirectory>[0], directory: string, port: string) {
  const keys = join(temporaryDirectory(owner), 'cordon.keys')
  await writeFile(keys, `${(await formatLogKeys(key.publicKeys, `${host}/logs/${freshId()}`)).join('\n')}\n`)
  const args = [
    '--directory',
    directory,
    '--name',
    'witness.example',
    '--listen',
    `127.0.0.1:${port}`,
    '--log-keys',
    keys,
  ]
  return ['witness', ...args, '--log-level', 'error', '--json']
}

async function listening(child: ChildProcess): Promise<{ address: string; keys: string[] }> {
  let out = ''
  child.stdout?.on('data', (chunk) => (out += String(chunk)))
  await until('it listens', () => out.includes('\n'))
  return JSON.parse(out.split('\n')[0] ?? '') as { address: string; keys: string[] }
}

t.test('INV-50: the command, killed again and again while it answers, never cosigns two histories', async (t) => {
  const directory = join(temporaryDirectory(t), 'witness')
  const args = await commandOn(t, directory, '0')
  const log = newLog().append(1)
  const file = await hashOf(log.origin)
  let last = 0
  let acknowledged = 0
  let lost = 0
  for (let round = 0; round < howMany(4, 60); round++) {
    const child = start(t, args)
    const gone = once(child, 'exit')
    const { address, keys } = await listening(child)
    t.equal(keys.length, 2)
    const held = await heldBy(address, log.origin)
    const size = held.status === 404 ? 0 : Number(held.text.split('\n')[1])
    t.ok(size >= last, `what was answered is there: ${String(size)} of ${String(last)}`)
    if (size > last) lost++
    last = size
    const fork = log.fork(host, log.origin.slice(-36), key, Math.max(0, size - 1)).append(10)
    if (size > 0) t.equal((await cosign(address, fork, size)).status, 422, 'nothing else than what it held')
    // At some time; or as soon as something was written, before it is answered.
    const atOnce = round % 2 === 1
    let watching: FSWatcher | undefined
    let killing: NodeJS.Timeout | undefined
    for (;;) {
      log.append(1)
      const said = await cosign(address, log, last).catch(() => undefined)
      if (said?.status !== 200) break
      if (atOnce)
        watching ??= watch(join(directory, 'checkpoints'), (_, name) => name === file && child.kill('SIGKILL'))
      else killing ??= setTimeout(() => child.kill('SIGKILL'), 20 + Math.random() * 300)
      acknowledged++
      last = log.size
    }
    clearTimeout(killing)
    watching?.close()
    child.kill('SIGKILL')
    await gone
  }
  t.ok(acknowledged > 0)
  t.comment(
    `${String(acknowledged)} cosigned between the kills; ${String(lost)} times an answer was lost after it was written`,
  )
})

t.test('the command starts, tells its keys, refuses what it cannot do, and ends cleanly', async (t) => {
  const directory = join(temporaryDirectory(t), 'witness')
  const args = await commandOn(t, directory, '0')
  const child = start(t, args)
  const { address, keys } = await listening(child)
  const log = newLog().append(3)
  t.equal((await cosign(address, log, 0)).status, 200)
  const told = await ended(start(t, ['witness', '--keys', '--directory', directory]))
  t.equal(told.stdout, `${keys.join('\n')}\n`)
  const second = await ended(start(t, args))
  t.equal(second.code, 1)
  t.match(second.stderr, /another witness uses/)
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  t.same(await exit, [0, null])
  for (const [changed, code, sentence] of [
    [['witness', '--directory', directory], 2, /--log-keys/],
    [
      [...args.filter((word) => word !== '--name' && word !== 'witness.example'), '--name', 'a b'],
      1,
      /is named witness\.example/,
    ],
    [['witness', '--keys', '--directory', join(directory, 'none')], 1, /There is no witness/],
    [['witness', '--keys', '--directory', directory, '--name', 'other.example'], 1, /for good/],
    [[...args, '--listen', 'nowhere'], 2, /--listen is an address/],
  ] as const) {
    const done = await ended(start(t, changed))
    t.equal(done.code, code, changed.join(' '))
    t.match(done.stderr, sentence)
  }
  const help = await ended(start(t, ['witness', '--help']))
  t.match(help.stdout, /Examples:\n {2}\$ cordon log-keys/)
  await rm(join(directory, 'witness.key'))
  const unkeyed = await ended(start(t, ['witness', '--keys', '--directory', directory]))
  t.equal(unkeyed.code, 1)
})

t.test('policies: what tlog-policy allows is read, everything else is refused with its line', async (t) => {
  const [one, two] = await Promise.all([
    startWitness(t, { host, key, name: 'one.example' }),
    startWitness(t, { host, key, name: 'two.example' }),
  ])
  const [a = '', b = ''] = one.verifierKeys
  const [c = '', d = ''] = two.verifierKeys
  const policy = await parseWitnessPolicy(
    `# two\n\n  witness\ta ${a} https://one.example/w/ \nwitness b ${b} https://one.example/w\nwitness c ${c}\ngroup ab all a b\ngroup q 1 ab c\nquorum q`,
  )
  t.same(
    policy.witnesses.map(({ name, keys, url }) => [name, keys.length, url]),
    [
      ['one.example', 2, 'https://one.example/w'],
      ['two.example', 1, undefined],
    ],
  )
  t.same((await parseWitnessPolicy('quorum none')).witnesses, [])
  t.match(await parseWitnessPolicy(`witness a ${a}\nwitness c ${c}`, 2), { quorum: { least: 2 } })
  const [log = ''] = await formatLogKeys(key.publicKeys, `${host}/logs/${freshId()}`)
  t.ok(await parseWitnessPolicy(`log ${log} https://log.example\nquorum none`))
  const wrong: [string, RegExp][] = [
    ['', /no quorum/],
    ['quorum a', /Line 1.*nothing above is named a/],
    [`witness a ${a}\nquorum a\nquorum a`, /Line 3.*already/],
    [`witness a ${a}\nwitness a ${b}\nquorum a`, /Line 2.*taken/],
    [`witness a ${a}\nwitness b ${a}\nquorum a`, /Line 2.*stands in the policy already/],
    [`witness none ${a}\nquorum none`, /Line 1.*taken/],
    [`witness a ${log}\nquorum a`, /Line 1.*no key of a witness/],
    [`log ${a}\nquorum none`, /Line 1.*a key of a witness/],
    [`witness a ${a.replace('+', '-')}\nquorum a`, /Line 1/],
    [`witness a ${a} ftp://x\nquorum a`, /Line 1.*https/],
    [`witness a ${a} https://x\nwitness b ${b} https://y\nquorum a`, /Line 2.*one URL/],
    [`witness a ${a}\ngroup g 2 a\nquorum g`, /Line 2/],
    [`witness a ${a}\ngroup g 0 a\nquorum g`, /Line 2/],
    [`witness a ${a}\ngroup g all\nquorum g`, /Line 2/],
    [`witness a ${a}\ngroup g all a\ngroup h all a\nquorum g`, /Line 3.*a member already/],
    [`witness a ${a}\ngroup g 2 a a\nquorum g`, /Line 2.*a member already/],
    [`group g all a\nwitness a ${a}\nquorum g`, /Line 1.*nothing above/],
    [`witness a ${a}\r\nquorum a`, /Line 1.*control/],
    ['policy x', /Line 1.*none of log/],
  ]
  for (const [text, sentence] of wrong)
    await t.rejects(parseWitnessPolicy(text), { code: 'POLICY', message: sentence }, text.slice(0, 30))
  await t.rejects(parseWitnessPolicy(`witness a ${a}`, 2), { code: 'POLICY' })
  t.equal((await parseWitnessPolicy(policyText([one, two], 2))).witnesses.length, 2)

  // One line of a witness is not the witness.
  const paper = newLog().append(9)
  const [lines, others] = [(await cosign(one.url, paper, 0)).text, (await cosign(two.url, paper, 0)).text]
  const note = await paper.note()
  const both = await policyOf([one, two], 2)
  const either = await policyOf([one, two], 1)
  t.match(await openWitnessed(`${note}${lines}${others}`, paper.signers, both), { size: 9 })
  const half = `${lines.split('\n')[0] ?? ''}\n`
  for (const [text, rule] of [
    [note, either],
    [`${note}${lines}`, both],
    [`${note}${half}`, either],
    [`${note}${half}${others.split('\n')[1] ?? ''}\n`, either],
  ] as const)
    await t.rejects(openWitnessed(text, paper.signers, rule), { code: 'WITNESSES' })
  const elsewhere = (await cosign(two.url, newLog().append(9), 0)).text
  await t.rejects(openWitnessed(`${note}${lines}${elsewhere}`, paper.signers, either), { code: 'NOTE_SIGNATURE' })
  await t.rejects(
    openWitnessed(
      `${note}${lines}`.replace(note.split('\n')[5] ?? '', '').replace('\n\n\u2014', '\n\n\u2014'),
      paper.signers,
      either,
    ),
  )
  t.ok(d)
})
