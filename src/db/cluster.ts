import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { Problem } from '../errors.ts'
import { plainEnvironment, type PostgresAccount } from './account.ts'
import type { Binaries } from './binaries.ts'

export const SUPERUSER = 'postgres'

/** The paths in which an embedded database keeps its files. */
export interface Layout {
  readonly directory: string
  readonly cluster: string
  readonly socket: string
  readonly lock: string
  readonly log: string
}

export function layoutOf(directory: string): Layout {
  return {
    directory,
    cluster: join(directory, 'cluster'),
    socket: join(directory, 'socket'),
    lock: join(directory, 'launcher.pid'),
    log: join(directory, 'postgres.log'),
  }
}

/**
 * Answers the password of a role. The password is made on first use and kept beside the database,
 * readable by its owner alone.
 */
export async function passwordOf(layout: Layout, role: string): Promise<string> {
  const file = join(layout.directory, `${role}.password`)
  if (!existsSync(file)) {
    const partial = `${file}.${process.pid}`
    await writeFile(partial, randomBytes(24).toString('base64url'), { mode: 0o600 })
    await rename(partial, file)
  }
  return (await readFile(file, 'utf8')).trim()
}

/**
 * Makes the directories and, the first time, the database files. An initdb that was interrupted
 * leaves nothing behind that counts.
 */
export async function prepareCluster(layout: Layout, binaries: Binaries, account: PostgresAccount): Promise<void> {
  await mkdir(layout.socket, { recursive: true, mode: 0o700 })
  await give(account, layout.directory, layout.socket)
  const passwordFile = join(layout.directory, `${SUPERUSER}.password`)
  await passwordOf(layout, SUPERUSER)
  await give(account, passwordFile)
  if (existsSync(join(layout.cluster, 'PG_VERSION'))) return requireSameMajor(layout, binaries)
  const partial = `${layout.cluster}.new`
  await rm(partial, { recursive: true, force: true })
  await run(account, binaries.initdb, [
    '--auth=scram-sha-256',
    '--data-checksums',
    '--encoding=UTF8',
    '--no-locale',
    `--username=${SUPERUSER}`,
    `--pwfile=${passwordFile}`,
    `--pgdata=${partial}`,
  ])
  await rename(partial, layout.cluster)
}

async function requireSameMajor(layout: Layout, binaries: Binaries): Promise<void> {
  const files = (await readFile(join(layout.cluster, 'PG_VERSION'), 'utf8')).trim()
  const program = (await output(binaries.postgres, ['--version'])).match(/(\d+)/)?.[1] ?? ''
  if (files === program) return
  throw new Problem('EMBEDDED_DATABASE', {
    detail: `the files in ${layout.cluster} are of Postgres ${files}, the program is Postgres ${program}; docs/runbook.md says how to move them`,
  })
}

async function give(account: PostgresAccount, ...paths: string[]): Promise<void> {
  if (account.uid === undefined) return
  for (const path of paths) await chown(path, account.uid, account.uid)
}

async function output(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { env: plainEnvironment, stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = new Promise((resolve) => child.once('close', resolve))
  let text = ''
  for await (const chunk of child.stdout) text += String(chunk)
  await ended
  return text
}

async function run(account: PostgresAccount, program: string, args: readonly string[]): Promise<void> {
  const [command = program, ...rest] = [...account.prefix, program, ...args]
  const child = spawn(command, rest, {
    env: plainEnvironment,
    cwd: '/',
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(account.uid === undefined ? {} : { uid: account.uid, gid: account.uid }),
  })
  let complaint = ''
  child.stderr.on('data', (chunk) => (complaint += String(chunk)))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code === 0) return
  throw new Problem('EMBEDDED_DATABASE', {
    detail: `initdb failed as ${account.description}: ${complaint.trim().split('\n').slice(-4).join(' ')}`,
  })
}

/**
 * Makes, as far as they are missing, the two roles that connect, the role that keeps what is never
 * changed, and the database. cordon_owner may create roles, because the first migration makes the
 * roles that do not connect. cordon_owner does not make cordon_keeper, or it could become it.
 */
export async function prepareRoles(superUrl: string, passwords: { owner: string; app: string }): Promise<void> {
  const client = new pg.Client({ connectionString: superUrl })
  await client.connect()
  try {
    const { rows } = await client.query<{ name: string }>(
      `SELECT rolname AS name FROM pg_roles WHERE rolname IN ('cordon_owner', 'cordon_app', 'cordon_keeper')
       UNION ALL SELECT 'database' FROM pg_database WHERE datname = 'cordon'`,
    )
    const present = new Set(rows.map((row) => row.name))
    const limits = 'NOSUPERUSER NOCREATEDB NOREPLICATION NOBYPASSRLS'
    if (!present.has('cordon_owner')) {
      await client.query(`CREATE ROLE cordon_owner LOGIN CREATEROLE ${limits} PASSWORD '${passwords.owner}'`)
    }
    if (!present.has('cordon_app')) {
      await client.query(`CREATE ROLE cordon_app LOGIN NOCREATEROLE ${limits} PASSWORD '${passwords.app}'`)
    }
    if (!present.has('cordon_keeper')) await client.query(`CREATE ROLE cordon_keeper NOLOGIN NOCREATEROLE ${limits}`)
    if (!present.has('database')) await client.query('CREATE DATABASE cordon OWNER cordon_owner')
  } finally {
    await client.end()
  }
}
