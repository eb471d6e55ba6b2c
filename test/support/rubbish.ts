import { CompactEncrypt } from 'jose'
import type { ClientStore, Cordon } from '../../src/client/index.ts'
import {
  describeBody,
  fromBase64url,
  signMessageStatement,
  timestamp,
  type CompartmentId,
  type MessageId,
  type MessagePayload,
} from '../../src/protocol/index.ts'
import { freshId } from './wire.ts'

/**
 * A member's device posts a message that the service cannot find fault with, with these very bytes
 * in its sealed body; answers its id, and the index of its entry.
 */
export async function postBytes(
  { client, store }: { client: Cordon; store: ClientStore },
  operation: string,
  plaintext: Uint8Array,
  change: Partial<MessagePayload> = {},
): Promise<{ id: string; index: number }> {
  const session = await client.follow(operation)
  await session.ready()
  const compartment = operation as CompartmentId
  const epoch = session.view.compartments.get(compartment)?.epochs.length ?? 0
  const key = fromBase64url((await store.get(`operation/${operation}/key/${operation}#${String(epoch)}`)) as string)
  const id = freshId<MessageId>()
  const { device, certificate } = client.self
  const body = await new CompactEncrypt(plaintext)
    .setProtectedHeader({
      alg: 'dir',
      enc: 'A256GCM',
      typ: 'cordon-body+jwe',
      kid: `${operation}#${String(epoch)}`,
      mid: id,
      dev: device.id,
    })
    .encrypt(key)
  const statement = await signMessageStatement(device, certificate?.hash ?? '', {
    v: 1,
    id,
    operation,
    compartment,
    thread: id,
    epoch,
    form: { id: 'text', version: 1 },
    precedence: 'routine',
    handling: { tlp: 'AMBER' },
    sentAt: timestamp(new Date()),
    seen: session.seen as MessagePayload['seen'],
    body: await describeBody(body),
    attachments: [],
    members: session.view.heads(compartment),
    ...change,
  })
  const path = `/v1/operations/${operation}/messages`
  const { receipt } = await client.transport.request<{ receipt: { index: number } }>('POST', path, { statement, body })
  return { id, index: receipt.index }
}
