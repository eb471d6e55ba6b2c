import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { base64url, parseCheckpoint } from '../src/protocol/index.ts'
import type { LightClient, PreparedRequest } from './light-client.ts'
import { makeOperation, type BenchOperation } from './operation.ts'
import type { Crowd, SignIns } from './sign-in-crowd.ts'

const crowdSize = 100
const posterCount = 10
const messagesPerSecond = 10
const secondsPerRound = 10
const measuredRounds = 5
/**
 * The number of sign-ins that are prepared for each member and round: preparing them must not slow
 * the measured posts.
 */
const signInsPerMember = 6
const mostTimesSlower = 3

const note = (line: string) => process.stderr.write(`${line}\n`)

/**
 * `npm run bench -- sign-ins`: compares, in one run, how long posts take while a hundred people
 * sign in with how long they take otherwise.
 */
export async function benchSignIns(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'cordon-bench-'))
  const command = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))
  const server = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', command, 'serve', '--json'], {
    env: { ...process.env, DATA_DIRECTORY: directory, PORT: '0', LOG_LEVEL: 'error', TRUSTED_PROXIES: '127.0.0.1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const [line] = (await once(createInterface({ input: server.stdout }), 'line')) as [string]
    const { setUpString } = JSON.parse(line) as { setUpString: string }
    note(`enrolling ${String(crowdSize)} people`)
    report(await measure(await makeOperation(setUpString, crowdSize)))
  } finally {
    server.kill('SIGTERM')
    await once(server, 'exit')
    rmSync(directory, { recursive: true, force: true })
  }
}

interface Measured {
  readonly without: number[]
  readonly during: number[]
  readonly signIns: SignIns
}

async function measure(bench: BenchOperation): Promise<Measured> {
  const { members } = bench
  const without: number[] = []
  const during: number[] = []
  const signIns = { done: 0, refused: 0 }
  note('warming')
  await post(await preparePosts(bench, 2))
  for (let round = 1; round <= measuredRounds; round++) {
    note(`round ${String(round)}: posts alone`)
    without.push(...(await post(await preparePosts(bench, secondsPerRound))))
    const messages = await preparePosts(bench, secondsPerRound)
    const prepared = await Promise.all(
      members.map((member) => Promise.all(Array.from({ length: signInsPerMember }, () => member.prepareSignIn()))),
    )
    note(`round ${String(round)}: posts while ${String(crowdSize)} sign in`)
    const people = prepared.map((each, i) => ({ from: `198.51.100.${String(i + 1)}`, prepared: each }))
    const crowd: Crowd = { url: members[0]?.url ?? '', people }
    const worker = new Worker(new URL('sign-in-crowd.ts', import.meta.url), { workerData: crowd })
    await once(worker, 'message')
    const counted = once(worker, 'message') as Promise<[SignIns]>
    worker.postMessage('begin', [])
    const [times, [{ done, refused }]] = await Promise.all([
      post(messages).finally(() => worker.postMessage('end', [])),
      counted,
    ])
    during.push(...times)
    signIns.done += done
    signIns.refused += refused
  }
  return { without, during, signIns }
}

interface PreparedPost {
  readonly member: LightClient
  readonly request: PreparedRequest
}

async function preparePosts(
  { operation, head, key, members }: BenchOperation,
  forSeconds: number,
): Promise<PreparedPost[]> {
  const count = messagesPerSecond * forSeconds
  const checkpoint = await members[0]?.text(`/v1/logs/${operation}/checkpoint`)
  const { size, root } = parseCheckpoint(`${checkpoint?.split('\n\n')[0] ?? ''}\n`)
  const seen = { size, root: base64url(root) }
  return Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const member = members[i % posterCount]
      if (!member) throw new Error('too few members')
      const { input } = await member.compose(operation, head, key, seen)
      return { member, request: await member.prepare('POST', `/v1/operations/${operation}/messages`, input) }
    }),
  )
}

/**
 * The milliseconds that each post took, from the first byte of the request to the last byte of the
 * answer.
 */
async function post(prepared: readonly PreparedPost[]): Promise<number[]> {
  const began = performance.now()
  return Promise.all(
    prepared.map(async ({ member, request }, i) => {
      await sleep(Math.max(0, (i * 1000) / messagesPerSecond - (performance.now() - began)))
      const sent = performance.now()
      const answer = await member.send(request)
      const text = await answer.text()
      if (!answer.ok) throw new Error(`a post: ${String(answer.status)} ${text}`)
      return performance.now() - sent
    }),
  )
}

function report({ without, during, signIns }: Measured): void {
  const quantile = (times: readonly number[], q: number) =>
    times.toSorted((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * q))] ?? Number.NaN
  const of = (times: readonly number[]) =>
    `p50 ${quantile(times, 0.5).toFixed(1)} ms, p99 ${quantile(times, 0.99).toFixed(1)} ms`
  const ratio = quantile(during, 0.99) / quantile(without, 0.99)
  const perSecondDone = signIns.done / (measuredRounds * secondsPerRound)
  process.stdout.write(
    [
      `posts alone, ${String(messagesPerSecond)}/s                 ${of(without)}`,
      `posts while ${String(crowdSize)} people sign in     ${of(during)}`,
      `signed in                          ${perSecondDone.toFixed(1)}/s, ${String(signIns.refused)} told to come again`,
      `p99 against p99                    ${ratio.toFixed(2)}, ${ratio <= mostTimesSlower ? 'within' : 'BEYOND'} ${String(mostTimesSlower)}`,
      '',
    ].join('\n'),
  )
  if (!(ratio <= mostTimesSlower)) process.exitCode = 1
}
