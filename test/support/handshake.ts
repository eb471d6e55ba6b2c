import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { TestServer } from './server.ts'

/**
 * One attempt to open the live channel by hand, and its status: a browser's WebSocket asks again
 * after a 401.
 */
export async function handshake(server: Pick<TestServer, 'url'>, ticket: string, origin?: string): Promise<number> {
  const { hostname, port } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  const from = origin === undefined ? '' : `Origin: ${origin}\r\n`
  socket.write(
    `GET /v1/live HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n` +
      `${from}Sec-WebSocket-Protocol: cordon.v1, ticket.${ticket}\r\n\r\n`,
  )
  const [data] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return Number(data.toString('utf8').split(' ')[1])
}
