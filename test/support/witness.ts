import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { openWitness, type LogKey, type RunningWitness, type WitnessOptions } from '../../src/log/index.ts'
import {
  hex,
  parseNoteKey,
  parseWitnessPolicy,
  sha256,
  utf8,
  type NoteKey,
  type WitnessPolicy,
} from '../../src/protocol/index.ts'

interface Owner {
  teardown(clean: () => Promise<unknown>): void
}

export interface TestWitness extends RunningWitness {
  readonly url: string
  readonly directory: string
  readonly keys: readonly NoteKey[]
}

export interface TestWitnessOptions extends Partial<Omit<WitnessOptions, 'hosts'>> {
  readonly name?: string
  readonly host: string
  readonly key: Pick<LogKey, 'publicKeys'>
  readonly port?: number
  readonly logTo?: Writable
}

export function temporaryDirectory(owner: Owner): string {
  const directory = mkdtempSync(join(tmpdir(), 'cordon-witness-'))
  owner.teardown(async () => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** A witness of the logs of one host, listening on the loopback; closed when the test ends. */
export async function startWitness(owner: Owner, options: TestWitnessOptions): Promise<TestWitness> {
  const { host, key, port = 0, ...rest } = options
  const directory = rest.directory ?? temporaryDirectory(owner)
  const witness = await openWitness({
    name: 'witness.example',
    clock: () => new Date(),
    logLevel: 'silent',
    rate: { perSecond: 100_000, burst: 100_000 },
    ...rest,
    directory,
    hosts: new Map([[host, key.publicKeys]]),
  })
  let closed: Promise<void> | undefined
  const close = () => (closed ??= witness.close())
  owner.teardown(close)
  const url = await witness.listen({ host: '127.0.0.1', port })
  return { ...witness, close, url, directory, keys: await Promise.all(witness.verifierKeys.map(parseNoteKey)) }
}

export interface Said {
  readonly status: number
  readonly type: string | null
  readonly text: string
}

/** Sends bytes to add-checkpoint as they are. */
export async function send(url: string, body: string | Uint8Array, init: RequestInit = {}): Promise<Said> {
  const response = await fetch(`${url}/add-checkpoint`, { method: 'POST', body: body as string, ...init })
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
}

export const submission = (old: number | string, proof: readonly string[], note: string) =>
  [`old ${old}`, ...proof, '', note].join('\n')

export const hashOf = async (origin: string) => hex(await sha256(utf8(origin)))

/** What a witness serves of a log. */
export async function heldBy(url: string, origin: string): Promise<Said> {
  const response = await fetch(`${url}/${await hashOf(origin)}/checkpoint`)
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
}

/** The lines of tlog-policy for these witnesses, as an operator writes them. */
export function policyText(
  witnesses: readonly Pick<TestWitness, 'name' | 'url' | 'verifierKeys'>[],
  quorum: number,
): string {
  const groups = witnesses.map(({ name }) => `${name}/both`)
  return [
    ...witnesses.flatMap(({ name, url, verifierKeys: [ed25519, mlDsa44] }) => [
      `witness ${name}/ed25519 ${ed25519} ${url}`,
      `witness ${name}/ml-dsa-44 ${mlDsa44} ${url}`,
      `group ${name}/both all ${name}/ed25519 ${name}/ml-dsa-44`,
    ]),
    `group enough ${quorum} ${groups.join(' ')}`,
    'quorum enough',
    '',
  ].join('\n')
}

export function policyOf(witnesses: readonly TestWitness[], quorum: number): Promise<WitnessPolicy> {
  return parseWitnessPolicy(policyText(witnesses, quorum))
}
