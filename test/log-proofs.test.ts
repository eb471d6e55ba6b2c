import t from 'tap'
import { Problem } from '../src/errors.ts'
import { createLogger, buildHttp, makeAccess } from '../src/http/index.ts'
import { mountLogRoutes } from '../src/log/index.ts'
import {
  fromBase64url,
  leafHash,
  openCheckpoint,
  parseNoteKey,
  verifyConsistency,
  verifyInclusion,
} from '../src/protocol/index.ts'
import { freshId, somebody, toyLog } from './support/toy-log.ts'
import { alone } from './support/rates.ts'

const proofOf = (body: string) => (JSON.parse(body) as { proof: string[] }).proof.map(fromBase64url)

t.test('a member fetches checkpoints and proofs that verify; others find nothing', async (t) => {
  const founder = somebody()
  const toy = await toyLog(t, founder)
  const server = await toy.server({ limits: { publishEveryMs: 0 } })
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
  t.teardown(() => app.close())
  mountLogRoutes(app, {
    logs: server.logs,
    reader: makeAccess(
      'log-reader',
      ['NOT_FOUND'],
      async ({ headers: { authorization } }) => {
        if (authorization === undefined) throw new Problem('UNAUTHENTICATED')
        return authorization
      },
      async (who) => {
        if (who !== 'member') throw new Problem('NOT_FOUND')
        return who
      },
    ),
    enterExport: () => Promise.reject(new Problem('NOT_FOUND')),
    namesIn: () => Promise.resolve({ people: [], organizations: [] }),
    enterQuery: () => Promise.reject(new Problem('NOT_FOUND')),
  })
  const get = (path: string, authorization?: string) =>
    app.inject({ url: path, headers: authorization === undefined ? {} : { authorization } })
  const base = `/v1/logs/${toy.operation}`

  const early = await get(`${base}/checkpoint`, 'member')
  t.equal(early.headers['content-type'], 'text/plain; charset=utf-8')
  t.match(early.headers['cache-control'], /no-cache/)
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, i) => server.post(founder, { id: freshId(), text: `n${i}` })),
  )
  const late = await get(`${base}/checkpoint`, 'member')
  const keys = await Promise.all((await server.logs.verifierKeys(toy.operation)).map(parseNoteKey))
  const from = await openCheckpoint(early.body, ...keys)
  const to = await openCheckpoint(late.body, ...keys)
  t.equal(to.size, 32)

  const consistency = await get(`${base}/consistency?from=${from.size}&to=${to.size}`, 'member')
  t.ok(await verifyConsistency(from.size, to.size, from.root, to.root, proofOf(consistency.body)))
  for (const { index, receipt } of answers) {
    const inclusion = await get(`${base}/inclusion?index=${index}&size=${to.size}`, 'member')
    t.ok(await verifyInclusion(await leafHash(receipt.leaf), index, to.size, proofOf(inclusion.body), to.root))
  }

  const paths = ['/checkpoint', '/inclusion?index=1&size=2', '/consistency?from=1&to=2']
  const unknown = `/v1/logs/${freshId()}`
  for (const path of paths) {
    t.equal((await get(base + path)).statusCode, 401, `${path} signed out`)
    const refused = await get(base + path, 'outsider')
    const absent = await get(unknown + path, 'member')
    t.equal(refused.statusCode, 404, `${path} from outside`)
    t.equal(refused.body, absent.body, 'the same as for a log that does not exist')
    t.equal((await get(base.toUpperCase().replace('/V1/LOGS', '/v1/logs') + path, 'member')).statusCode, 400)
  }
  for (const path of [
    '/inclusion?index=32&size=32',
    '/inclusion?index=0&size=33',
    '/consistency?from=3&to=2',
    '/consistency?from=1&to=33',
  ]) {
    t.equal((await get(base + path, 'member')).statusCode, 404, path)
  }
  for (const path of [
    '/inclusion',
    '/inclusion?index=-1&size=2',
    '/inclusion?index=1.5&size=2',
    '/inclusion?index=x&size=2',
    '/inclusion?index=1&size=99999999999999999999',
    '/consistency?from=1',
    '/consistency?from=1&to=2&more=3',
  ]) {
    t.equal((await get(base + path, 'member')).statusCode, 400, path)
  }
})
