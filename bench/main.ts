import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { WebSocket } from 'ws'
import { migrate, startEmbedded } from '../src/db/index.ts'
import { base64url, parseCheckpoint } from '../src/protocol/index.ts'
import { makeOperation, type BenchOperation } from './operation.ts'
import { benchQueries } from './queries.ts'
import { fanOutLimit, insertLimits } from './raw-limits.ts'
import { benchSignIns } from './sign-ins.ts'

const memberCount = 150
const posterCount = 20
const unpacedMessages = 4_000
const pacedPerSecond = 20
const pacedSeconds = 10
const mostUnansweredPerPoster = 64

interface Reader {
  socket: WebSocket
  messages: number
}

/**
 * Measures messages through one operation of 150 members, and in the same run the limits of this
 * database and of a bare `ws`.
 */
async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'cordon-bench-'))
  const database = await startEmbedded({ directory: join(directory, 'postgres'), log: note })
  const command = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))
  try {
    await migrate(database.superUrl)
    note('raw limits of the database')
    const inserts = await insertLimits(database.superUrl)
    const server = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', command, 'serve', '--json'], {
      env: { ...process.env, DATA_DIRECTORY: directory, DATABASE_URL: database.appUrl, PORT: '0', LOG_LEVEL: 'error' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      const [line] = (await once(createInterface({ input: server.stdout }), 'line')) as [string]
      const { setUpString } = JSON.parse(line) as { setUpString: string }
      note(`enrolling ${String(memberCount)} members`)
      const operation = await makeOperation(setUpString, memberCount)
      const result = await measure(operation)
      note('raw limit of ws')
      const fanOut = await fanOutLimit(memberCount, 1_000, result.frameBytes)
      report({ ...result, inserts, fanOut })
    } finally {
      server.kill('SIGTERM')
      await once(server, 'exit')
    }
  } finally {
    await database.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

const note = (line: string) => process.stderr.write(`${line}\n`)

interface Measured {
  accepted: number
  deliveries: number
  p50: number
  p99: number
  frameBytes: number
}

async function measure({ operation, head, key, members }: BenchOperation): Promise<Measured> {
  let checkpoint = ''
  let frameBytes = 0
  let acceptedCount = 0
  let deliveries = 0
  const waiting = new Map<number, () => void>()
  const lastReader = new Map<number, number>()
  const readers: Reader[] = []
  let caughtUp = 0
  for (const member of members) {
    const reader = { messages: 0 } as Reader
    reader.socket = await member.live((text) => {
      if (text.startsWith('{"type":"entry"') && text.includes('"body":')) {
        frameBytes = text.length
        deliveries++
        reader.messages++
        const number = reader.messages
        const seen = (lastReader.get(number) ?? 0) + 1
        lastReader.set(number, seen)
        if (seen === members.length) waiting.get(number)?.()
      } else if (text.startsWith('{"type":"accepted"')) acceptedCount++
      else if (text.startsWith('{"type":"refused"')) throw new Error(text)
      else if (text.startsWith('{"type":"caught-up"')) {
        checkpoint = (JSON.parse(text) as { checkpoint: string }).checkpoint
        caughtUp++
      }
    })
    reader.socket.send(JSON.stringify({ type: 'subscribe', operation, after: -1 }))
    readers.push(reader)
  }
  while (caughtUp < members.length) await sleep(20)
  const { size, root } = parseCheckpoint(`${checkpoint.split('\n\n')[0] ?? ''}\n`)
  const seen = { size, root: base64url(root) }
  const compose = (count: number) =>
    Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const poster = i % posterCount
        const member = members[poster]
        if (!member) throw new Error('too few members')
        return { poster, ...(await member.compose(operation, head, key, seen)) }
      }),
    )
  const send = (poster: number, input: object) =>
    readers[poster]?.socket.send(JSON.stringify({ type: 'post', ...input }))

  note(`paced: ${String(pacedPerSecond)} messages/s for ${String(pacedSeconds)} s`)
  const paced = await compose(pacedPerSecond * pacedSeconds)
  const latencies: number[] = []
  const began = performance.now()
  const delivered = paced.map(async ({ poster, input }, i) => {
    await sleep((i * 1000) / pacedPerSecond - (performance.now() - began))
    const sent = performance.now()
    const all = new Promise<void>((resolve) => waiting.set(i + 1, resolve))
    send(poster, input)
    await all
    latencies.push(performance.now() - sent)
  })
  await Promise.all(delivered)
  latencies.sort((a, b) => a - b)
  const quantile = (q: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * q))] ?? Number.NaN

  note(`unpaced: ${String(unpacedMessages)} messages from ${String(posterCount)} members`)
  const messages = await compose(unpacedMessages)
  const before = { accepted: acceptedCount, deliveries }
  const start = performance.now()
  let sent = 0
  while (acceptedCount - before.accepted < unpacedMessages) {
    while (sent < unpacedMessages && sent - (acceptedCount - before.accepted) < mostUnansweredPerPoster * posterCount) {
      const message = messages[sent++]
      if (message) send(message.poster, message.input)
    }
    await sleep(1)
  }
  const acceptedSeconds = (performance.now() - start) / 1000
  while (deliveries - before.deliveries < unpacedMessages * members.length) await sleep(5)
  const deliveredSeconds = (performance.now() - start) / 1000
  for (const { socket } of readers) socket.terminate()
  return {
    accepted: unpacedMessages / acceptedSeconds,
    deliveries: (unpacedMessages * members.length) / deliveredSeconds,
    p50: quantile(0.5),
    p99: quantile(0.99),
    frameBytes,
  }
}

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, Math.max(0, milliseconds)))

function report(result: Measured & { inserts: { single: number; batched: number }; fanOut: number }): void {
  const { accepted, deliveries, p50, p99, inserts, fanOut, frameBytes } = result
  const number = (value: number) => Math.round(value).toLocaleString('en')
  const ratio = (a: number, b: number) => (a / b).toFixed(2)
  process.stdout.write(
    [
      `one operation of ${String(memberCount)} members, frames of ${number(frameBytes)} bytes`,
      `accepted      ${number(accepted)} messages/s   ${ratio(accepted, inserts.single)} of single-row inserts (${number(inserts.single)}/s), ${ratio(accepted, inserts.batched)} of batched inserts (${number(inserts.batched)}/s)`,
      `delivered     ${number(deliveries)} messages/s   ${ratio(deliveries, fanOut)} of a bare ws fan-out (${number(fanOut)}/s)`,
      `post → last of ${String(memberCount)} readers at ${String(pacedPerSecond)} messages/s   p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`,
      '',
    ].join('\n'),
  )
}

const [which, size] = process.argv.slice(2)
if (which === 'queries') await benchQueries(size === undefined ? undefined : Number(size))
else if (which === 'sign-ins') await benchSignIns()
else await main()
