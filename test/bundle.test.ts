import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Command } from 'commander'
import t, { type Test } from 'tap'
import { apart, dist } from '../src/build.ts'
import { groups } from '../src/cli/commands/index.ts'
import { repository } from './support/architecture.ts'
import { command, ended, start, temporary, type Done } from './support/command.ts'
import { packages } from './support/packages.ts'
import { serverProcess } from './support/processes.ts'
import { startServer } from './support/server.ts'

// What this holds: dist/ does what the sources do, is made from the sources that are there, and
// loads what was asked for.
// What makes it fail: a command missing from the list, a file that the bundle does not find, a
// build that mixes two sources.

const listed = Object.values(groups).flatMap((group) => Object.entries(group))
const filesIn = (directory: string) =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

t.test('each command stands in the list once, with what it does, and can be loaded', async (t) => {
  t.equal(new Set(listed.map(([name]) => name)).size, listed.length)
  for (const [name, { does, load }] of listed) {
    const loaded = new Command(name)
    const add = await load()
    add(loaded)
    t.ok(loaded.commands.length > 0 || loaded.options.length > 0, name)
    t.equal(loaded.description(), '', `${name} is described in the list alone: ${does}`)
  }
})

t.test('each file of commands is reached from the list', async (t) => {
  const directory = join(repository, 'src/cli/commands')
  const files = readdirSync(directory)
  const imported = files.flatMap((file) =>
    [...readFileSync(join(directory, file), 'utf8').matchAll(/(?:from|import\() ?'\.\/([\w-]+\.ts)'/g)].map(
      (m) => m[1],
    ),
  )
  t.same(
    files.filter((file) => file !== 'index.ts' && !imported.includes(file)),
    [],
  )
})

const sources = (t: Test, args: readonly string[]) => ended(start(t, args, {}, [], 'src/cli/main.ts'))

t.test('the bundle and the sources answer alike', async (t) => {
  const asked = [['--help'], ['operation', 'create', '--help'], ['reed'], ['read', '--unknown', '--json'], ['pending']]
  for (const args of asked) {
    const [made, source] = await Promise.all([ended(start(t, args)), sources(t, args)])
    const told = ({ code, stdout, stderr }: Done) => ({ code, stdout, stderr })
    t.same(told(made), told(source), args.join(' '))
    t.not(made.stdout + made.stderr, '')
  }
})

/** The files of dist/ or src/ that a command runs, as Node counts them. */
async function filesRun(t: Test, args: readonly string[], program?: string): Promise<string[]> {
  const NODE_V8_COVERAGE = temporary(t)
  const { code, stderr } = await ended(start(t, args, { NODE_V8_COVERAGE }, [], program))
  t.equal(code, 0, stderr)
  const [report = ''] = filesIn(NODE_V8_COVERAGE)
  const { result } = JSON.parse(readFileSync(report, 'utf8')) as { result: { url: string }[] }
  return result.filter(({ url }) => url.startsWith('file:')).map(({ url }) => fileURLToPath(url))
}

t.test('nothing is loaded that nobody asked for', async (t) => {
  const commandsIn = (files: readonly string[]) => files.filter((file) => file.includes('/src/cli/commands/'))
  t.same(commandsIn(await filesRun(t, ['--version'], 'src/cli/main.ts')), [])
  t.same(commandsIn(await filesRun(t, ['--help'], 'src/cli/main.ts')), [join(repository, 'src/cli/commands/index.ts')])
  const heavy = ['fastify', 'kysely', 'pg', 'typebox', 'ajv', 'nodemailer', '@simplewebauthn']
  const packagesIn = (files: readonly string[]) => {
    const texts = files.map((file) => readFileSync(file, 'utf8'))
    return heavy.filter((name) => texts.some((text) => text.includes(`\n// node_modules/${name}/`)))
  }
  t.same(packagesIn(await filesRun(t, ['--version'])), [])
  t.same(packagesIn(await filesRun(t, ['read', '--help'])), ['typebox', 'ajv'])
  t.same(packagesIn(await filesRun(t, ['serve', '--help'])), heavy, 'the names are those of the bundle')
})

t.test('a service of the bundle finds its pages, and describes the routes of the sources', async (t) => {
  const source = await startServer(t)
  const made = await serverProcess(t, { databaseUrl: source.database.url, keys: source.directory })
  const read = async (base: string, path: string) => {
    const answer = await fetch(`${base}${path}`)
    t.equal(answer.status, 200, `${base}${path}`)
    return answer.text()
  }
  for (const file of ['passkey', 'passkey.js', 'passkey.css', 'docs/static/swagger-ui.css'])
    t.equal(await read(made.url, `/${file}`), await read(source.url, `/${file}`), file)
  const routes = async (base: string) => {
    const { servers: _, info, ...rest } = JSON.parse(await read(base, '/openapi.json')) as Record<string, unknown>
    return { title: (info as { title: string }).title, ...rest }
  }
  t.same(await routes(made.url), await routes(source.url))
})

t.test('the tests know each package of the sources, and run it from one file', async (t) => {
  const pattern = /^(?:import|export)(?! type\b)[^'"]*from '([^.'][^']*)'/gm
  const sources = filesIn(join(repository, 'src')).filter((file) => file.endsWith('.ts'))
  const found = sources.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(pattern)].map(([, name = '']) => name),
  )
  const fromFolder = (name: string) => name.startsWith('node:') || apart.includes(name) || name === 'esbuild'
  t.same([...new Set(found.filter((name) => !fromFolder(name)))].sort(), packages)
  for (const name of packages) t.match(import.meta.resolve(name), /\/\.tap\/packages\//, name)
})

const run = promisify(execFile)

t.test('dist/ is made of the sources that are there, also by two at once', async (t) => {
  const copy = mkdtempSync(join(tmpdir(), 'cordon-made-'))
  t.teardown(() => rmSync(copy, { recursive: true }))
  for (const name of ['src', 'package.json', 'package-lock.json'])
    cpSync(join(repository, name), join(copy, name), { recursive: true })
  const make = () => run(process.execPath, ['src/build.ts'], { cwd: copy })
  await t.rejects(make(), { code: 1, stderr: /esbuild, which makes it, is not installed: run npm ci/ })
  symlinkSync(join(repository, 'node_modules'), join(copy, 'node_modules'))
  const made = () => {
    const files = filesIn(join(copy, 'dist')).filter((file) => !file.includes('/dist/compiled/'))
    return new Map(files.sort().map((file) => [file, createHash('sha256').update(readFileSync(file)).digest('hex')]))
  }
  await Promise.all([make(), make()])
  const byTwo = made()
  rmSync(join(copy, 'dist'), { recursive: true })
  await make()
  t.same(byTwo, made())

  const main = join(copy, 'dist/cli/main.js')
  const before = statSync(main).ino
  await make()
  t.equal(statSync(main).ino, before, 'nothing is made of sources that did not change')
  const index = join(copy, 'src/cli/commands/index.ts')
  writeFileSync(index, readFileSync(index, 'utf8').replace("does: 'Sign in on this device'", "does: 'Changed'"))
  await make()
  t.not(statSync(main).ino, before)
  t.match((await run(process.execPath, [main, '--help'])).stdout, /sign-in +Changed/)
  t.equal(filesIn(join(copy, 'dist/chunks')).length, filesIn(join(dist, 'chunks')).length, 'nothing older is left')

  rmSync(join(copy, 'node_modules'))
  await make()
  t.match(
    (await run(process.execPath, [main, '--help'])).stdout,
    /sign-in +Changed/,
    'it needs no package to be current',
  )
})

t.test('nothing that is made or installed is committed, and no test is in what is made', async (t) => {
  if (!existsSync(join(repository, '.git'))) {
    t.pass('', { skip: 'this is no working copy of git' })
    return
  }
  const { stdout } = await run('git', ['ls-files'], { cwd: repository })
  const files = stdout.trim().split('\n')
  t.ok(files.includes('src/build.ts'))
  t.same(
    files.filter((file) => /^(dist|coverage|\.tap)\/|(^|\/)node_modules\//.test(file)),
    [],
  )
  for (const file of filesIn(join(dist, 'chunks')))
    t.notMatch(readFileSync(file, 'utf8'), /^\/\/ (test|bench|docs)\//m, file)
  t.ok(command.startsWith(dist))
})
