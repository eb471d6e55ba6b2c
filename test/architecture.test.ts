import { readFileSync, readdirSync } from 'node:fs'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { findBreaches, nameBreach, readSources, repository } from './support/architecture.ts'

t.test('INV-15: src/ keeps to the ladder and to the rules of the house', async (t) => {
  const sources = await readSources()
  t.ok(sources.size > 10)
  t.same(findBreaches(sources).map(nameBreach), [])
})

t.test('each rule bites', async (t) => {
  const planted: [string, string, RegExp][] = [
    ['log/x.ts', `import { a } from '../operations/index.ts'`, /log must not import operations/],
    ['log/x.ts', `import type { A } from '../identity/index.ts'`, /log must not import identity/],
    ['http/x.ts', `import { a } from '../db/index.ts'`, /http must not import db/],
    [
      'identity/x.ts',
      `\n\nconst a = await import('../messages/index.ts')`,
      /identity\/x\.ts:3 identity must not import messages/,
    ],
    ['identity/x.ts', `export { a } from '../live/index.ts'`, /must not import live/],
    ['identity/x.ts', `import '../live/index.ts'`, /must not import live/],
    ['identity/x.ts', `import {\n  a,\n  b,\n} from '../live/index.ts'`, /x\.ts:4 /],
    ['messages/x.ts', `import { a } from '../log/appender.ts'`, /past log\/index\.ts/],
    ['messages/x.ts', `import { a } from '../config.ts'`, /must not import config/],
    ['client/x.ts', `import { a } from '../errors.ts'`, /client must not import errors/],
    ['client/x.ts', `import { a } from '../messages/index.ts'`, /client must not import messages/],
    ['cli/x.ts', `import { a } from '../messages/index.ts'`, /cli must not import messages/],
    ['cli/x.ts', `import { a } from '../client/sealing.ts'`, /past client\/index\.ts/],
    ['protocol/x.ts', `import { a } from '../forms/index.ts'`, /protocol must not import forms/],
    ['protocol/x.ts', `import { createHash } from 'node:crypto'`, /protocol runs in a browser/],
    ['forms/x.ts', `import { readFileSync } from 'fs'`, /without node:/],
    ['client/x.ts', `import ws from 'ws'`, /client must not import the package ws/],
    ['client/x.ts', `const a = Buffer.from('a')`, /do not exist in a browser/],
    ['protocol/x.ts', `if (process.version) a()`, /do not exist in a browser/],
    ['messages/service.ts', `import { sql } from 'kysely'`, /kysely belongs in a store/],
    ['messages/service.ts', `import type { Pool } from 'pg'`, /pg belongs in a store/],
    ['messages/service.ts', `import type { FastifyRequest } from 'fastify'`, /fastify belongs in routes/],
    ['identity/service.ts', `import helmet from '@fastify/helmet'`, /belongs in routes/],
    ['cli/x.ts', `import { build } from 'esbuild'`, /belongs in build\.ts/],
    ['cli/x.ts', `import { makeDist } from '../build.ts'`, /cli must not import build/],
    ['log/x.ts', `const at = Date.now()`, /Date\.now is ambient/],
    ['log/x.ts', `const at = new Date()`, /new Date\(\) is ambient/],
    ['log/x.ts', `const at = new Date`, /new Date\(\) is ambient/],
    ['log/x.ts', `const at = now ?? Math.random()`, /Math\.random is ambient/],
    ['http/x.ts', `const a = process.env.GUARD_OFF`, /process\.env is ambient/],
    ['http/x.ts', `const { env } = process`, /process\.env is ambient/],
    ['main.ts', `const a = process.env['PORT']`, /process\.env is ambient/],
    ['log/x.ts', `export * from './index.ts'`, /export \*/],
    ['log/x.ts', `export default 1`, /export default/],
    ['log/x.ts', `import { a } from './index'`, /without \.ts/],
    ['log/x.ts', `import { a } from './nowhere.ts'`, /does not exist/],
    ['log/x.ts', `import { a } from '../../test/support/database.ts'`, /outside src/],
    ['log/utils.ts', ``, /says nothing/],
    ['helpers/x.ts', ``, /no part of the house/],
    ['log/x.ts', '\n'.repeat(501), /more than 500/],
    ['identity/store.ts', `db.selectFrom('session')\n sql\`SELECT 1 FROM log_entry\``, /log_entry is named in/],
    ['operations/store.ts', `db.selectFrom('session as s')`, /session is named in/],
  ]
  for (const [file, text, expected] of planted) {
    const found = findBreaches(new Map([...house, [file, text]])).map(nameBreach)
    t.ok(
      found.some((sentence) => expected.test(sentence)),
      `${file}: ${text.trim().slice(0, 70)}`,
      { found },
    )
  }
})

