import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { transaction } from '../src/db/index.ts'
import { Problem } from '../src/errors.ts'
import { createLogger, buildHttp, makeAccess, type HttpServer } from '../src/http/index.ts'
import { mountLogRoutes, sizeOf } from '../src/log/index.ts'
import {
  formatTilePath,
  openCheckpoint,
  parseTilePath,
  parseTlogProof,
  tileAt,
  verifyInclusion,
} from '../src/protocol/index.ts'
import { freshId, originHost, somebody, toyLog, type ToyServer } from './support/toy-log.ts'
import { alone } from './support/rates.ts'

const sha256 = (...parts: Uint8Array[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}
const leafOf = (entry: Uint8Array) => sha256(Buffer.of(0), entry)

/** MTH of RFC 6962, section 2.1, over leaf hashes: computed apart from the code that serves. */
function treeHash(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 1) return leaves[0] ?? Buffer.alloc(0)
  let split = 1
  while (split * 2 < leaves.length) split *= 2
  return sha256(Buffer.of(1), treeHash(leaves.slice(0, split)), treeHash(leaves.slice(split)))
}

t.test('a tile has one path, and everything else is the path of nothing', (t) => {
  const known: [string, Parameters<typeof formatTilePath>[0]][] = [
    ['0/000', { level: 0, index: 0, width: 256 }],
    ['1/000.p/1', { level: 1, index: 0, width: 1 }],
    ['0/x001/x234/067', { level: 0, index: 1_234_067, width: 256 }],
    ['3/x001/x234/067.p/255', { level: 3, index: 1_234_067, width: 255 }],
    ['entries/999.p/7', { level: 'entries', index: 999, width: 7 }],
    ['63/x001/000', { level: 63, index: 1_000, width: 256 }],
  ]
  for (const [path, tile] of known) {
    t.equal(formatTilePath(tile), path)
    t.same(parseTilePath(path), tile)
  }
  for (const path of [
    '',
    '0',
    '0/',
    '0/0',
    '0/00',
    '0/0000',
    '0/001/234',
    '0/x000/000',
    '0/x000/x001/234',
    '0/x001',
    '00/000',
    '64/000',
    '-1/000',
    '8/0/000',
    'data/000',
    'entries/x00/000',
    '0/000.p/0',
    '0/000.p/256',
    '0/000.p/01',
    '0/000.p/',
    '0/000.p/1/',
    '0/000/',
    '0/000.p/1e1',
    '0/999/x999/999',
    '0/x999/x999/x999/x999/x999/x999/999',
    '../0/000',
  ])
    t.throws(() => parseTilePath(path), { code: 'TILE' }, path)
  fc.assert(
    fc.property(
      fc.oneof(fc.constant('entries' as const), fc.nat(63)),
      fc.maxSafeNat(),
      fc.integer({ min: 1, max: 256 }),
      (level, index, width) => {
        t.same(parseTilePath(formatTilePath({ level, index, width })), { level, index, width })
      },
    ),
    { numRuns: 200 },
  )
  // The examples of tlog-tiles.
  t.same(tileAt(256, 0, 0), { level: 0, index: 0, width: 256 })
  t.same(tileAt(256, 1, 0), { level: 1, index: 0, width: 1 })
  t.same(tileAt(70_000, 0, 273), { level: 0, index: 273, width: 112 })
  t.same(tileAt(70_000, 1, 1), { level: 1, index: 1, width: 17 })
  t.same(tileAt(70_000, 2, 0), { level: 2, index: 0, width: 1 })
  t.equal(tileAt(70_000, 3, 0), undefined)
  t.equal(tileAt(256, 0, 1), undefined)
  t.end()
})

async function serving(server: ToyServer): Promise<HttpServer> {
  const app = await buildHttp({
    ...alone(),
    publicUrl: 'https://toy.example',
    version: '0.0.0',
    trustedProxies: [],
    log: createLogger({ level: 'silent' }),
    requestId: freshId,
    toProblem: (error) => error,
    ready: () => Promise.resolve(true),
  })
  mountLogRoutes(app, {
    logs: server.logs,
    reader: makeAccess(
      'log-reader',
      ['NOT_FOUND'],
      async ({ headers: { authorization } }) => authorization ?? '',
      async (who) => {
        if (who === 'nobody') throw new Problem('NOT_FOUND')
        return who
      },
    ),
    namesIn: () => Promise.resolve({ people: [], organizations: [] }),
    enterQuery: () => Promise.reject(new Problem('NOT_FOUND')),
    enterExport: (who) => (who === 'auditor' ? Promise.resolve() : Promise.reject(new Problem('NOT_FOUND'))),
  })
  return app
}

/** Appends entries of no importance until the log has this size. */
async function fill(server: ToyServer, log: string, size: number): Promise<void> {
  for (;;) {
    const now = await transaction(server.db, (tx) => sizeOf(tx, log))
    if (now === undefined || now >= size) return
    const drafts = Array.from({ length: Math.min(5_000, size - now) }, (_, i) => ({
      kind: 'report.viewed' as const,
      actor: { server: originHost },
      subject: `view ${String(now + i)}`,
    }))
    const appended = await transaction(server.db, (tx) => server.logs.appendWithin(tx, [{ log, drafts }]))
    appended.afterCommit()
  }
}

