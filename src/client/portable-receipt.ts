import {
  ProtocolError,
  formatTlogProof,
  leafHash,
  openCheckpoint,
  parseTlogProof,
  utf8,
  verifyInclusion,
  type Receipt,
} from '../protocol/index.ts'
import { logKeysOf, type Pins } from './certificates.ts'
import { sleep, type Platform } from './platform.ts'
import { refuse } from './problem.ts'
import type { ClientStore } from './store.ts'
import type { Transport } from './transport.ts'

/** How long the SDK waits for the witnesses of a service, which cosign within a second or two. */
const witnessWait = { times: 10, milliseconds: 500 }

/**
 * The receipt of a message of this device under a published checkpoint, with the cosignatures of
 * the service's witnesses where it has any. It is one text that others verify offline and with
 * other software: a C2SP tlog-proof with the leaf as extra data. The SDK verifies it first. Throws
 * NO_RECEIPT where this device has no receipt, RECEIPT_INVALID where the log does not hold the
 * entry.
 */
export async function portableReceipt(
  { store, transport, pins, platform }: { store: ClientStore; transport: Transport; pins: Pins; platform: Platform },
  operation: string,
  message: string,
): Promise<string> {
  const receipt = (await store.get(`operation/${operation}/receipt/${message}`)) as Receipt | undefined
  if (receipt === undefined)
    throw refuse(
      'NO_RECEIPT',
      'This device has no receipt of this message: only the device that posted it has a receipt.',
      { message },
    )
  try {
    let text = await transport.text(`/v1/logs/${operation}/proof/${String(receipt.index)}`)
    const path = `/v1/logs/${operation}/witnesses`
    const { witnesses } = await transport.request<{ witnesses: unknown[] }>('GET', path)
    for (let n = 0; n < witnessWait.times && witnesses.length > 0 && !isCosigned(text); n++) {
      await sleep(platform, witnessWait.milliseconds)
      text = await transport.text(`/v1/logs/${operation}/proof/${String(receipt.index)}`)
    }
    const { index, proof, checkpoint } = parseTlogProof(text)
    const { size, root } = await openCheckpoint(checkpoint, ...(await logKeysOf(pins, operation)))
    const hash = await leafHash(receipt.leaf)
    const holds = index === receipt.index && (await verifyInclusion(hash, index, size, proof, root))
    if (!holds) throw new ProtocolError('RECEIPT_PROOF', 'The log of the checkpoint does not hold this entry.')
    return formatTlogProof({ index, proof, checkpoint, extra: utf8(receipt.leaf) })
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw refuse('RECEIPT_INVALID', cause.message, { reason: cause.code, message }, cause)
  }
}

/**
 * Whether the checkpoint of a receipt has more signatures than the two of its log. Does not verify
 * whose they are.
 */
export function isCosigned(tlogProof: string): boolean {
  const { checkpoint } = parseTlogProof(tlogProof)
  return (
    checkpoint
      .trimEnd()
      .split('\n')
      .filter((line) => line.startsWith('\u2014 ')).length > 2
  )
}
