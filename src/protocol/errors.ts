/** A thing that does not follow the protocol. `code` is stable; the message says what was wrong. */
export class ProtocolError extends Error {
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ProtocolError'
    this.code = code
  }
}

/** Throws `ProtocolError(code)` unless the condition holds. */
export function demand(condition: unknown, code: string, message: string): asserts condition {
  if (!condition) throw new ProtocolError(code, message)
}