t.test('INV-32: tiles and bundles are those of tlog-tiles at every size, and stay when the log grows', async (t) => {
  const toy = await toyLog(t, somebody())
  const server = await toy.server({ limits: { publishEveryMs: 0 } })
  const app = await serving(server)
  t.teardown(() => app.close())
  const base = `/v1/logs/${toy.operation}`
  const get = (path: string, authorization = 'auditor', headers: Record<string, string> = {}) =>
    app.inject({ url: `${base}${path}`, headers: { authorization, ...headers } })
  const served = new Map<string, Buffer>()
  const leaves: Buffer[] = []
  const misplaced: number[] = []
  for (const size of [2, 255, 256, 257, 600, 65_535, 65_536, 70_000]) {
    await fill(server, toy.operation, size)
    // Every bundle that is new, entry by entry.
    for (let index = Math.floor(leaves.length / 256); index * 256 < size; index++) {
      const tile = tileAt(size, 'entries', index)
      if (!tile) throw new Error('a bundle is missing')
      const { statusCode, rawPayload, headers } = await get(`/tile/${formatTilePath(tile)}`)
      if (statusCode !== 200) t.fail(`bundle ${String(index)} answered ${String(statusCode)}`)
      if (index === 0)
        t.match(headers, {
          'content-type': 'application/octet-stream',
          'cache-control': /private, max-age=\d+, immutable/,
        })
      let at = 0
      for (let i = 0; i < tile.width; i++) {
        const length = rawPayload.readUInt16BE(at)
        const entry = rawPayload.subarray(at + 2, at + 2 + length)
        if ((JSON.parse(entry.toString('utf8')) as { index: number }).index !== index * 256 + i) misplaced.push(i)
        leaves[index * 256 + i] = leafOf(entry)
        at += 2 + length
      }
      if (at !== rawPayload.length) t.fail(`something follows the last entry of bundle ${String(index)}`)
    }
    t.equal(leaves.length, size)
    t.strictSame(misplaced, [], 'each entry lies in its place')
    for (let level = 0; 256 ** level <= size; level++) {
      const last = Math.ceil(Math.floor(size / 256 ** level) / 256) - 1
      for (const index of new Set([0, Math.max(0, last - 1), last])) {
        const tile = tileAt(size, level, index)
        if (!tile) throw new Error('a tile is missing')
        const path = formatTilePath(tile)
        const { statusCode, rawPayload } = await get(`/tile/${path}`, 'member')
        t.equal(statusCode, 200, path)
        const span = 256 ** level
        const expected = Array.from({ length: tile.width }, (_, i) => {
          const first = (index * 256 + i) * span
          return treeHash(leaves.slice(first, first + span))
        })
        t.ok(Buffer.concat(expected).equals(rawPayload), `${path} at size ${String(size)}`)
        served.set(path, rawPayload)
      }
      // One more than there is, in the last tile and in the one after it.
      const edge = tileAt(size, level, Math.max(0, last))
      if (edge && edge.width < 255)
        t.equal((await get(`/tile/${formatTilePath({ ...edge, width: edge.width + 1 })}`)).statusCode, 404)
      t.equal((await get(`/tile/${formatTilePath({ level, index: last + 1, width: 1 })}`)).statusCode, 404)
      if (edge && edge.width < 256)
        t.equal((await get(`/tile/${formatTilePath({ ...edge, width: 256 })}`)).statusCode, 404)
    }
    for (const [path, bytes] of served) {
      const { statusCode, rawPayload } = await get(`/tile/${path}`, 'member')
      t.equal(statusCode, 200, `${path} is still there at ${String(size)}`)
      t.ok(bytes.equals(rawPayload), `${path} is what it was`)
    }
  }

  const refused = await get('/tile/0/000.p/0')
  t.equal(refused.statusCode, 404)
  t.match(refused.headers['content-type'], /application\/problem\+json/)
  t.notMatch(refused.headers['cache-control'] ?? '', /immutable|max-age=[1-9]/, 'an error is not kept')
  t.equal((await get('/tile/0/000', 'nobody')).statusCode, 404)
  t.equal((await get('/tile/entries/000', 'member')).statusCode, 404, 'entries are for auditors alone')
  const packed = await get('/tile/entries/000', 'auditor', { 'accept-encoding': 'gzip' })
  t.equal(packed.headers['content-encoding'], 'gzip')
  const plain = await get('/tile/entries/000', 'auditor', { 'accept-encoding': 'gzip;q=0, identity' })
  t.equal(plain.headers['content-encoding'], undefined)

  const text = await get('/proof/12345', 'member')
  t.equal(text.headers['content-type'], 'text/plain; charset=utf-8')
  const { index, proof, checkpoint } = parseTlogProof(text.body)
  const { size, root } = await openCheckpoint(checkpoint, ...toy.key.signers(`${originHost}/logs/${toy.operation}`))
  t.equal(index, 12_345)
  t.ok(await verifyInclusion(leaves[index] ?? Buffer.alloc(0), index, size, proof, root))
  t.notOk(await verifyInclusion(leaves[index + 1] ?? Buffer.alloc(0), index, size, proof, root))
  t.equal((await get('/proof/70000', 'member')).statusCode, 404)
  t.equal((await get('/proof/0', 'nobody')).statusCode, 404)
  for (const crooked of ['1e1', '03', '+3', '-1', '9007199254740993'])
    t.equal((await get(`/proof/${crooked}`, 'member')).statusCode, 400, crooked)
  for (const bent of [
    text.body.replace('index ', 'index 0'),
    text.body.replace('@v1', '@v2'),
    text.body.replace('\n\n', '\n'),
  ])
    t.throws(() => parseTlogProof(bent))
})
