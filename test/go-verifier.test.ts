import { execFile, spawnSync } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { FileStore } from '../src/client/node/index.ts'
import type { Cordon, OperationSession } from '../src/client/index.ts'
import { hashLeaf, hasher } from '../src/log/hashing.ts'
import { openLogKey, type LogKey } from '../src/log/index.ts'
import { emptyEdge, grow, originOf, serializeLeaf, signCheckpoint, type Leaf } from '../src/protocol/index.ts'
import { enrolWith, operationOn, partyOf, passphrase, takeIn } from './support/actors.ts'
import { howMany, patience } from './support/counts.ts'
import { admin } from './support/database.ts'
import { logHost } from './support/check-log.ts'
import { startServer, temporaryDirectory } from './support/server.ts'
import { readLog } from './support/rewriting.ts'
import { policyOf, startWitness } from './support/witness.ts'

const program = join(import.meta.dirname, '../contrib/verify-go')
const run = promisify(execFile)

const go = spawnSync('go', ['version'], { encoding: 'utf8', timeout: 30_000 })
const modules =
  go.status === 0 ? spawnSync('go', ['mod', 'download'], { cwd: program, encoding: 'utf8', timeout: 60_000 }) : go
const skip =
  go.status !== 0
    ? 'Go is not installed: the verifier in contrib/verify-go cannot be run'
    : modules.status !== 0
      ? `golang.org/x/mod cannot be had: ${modules.stderr.trim().split('\n').at(-1) ?? ''}`
      : false

const entries = howMany(400, 100_000)
const posters = 3
const inFlight = 40