t.test('what the rules allow is not called a breach', async (t) => {
  const fine: [string, string][] = [
    ['live/socket.ts', `import { a } from '../log/index.ts'\nimport type { FastifyRequest } from 'fastify'`],
    ['messages/store.ts', `import { sql } from 'kysely'\nimport type { Tx } from '../db/index.ts'`],
    [
      'messages/service.ts',
      `import type { Tx } from '../db/index.ts'\nconst at = new Date(row.at)\n// never Date.now() here`,
    ],
    ['client/node/files.ts', `import { readFile } from 'node:fs/promises'`],
    [
      'cli/main.ts',
      `import { openStore } from '../client/node/index.ts'\nconst a = process.env['HOME']\nconst b = Date.now()`,
    ],
    [
      'main.ts',
      `import { readConfig } from './config.ts'\nimport { a } from './log/index.ts'\nconst clock = () => new Date()`,
    ],
    ['reports/store.ts', `db.selectFrom('session')`],
  ]
  for (const [file, text] of fine) t.same(findBreaches(new Map([...house, [file, text]])).map(nameBreach), [], file)
})

t.test('migrations are plain SQL, numbered without a gap', async (t) => {
  const files = (await readdir(join(repository, 'migrations'))).sort()
  for (const [index, file] of files.entries()) {
    t.match(file, new RegExp(`^${String(index + 1).padStart(4, '0')}_[a-z0-9_]+\\.sql$`))
    const text = await readFile(join(repository, 'migrations', file), 'utf8')
    t.notMatch(text, /^\s*(BEGIN|COMMIT|ROLLBACK)\s*;/im, `${file} leaves the transaction to the migrator`)
  }
})

t.test('no file above src/ but the ones that belong there', async (t) => {
  const known = [
    'CONTRIBUTING.md',
    'Dockerfile',
    'LICENSE',
    'README.md',
    'SECURITY.md',
    'bench',
    'contrib',
    'deploy',
    'docker-compose.yml',
    'docs',
    'migrations',
    'package-lock.json',
    'package.json',
    'src',
    'test',
    'tsconfig.json',
  ]
  const made = ['node_modules', 'dist', 'data', 'bench-data', 'coverage']
  const found = (await readdir(repository)).filter(
    (name) => !name.startsWith('.') && !made.includes(name) && !/^cordon-[\d.]+\.tgz$/.test(name),
  )
  t.same(
    found.filter((name) => !known.includes(name)),
    [],
  )
})

// A small house in which every file stands where it may.
const house = new Map<string, string>([
  ['access.ts', ''],
  ['errors.ts', ''],
  ['config.ts', `const a = process.env['PORT']`],
  ['db/index.ts', ''],
  ['db/tables.ts', `export interface DB {\n  log_entry: A\n  session: B\n}`],
  ['http/index.ts', ''],
  ['log/index.ts', ''],
  ['log/appender.ts', `sql\`INSERT INTO log_entry\``],
  ['identity/index.ts', ''],
  ['identity/store.ts', `db.selectFrom('session')`],
  ['operations/index.ts', ''],
  ['messages/index.ts', ''],
  ['live/index.ts', ''],
  ['protocol/index.ts', ''],
  ['forms/index.ts', ''],
  ['client/index.ts', ''],
  ['client/sealing.ts', ''],
  ['client/node/index.ts', ''],
  ['cli/main.ts', ''],
  ['main.ts', `import { readConfig } from './config.ts'`],
])

t.test('INV-136: whom a handler gets is whom the access of its own route let in', async (t) => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('routes.ts'))
  let handlers = 0
  for (const file of files) {
    const [, ...routes] = readFileSync(`src/${file}`, 'utf8').split(/\n *app\.(?:get|post|put|patch|delete)\(/)
    for (const route of routes) {
      const declared = /access: ([\w.]+(?:\([^)]*\))?)/.exec(route)?.[1] ?? ''
      const asked = [...route.matchAll(/([\w.]+(?:\([^()]*\))?)\.of\(request\)/g)].map(([, access]) => access)
      handlers += asked.length
      for (const access of asked) t.equal(access, declared, `${file}: ${route.trim().split('\n', 1)[0] ?? ''}`)
    }
  }
  t.ok(handlers > 60, `${String(handlers)} handlers`)
})
