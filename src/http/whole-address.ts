import type { FastifyInstance } from 'fastify'
import { Problem } from '../errors.ts'

/**
 * Refuses an address that is not percent-encoded UTF-8 (RFC 3986): its parts would else be taken as
 * they came, with their percent signs or with a letter for each byte, and the log would record what
 * nobody wrote.
 */
export function requireWholeAddresses(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ raw }) => {
    if (!isWhole(raw.url ?? ''))
      throw new Problem('BAD_REQUEST', { detail: 'The address is not in UTF-8, percent-encoded (RFC 3986).' })
  })
}

function isWhole(address: string): boolean {
  if (!/^[\u0021-\u007e]*$/.test(address)) return false
  try {
    return decodeURIComponent(address) !== undefined
  } catch {
    return false
  }
}
