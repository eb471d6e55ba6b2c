import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'

interface Owner {
  teardown(clean: () => Promise<unknown>): void
}

export type Json = Record<string, unknown>

/** The interpreter of an environment with a program's packages, or why there is none. */
export type Python = { readonly python: string } | { readonly missing: string }

const run = (command: string, args: readonly string[], seconds: number) =>
  spawnSync(command, args, { encoding: 'utf8', timeout: seconds * 1000 })

const newEnough = 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'
const quietly = [
  '--quiet',
  '--no-color',
  '--no-input',
  '--disable-pip-version-check',
  '--retries',
  '1',
  '--timeout',
  '15',
]

/**
 * Makes it once, in a place of its own that is then renamed, and keeps it between runs until the
 * requirements change.
 */
export function pythonWith(requirements: string): Python {
  const system = ['python3', 'python3.13', 'python3.12', 'python3.11'].find(
    (name) => run(name, ['-c', newEnough], 30).status === 0,
  )
  if (system === undefined) return { missing: 'Python 3.11 with venv is not installed' }
  const wanted = readFileSync(requirements, 'utf8')
  const { stdout: version } = run(system, ['--version'], 30)
  const name = createHash('sha256').update(version).update(wanted).digest('hex').slice(0, 12)
  const environment = resolve('.tap', `python-${name}`)
  const python = join(environment, 'bin/python')
  if (existsSync(environment)) return { python }
  const making = `${environment}.${process.pid}`
  const steps = [
    { command: system, args: ['-m', 'venv', making], seconds: 60 },
    {
      command: join(making, 'bin/python'),
      args: ['-m', 'pip', 'install', ...quietly, '-r', requirements],
      seconds: 150,
    },
  ]
  for (const { command, args, seconds } of steps) {
    const { status, stderr, error } = run(command, args, seconds)
    if (status === 0) continue
    rmSync(making, { recursive: true, force: true })
    const why = error?.message ?? stderr.split('\n').findLast((line) => line.startsWith('ERROR')) ?? stderr.trim()
    return { missing: `the packages of ${relative('.', requirements)} cannot be installed: ${why}` }
  }
  try {
    renameSync(making, environment)
  } catch (error) {
    // Another test file was faster.
    rmSync(making, { recursive: true, force: true })
    if (!existsSync(environment)) throw error
  }
  return { python }
}

export interface Place {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
}

const spawnPython = (python: string, args: readonly string[], { cwd, env }: Place) =>
  spawn(python, args, {
    cwd,
    env: { PATH: process.env['PATH'], LANG: 'C.UTF-8', PYTHONPATH: cwd, PYTHONDONTWRITEBYTECODE: '1', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** What it printed, a JSON document a line. */
  readonly lines: readonly Json[]
}

/** Runs a program to its end. */
export async function runPython(python: string, args: readonly string[], place: Place): Promise<Ran> {
  const child = spawnPython(python, args, place)
  child.stdin.end()
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  const json = stdout.split('\n').filter((line) => line.startsWith('{'))
  return { code: child.exitCode, stdout, stderr, lines: json.map((line) => JSON.parse(line) as Json) }
}

/** A program that answers each line with a line. */
export function conversePython(owner: Owner, python: string, args: readonly string[], place: Place) {
  const child = spawnPython(python, args, place)
  const ended = once(child, 'close')
  const said = text(child.stderr)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  owner.teardown(async () => {
    child.stdin.end()
    await ended
  })
  return async (asked: Json): Promise<Json> => {
    child.stdin.write(`${JSON.stringify(asked)}\n`)
    const answer = await lines.next()
    if (answer.done === true) throw new Error(`the program ended: ${await said}`)
    return JSON.parse(answer.value) as Json
  }
}
