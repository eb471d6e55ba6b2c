import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { apart, repository, requireInModules } from '../../src/build.ts'

// Loaded before each test. It gives the packages that the sources import as one file each: a test
// with a server otherwise reads 1,600 files of packages before its first assertion. The sources,
// and patched copies of them, run as they are.

/**
 * Every package that the sources import, as they name it, but for those that stay in their folder.
 */
export const packages = [
  '@fastify/helmet',
  '@fastify/swagger',
  '@fastify/under-pressure',
  '@fastify/websocket',
  '@simplewebauthn/server',
  '@zxcvbn-ts/language-common',
  'ajv-formats',
  'ajv/dist/2020.js',
  'cli-progress',
  'commander',
  'fast-json-stringify',
  'fastest-levenshtein',
  'fastify',
  'fflate',
  'hpke',
  'jose',
  'kysely',
  'kysely/migration',
  'nodemailer/lib/mail-composer',
  'nodemailer/lib/smtp-connection',
  'otpauth',
  'pg',
  'pg-copy-streams',
  'pino',
  'qrcode',
  'read-excel-file/universal',
  'string-width',
  'typebox',
  'typebox/compile',
  'uuid',
]

const made = await makePackages()
const places = new Map(packages.map((name) => [name, pathToFileURL(join(made, fileOf(name))).href]))

registerHooks({
  resolve(specifier, context, next) {
    // A package finds its own packages by itself.
    const place = context.parentURL?.includes('/node_modules/') === true ? undefined : places.get(specifier)
    return place === undefined ? next(specifier, context) : { url: place, format: 'module', shortCircuit: true }
  },
})

function fileOf(specifier: string): string {
  return `${specifier.replaceAll('/', '+')}.js`
}

/** Makes them unless they were made of these very packages; answers the directory. */
async function makePackages(): Promise<string> {
  const digest = createHash('sha256').update(readFileSync(join(repository, 'package-lock.json')))
  const key = digest.update(packages.join()).digest('hex').slice(0, 16)
  const directory = join(repository, '.tap/packages', key)
  if (existsSync(directory)) return directory
  const { build } = await import('esbuild')
  const next = `${directory}.${String(process.pid)}`
  const entries = join(next, 'entries')
  mkdirSync(entries, { recursive: true })
  for (const name of packages) {
    // Of an older package Node alone knows what it exports: it reads the names out of the text.
    const exported = Object.keys((await import(name)) as object).filter((word) => word !== 'module.exports')
    writeFileSync(join(entries, fileOf(name)), `export { ${exported.join(', ')} } from ${JSON.stringify(name)}\n`)
  }
  await build({
    entryPoints: packages.map((name) => join(entries, fileOf(name))),
    outdir: next,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    external: [...apart],
    banner: { js: requireInModules },
    logLevel: 'warning',
  })
  try {
    renameSync(next, directory)
  } catch (error) {
    // Another test made them meanwhile.
    if (!existsSync(directory)) throw error
    rmSync(next, { recursive: true })
  }
  return directory
}
