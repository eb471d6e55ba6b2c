import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

const shortestPauseMs = 50
const longestPauseMs = 5_000
const heartbeatEveryMs = 15_000

export interface Listener {
  /** Resolves once the first LISTEN is in force. */
  readonly ready: Promise<void>
  close(): Promise<void>
}

/**
 * LISTENs on a channel until it is closed. Replaces a connection that breaks, with growing pauses.
 * Calls `onConnected` after each LISTEN that is in force, the first included: the listener has to
 * read again, because it missed every earlier notification. Calls `onError` with the reason why a
 * connection could not be had. `sender` is the backend process of the connection that notified.
 */
export function listen(
  connectionString: string,
  channel: string,
  onMessage: (payload: string, sender: number) => void,
  onConnected: () => void,
  onError: (error: unknown) => void,
): Listener {
  const started = Promise.withResolvers<void>()
  const ending = new AbortController()
  let client: pg.Client | undefined

  const once = async (): Promise<void> => {
    const current = newClient(connectionString, 'cordon listen')
    const broken = new Promise<void>((resolve) => current.once('end', resolve).once('error', () => resolve()))
    current.on('notification', ({ payload = '', processId }) => onMessage(payload, processId))
    try {
      await current.connect()
      await current.query(`LISTEN ${pg.escapeIdentifier(channel)}`)
      client = current
      if (ending.signal.aborted) return
      started.resolve()
      onConnected()
      await Promise.race([broken, heartbeats(current, ending.signal)])
    } finally {
      client = undefined
      void current.end().catch(() => {})
    }
  }

  const running = (async () => {
    let pauseMs = shortestPauseMs
    while (!ending.signal.aborted) {
      const began = performance.now()
      await once().catch((error: unknown) => {
        if (!ending.signal.aborted) onError(error)
      })
      if (performance.now() - began > longestPauseMs) pauseMs = shortestPauseMs
      await sleep(pauseMs, undefined, { signal: ending.signal }).catch(() => {})
      pauseMs = Math.min(pauseMs * 2, longestPauseMs)
    }
    started.resolve()
  })()

  return {
    ready: started.promise,
    close: async () => {
      ending.abort()
      await client?.end().catch(() => {})
      await running
    },
  }
}

// A peer that vanished without a word is noticed by a query that it does not answer.
async function heartbeats(client: pg.Client, ending: AbortSignal): Promise<void> {
  while (!ending.aborted) {
    try {
      await sleep(heartbeatEveryMs, undefined, { signal: ending, ref: false })
    } catch {
      return
    }
    await client.query('SELECT 1')
  }
}

function newClient(connectionString: string, name: string): pg.Client {
  const client = new pg.Client({
    connectionString,
    application_name: name,
    keepAlive: true,
    connectionTimeoutMillis: 5_000,
    query_timeout: heartbeatEveryMs,
  })
  // Without a listener an error of an idle connection ends the process.
  client.on('error', () => {})
  return client
}

export interface Notifier {
  /** Says that a log has grown; returns at once. */
  notify(logId: string): void
  /** Whether this notifier sent a notification, which its own server then knows already. */
  isSender(backend: number): boolean
  close(): Promise<void>
}

// A payload holds less than 8,000 bytes; an id and its comma hold 37.
const mostIdsPerPayload = 200

/**
 * Tells other servers which logs have grown: at most one NOTIFY per `everyMs` milliseconds, on a
 * connection of its own, because a NOTIFY inside the writing transactions makes them wait for each
 * other. The payload is the ids, comma-separated. Keeps the ids while the database is away; a hint
 * that is lost costs latency, never an entry.
 */
export function createNotifier(connectionString: string, channel: string, options: { everyMs: number }): Notifier {
  const pending = new Set<string>()
  const ending = new AbortController()
  let client: pg.Client | undefined
  let working: Promise<void> | undefined

  const connected = async (): Promise<pg.Client> => {
    if (client !== undefined) return client
    const fresh = newClient(connectionString, 'cordon notify')
    fresh.once('end', () => {
      if (client === fresh) client = undefined
    })
    await fresh.connect()
    return (client = fresh)
  }

  const flush = async (): Promise<void> => {
    for (let pauseMs = options.everyMs; pending.size > 0;) {
      await sleep(pauseMs, undefined, { signal: ending.signal }).catch(() => {})
      const ids = [...pending].slice(0, mostIdsPerPayload)
      for (const id of ids) pending.delete(id)
      try {
        await (await connected()).query('SELECT pg_notify($1, $2)', [channel, ids.join(',')])
        pauseMs = options.everyMs
      } catch {
        void client?.end().catch(() => {})
        client = undefined
        if (ending.signal.aborted) return
        for (const id of ids) pending.add(id)
        pauseMs = Math.min(Math.max(pauseMs * 2, shortestPauseMs), longestPauseMs)
      }
    }
  }

  const work = (): void => {
    working ??= flush().finally(() => {
      working = undefined
      if (pending.size > 0 && !ending.signal.aborted) work()
    })
  }

  return {
    notify(logId) {
      if (ending.signal.aborted) return
      pending.add(logId)
      work()
    },
    isSender: (backend) => backend === backendOf(client),
    async close() {
      ending.abort()
      await working
      await client?.end().catch(() => {})
    },
  }
}

/**
 * Answers the id of the backend process that serves a connection (`BackendKeyData`), which pg keeps
 * and does not declare; undefined before the connection has it.
 */
function backendOf(client: pg.Client | undefined): number | undefined {
  return (client as { processID?: number } | undefined)?.processID
}

/** Answers the ids in a payload of a notifier. */
export function notifiedLogs(payload: string): string[] {
  return payload.split(',').filter((id) => id !== '')
}
