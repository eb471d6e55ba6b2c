import { once } from 'node:events'
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { WebSocket, WebSocketServer } from 'ws'

const rowBytes = 4_000

/**
 * Measures the rows per second that this Postgres commits: with one row and with many rows in a
 * transaction, over so many connections.
 */
export async function insertLimits(superUrl: string): Promise<{ single: number; batched: number }> {
  const pool = new pg.Pool({ connectionString: superUrl, max: 10 })
  try {
    await pool.query(
      'CREATE TABLE bench_row (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, content text NOT NULL)',
    )
    const content = 'x'.repeat(rowBytes)
    const single = await rate(2_000, async (count) => {
      const each = async () => {
        for (let i = 0; i < count / 10; i++) await pool.query('INSERT INTO bench_row (content) VALUES ($1)', [content])
      }
      await Promise.all(Array.from({ length: 10 }, each))
    })
    const batch = 256
    const values = Array.from({ length: batch }, (_, i) => `($${String(i + 1)})`).join(',')
    const batched = await rate(batch * 40, async (count) => {
      for (let i = 0; i < count / batch; i++) {
        await pool.query(`INSERT INTO bench_row (content) VALUES ${values}`, Array<string>(batch).fill(content))
      }
    })
    return { single, batched }
  } finally {
    await pool.query('DROP TABLE IF EXISTS bench_row')
    await pool.end()
  }
}

async function rate(count: number, work: (count: number) => Promise<void>): Promise<number> {
  await work(Math.ceil(count / 10))
  const began = performance.now()
  await work(count)
  return (count / (performance.now() - began)) * 1000
}

/**
 * Measures the frames per second that a bare `ws` server in a process of its own sends to so many
 * readers.
 */
export async function fanOutLimit(readers: number, frames: number, bytes: number): Promise<number> {
  const child = fork(fileURLToPath(import.meta.url), ['fan-out', String(readers), String(frames), String(bytes)])
  try {
    const [port] = (await once(child, 'message')) as [number]
    let received = 0
    const all = Promise.withResolvers<void>()
    const sockets = Array.from({ length: readers }, () => {
      const socket = new WebSocket(`ws://127.0.0.1:${String(port)}`, { perMessageDeflate: false })
      socket.on('message', () => {
        if (++received === readers * frames) all.resolve()
      })
      return socket
    })
    await Promise.all(sockets.map((socket) => once(socket, 'open')))
    const began = performance.now()
    child.send('go')
    await all.promise
    const seconds = (performance.now() - began) / 1000
    for (const socket of sockets) socket.terminate()
    return (readers * frames) / seconds
  } finally {
    child.kill()
  }
}

function serveFanOut(frames: number, bytes: number): void {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
  server.on('listening', () => process.send?.((server.address() as { port: number }).port))
  const text = 'x'.repeat(bytes)
  process.on('message', () => {
    let sent = 0
    const more = () => {
      for (let i = 0; i < 20 && sent < frames; i++, sent++) for (const socket of server.clients) socket.send(text)
      if (sent < frames) setImmediate(more)
    }
    more()
  })
}

if (process.argv[2] === 'fan-out') serveFanOut(Number(process.argv[4]), Number(process.argv[5]))