t.test(
  'software that Cordon did not write confirms a log, and refuses it after one byte of one leaf changed',
  // Where Go has built nothing yet, its standard library is built first.
  { skip, timeout: Math.max(patience.timeout, 280_000) },
  async (t) => {
    const place = await mkdtemp(join(tmpdir(), 'cordon-go-'))
    t.teardown(() => rm(place, { recursive: true, force: true }))
    const directory = temporaryDirectory(t)
    const key = openLogKey(join(directory, 'log.key'), false)
    const witnesses = await Promise.all(
      ['one', 'two'].map((name) => startWitness(t, { host: logHost, key, name: `${name}.example` })),
    )
    const server = await startServer(t, { directory, witnesses: await policyOf(witnesses, 2) })
    const { administrator, coordinator, operation } = await operationOn(t, server)
    const members: { client: Cordon; session: OperationSession }[] = []
    for (let i = 0; i < posters; i++) {
      const party = await partyOf(t, administrator, {
        kind: 'administration',
        name: `Customs ${String(i)}`,
        country: 'KE',
        keep: 'none',
      })
      await takeIn(coordinator, operation, party, 'ncp')
      members.push({ client: party.client, session: await party.client.follow(operation) })
    }
    const store = await FileStore.open(join(place, 'store'), 'the passphrase of a store')
    t.teardown(() => store.close())
    const { client: unit, organization } = await partyOf(t, administrator, { kind: 'rilo', name: 'Audit office' })
    const auditor = await enrolWith(t, unit, { name: 'Auditor', organization, store })
    await takeIn(coordinator, operation, { client: auditor, organization }, 'auditor')
    await auditor.signIn({ passphrase })

    let posted = 0
    let receipted: string | undefined
    const began = Date.now()
    await Promise.all(
      members.flatMap(({ session }) =>
        Array.from({ length: inFlight }, async () => {
          while (posted < entries) {
            const n = posted++
            const { message } = await session.post({ form: 'text', fields: { text: `message ${String(n)}` } })
            if (session === members[0]?.session) receipted ??= message
          }
        }),
      ),
    )
    t.comment(`${String(entries)} messages posted, ${(entries / ((Date.now() - began) / 1000)).toFixed(0)} a second`)

    const binary = join(place, 'verify-go')
    await run('go', ['build', '-o', binary, '.'], { cwd: program })
    const keys = join(place, 'cordon.keys')
    await writeFile(keys, `${auditor.self.account.pins.logKeys.join('\n')}\n`)
    const [first] = members
    if (!first || receipted === undefined) throw new Error('nobody posted')
    const receipt = join(place, 'receipt.tlog-proof')
    await writeFile(receipt, await first.client.portableReceipt(operation, receipted))

    let lent = 0
    const verify = async (...more: string[]) => {
      const session = join(place, `lent-${String(lent++)}.json`)
      await writeFile(session, JSON.stringify(await auditor.lendSession()), { mode: 0o600 })
      const log = `${server.url}/v1/logs/${operation}`
      try {
        const { stdout } = await run(binary, ['-log', log, '-keys', keys, '-session', session, ...more])
        return { code: 0, stdout }
      } catch (error) {
        const { code, stdout } = error as { code: number; stdout: string }
        return { code, stdout }
      }
    }

    const clean = await verify('-receipt', receipt)
    t.comment(clean.stdout.trimEnd())
    t.match(clean, { code: 0, stdout: /Entries: all \d+ are.*\nReceipt: entry \d+ is in the log\nVerified/ })
    const confirmed = Number(/Entries: all (\d+)/.exec(clean.stdout)?.[1])
    t.ok(confirmed >= entries, `${String(confirmed)} entries were confirmed`)

    const middle = Math.floor(confirmed / 2)
    const flip = (sql: string) => admin(server.database.superUrl, (db) => db.query(sql, [operation, middle]))
    await flip(`UPDATE log_entry SET leaf = overlay(leaf placing '2' from 6 for 1) WHERE log_id = $1 AND index = $2`)
    t.match(await verify(), { code: 1, stdout: new RegExp(`NOT verified: entry ${String(middle)} is not the one`) })
    await flip(`UPDATE log_entry SET leaf = overlay(leaf placing '1' from 6 for 1) WHERE log_id = $1 AND index = $2`)

    await flip(
      `UPDATE log_entry SET leaf_hash = set_byte(leaf_hash, 31, get_byte(leaf_hash, 31) # 1) WHERE log_id = $1 AND index = $2`,
    )
    t.match(await verify(), { code: 1, stdout: /NOT verified: / }, 'one bit of a stored hash')
    await flip(
      `UPDATE log_entry SET leaf_hash = set_byte(leaf_hash, 31, get_byte(leaf_hash, 31) # 1) WHERE log_id = $1 AND index = $2`,
    )
    t.match(await verify(), { code: 0 }, 'and verified again once both are what they were')
    const asked = witnesses.flatMap(({ verifierKeys: [ed25519 = ''] }) => ['-witness', ed25519])
    t.match(await verify(...asked, '-quorum', '2'), { code: 0, stdout: /Witnesses: 2 of 2 cosigned/ })
    t.match(
      await verify(...asked.slice(0, 2), '-quorum', '2'),
      { code: 1, stdout: /cosignatures of 1 witnesses, 2 are demanded/ },
      'a quorum that is not there',
    )
    const cosigned = await verify('-receipt', receipt, ...asked, '-quorum', '2')
    t.match(cosigned, { code: 0, stdout: /Witnesses: 2 of 2[^]*Witnesses: 2 of 2[^]*Receipt: entry/ })

    // A service with the key of the log can sign any tree: of one whose times go back it is not
    // believed.
    const raw = await admin(server.database.superUrl, (client) => readLog(client, operation))
    const leaves = raw.slice(0, 100).map(({ leaf }) => leaf)
    for (const [place, seconds, code] of [
      [50, 0, 0],
      [50, 3600, 1],
      [99, 27 * 365 * 24 * 3600, 1],
    ] as const) {
      const log = await served(t, key, operation, datedBack(leaves, place, seconds))
      const { stdout, code: ended } = await run(binary, ['-log', log, '-keys', keys]).then(
        (done) => ({ ...done, code: 0 }),
        (error: unknown) => error as { code: number; stdout: string },
      )
      t.equal(ended, code, `${String(seconds)} s back`)
      if (code === 1) t.match(stdout, `NOT verified: entry ${String(place)} is dated before the one that precedes it`)
    }
  },
)

const datedBack = (leaves: readonly Leaf[], place: number, seconds: number) =>
  leaves.map((leaf, n) =>
    n === place ? { ...leaf, at: new Date(Date.parse(leaf.at) - seconds * 1000).toISOString() } : leaf,
  )

/**
 * The address of a log of these entries, signed and served as by a service of this key: few enough
 * for one tile.
 */
async function served(owner: Test, key: LogKey, log: string, leaves: readonly Leaf[]): Promise<string> {
  const texts = leaves.map(serializeLeaf)
  const hashes = texts.map(hashLeaf)
  const origin = originOf(logHost, log)
  const { root } = grow(hasher, emptyEdge, hashes)
  const checkpoint = await signCheckpoint({ origin, size: texts.length, root }, ...key.signers(origin))
  const bundle = texts.flatMap((text) => {
    const bytes = Buffer.from(text)
    return [Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]
  })
  const width = String(texts.length)
  const answers: Record<string, string | Buffer> = {
    checkpoint,
    [`tile/0/000.p/${width}`]: Buffer.concat(hashes),
    [`tile/entries/000.p/${width}`]: Buffer.concat(bundle),
  }
  const server = createServer(({ url = '' }, reply) => {
    const answer = answers[url.split(`/v1/logs/${log}/`)[1] ?? '']
    reply.writeHead(answer === undefined ? 404 : 200).end(answer)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  owner.teardown(() => void server.close())
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/v1/logs/${log}`
}
