import type { Server } from 'node:http'
import type { Socket } from 'node:net'

interface Closable {
  readonly server: Server
  close(): PromiseLike<unknown>
}

/** Milliseconds after which connections that are still open when the server closes are cut off. */
const cutOffAfterMs = 5_000

/**
 * Ends `app` with everything that is connected to it: call it when the app is built, and the answer
 * to close. Fastify alone waits for each connection for good, and there are some that nobody ends:
 * those whose request was under way when closing began, and those that ask for the live channel
 * meanwhile, which it answers with 503 and keeps.
 */
export function closesWhole(app: Closable): () => Promise<void> {
  const connections = new Set<Socket>()
  let closing = false
  app.server.on('connection', (socket: Socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  })
  app.server.prependListener('upgrade', (_request, socket) => {
    if (closing) socket.destroy()
  })
  return async () => {
    closing = true
    const sweeping = setInterval(() => app.server.closeIdleConnections(), 100)
    const cutting = setTimeout(() => {
      for (const socket of connections) socket.destroy()
    }, cutOffAfterMs)
    try {
      await app.close()
    } finally {
      clearInterval(sweeping)
      clearTimeout(cutting)
    }
  }
}
