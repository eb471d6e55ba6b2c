import { createServer, request, type IncomingMessage } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { WebSocket, WebSocketServer } from 'ws'
import type { Frame } from './altered.ts'
import type { Json } from './python.ts'

interface Owner {
  teardown(clean: () => Promise<unknown>): void
}

/**
 * Stands between a service and programs that are not ours, and alters what the service says to
 * those whose User-Agent matches. Nothing is altered until a test says so.
 */
export class Between {
  readonly url: string
  /** The address of the service. */
  target = ''
  /** Another frame, or none, instead of one that the service pushes. */
  frame: (frame: Frame) => Frame | undefined = (frame) => frame
  /** Another answer instead of the service's; where it throws, the answer is lost. */
  answer: (path: string, answer: Json) => Json = (_, answer) => answer

  constructor(url: string) {
    this.url = url
  }

  /** From here on nothing is altered. */
  reset(): void {
    this.frame = (frame) => frame
    this.answer = (_, answer) => answer
  }
}

export async function standBetween(owner: Owner, userAgent: RegExp): Promise<Between> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const between = new Between(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const concerns = ({ headers }: IncomingMessage) => userAgent.test(headers['user-agent'] ?? '')
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'cordon.v1' })

  server.on('request', (asked, reply) => {
    const { method, headers, url = '/' } = asked
    const onward = request(between.target + url, { method, headers }, (came) => {
      buffer(came)
        .then((body) => {
          const status = came.statusCode ?? 500
          const alters = concerns(asked) && status < 400 && came.headers['content-type']?.includes('json') === true
          const path = url.split('?')[0] ?? ''
          const text = alters ? JSON.stringify(between.answer(path, JSON.parse(body.toString()) as Json)) : body
          const { 'content-length': _, 'transfer-encoding': __, ...kept } = came.headers
          reply.writeHead(status, { ...kept, 'content-length': Buffer.byteLength(text) }).end(text)
        })
        .catch(() => reply.destroy())
    })
    onward.on('error', () => reply.destroy())
    asked.pipe(onward)
  })

  server.on('upgrade', (asked: IncomingMessage, socket: Duplex, head: Buffer) => {
    const protocols = (asked.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim())
    const inner = new WebSocket(between.target.replace('http', 'ws') + (asked.url ?? ''), protocols)
    inner.once('error', () => socket.destroy())
    inner.once('open', () => {
      // What comes before the other side is open waits for it.
      inner.pause()
      sockets.handleUpgrade(asked, socket, head, (outer) => {
        inner.on('message', (data: Buffer) => {
          const frame = JSON.parse(data.toString()) as Frame
          const said = concerns(asked) ? between.frame(frame) : frame
          if (said) outer.send(JSON.stringify(said))
        })
        outer.on('message', (data: Buffer) => inner.send(data.toString()))
        inner.on('close', (code, reason) =>
          outer.close(code < 1000 || [1005, 1006].includes(code) ? 1011 : code, reason),
        )
        outer.on('close', () => inner.close())
        outer.on('error', () => inner.terminate())
        inner.resume()
      })
    })
  })

  owner.teardown(async () => {
    for (const client of sockets.clients) client.terminate()
    server.closeAllConnections()
    server.close()
  })
  return between
}
