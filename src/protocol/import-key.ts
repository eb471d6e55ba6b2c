import { Type, type Static } from 'typebox'
import { base64url } from './encoding.ts'
import type { DeviceId } from './ids.ts'
import { readStatement, signStatement, type ReadJws } from './jws.ts'
import type { Device } from './keys.ts'
import { digest, operationId, organizationId, shape } from './shape.ts'

const ImportKeyPayload = Type.Object(
  {
    v: Type.Literal(1),
    operation: operationId,
    organization: organizationId,
    key: digest,
  },
  { additionalProperties: false },
)
const parsePayload = shape('import key', ImportKeyPayload)

/**
 * Signs the import key of an organization in an operation. Sealing alone proves no sender: every
 * person who knows a public key can seal to it.
 */
export function signImportKey(
  signer: Device,
  { operation, organization, key }: { operation: string; organization: string; key: Uint8Array },
): Promise<string> {
  const payload = { v: 1, operation, organization, key: base64url(key) }
  return signStatement('cordon-import-key+jws', payload, { kid: signer.id, key: signer.signKey })
}

/**
 * Reads an import key without checking its signature: the caller has to verify that `signer` is a
 * device of the organization. Throws `ProtocolError`.
 */
export function readImportKey(text: string): Static<typeof ImportKeyPayload> & { signer: DeviceId; jws: ReadJws } {
  const { jws, kid, payload } = readStatement('cordon-import-key+jws', text)
  return { ...parsePayload(payload), signer: kid as DeviceId, jws }
}
