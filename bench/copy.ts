import { once } from 'node:events'
import type { Socket } from 'node:net'
import type pg from 'pg'

interface Wire {
  readonly stream: Socket
  query(text: string): void
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
  sendCopyFail(reason: string): void
}

/**
 * Copies lines of text (COPY … FROM STDIN) into a table. Resolves once Postgres has all of them.
 */
export function copyInto(client: pg.Client, target: string, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return Promise.resolve()
  const done = Promise.withResolvers<void>()
  let failure: Error | undefined
  const send = async (wire: Wire) => {
    for (let first = 0; first < lines.length; first += 500) {
      wire.sendCopyFromChunk(Buffer.from(lines.slice(first, first + 500).join('')))
      if (wire.stream.writableNeedDrain) await once(wire.stream, 'drain')
    }
    wire.endCopyFrom()
  }
  const query = {
    submit: (wire: Wire) => wire.query(`COPY ${target} FROM STDIN`),
    handleCopyInResponse: (wire: Wire) => void send(wire).catch((error: unknown) => wire.sendCopyFail(String(error))),
    handleCommandComplete: () => {},
    handleError: (error: Error) => (failure = error),
    handleReadyForQuery: () => (failure === undefined ? done.resolve() : done.reject(failure)),
  }
  client.query(query as unknown as pg.Submittable)
  return done.promise
}

/** Formats a line of the text format of COPY. */
export function copyLine(values: readonly (string | number | null)[]): string {
  return `${values.map((value) => (value === null ? '\\N' : typeof value === 'number' ? String(value) : escaped(value))).join('\t')}\n`
}

export function bytea(bytes: Uint8Array): string {
  return `\\x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`
}

function escaped(text: string): string {
  return /[\\\t\n\r]/.test(text)
    ? text.replace(/[\\\t\n\r]/g, (one) => ({ '\\': '\\\\', '\t': '\\t', '\n': '\\n' })[one] ?? '\\r')
    : text
}
