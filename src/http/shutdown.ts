import type { Server } from 'node:http'
import type { Socket } from 'node:net'

interface Closable {
  readonly server: Server
  close(): PromiseLike<unknown>
}

/** After this time connections that are still open when the server closes are cut off. */
const cutOffAfterMs = 5_000

/**
 * Prepares `app` to close together with all its connections; answers the function that closes it.
 * Call it when the app is built. Fastify alone waits for each connection without end, and clients
 * do not end two kinds of them: connections whose request was under way when closing began, and
 * connections that ask for the live channel meanwhile, which Fastify answers with 503 and keeps.
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
