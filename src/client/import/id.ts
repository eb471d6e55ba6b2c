import { utf8 } from '../../protocol/index.ts'

/**
 * The id of the message that a row becomes: a UUIDv8 (RFC 9562) of HMAC-SHA-256 over operation,
 * mapping and row key, under the import key of the organization (32 bytes). A row always gives one
 * id, so that an import can be repeated; without the key no id tells whether a row
 * was imported. With `revision`, the hash of a changed row, it is the id of the correction. Throws
 * RangeError for a key of another length.
 */
export async function importMessageId(
  importKey: Uint8Array<ArrayBuffer>,
  operation: string,
  mapping: string,
  rowKey: string,
  revision?: string,
): Promise<string> {
  if (importKey.length !== 32) throw new RangeError('an import key has 32 bytes')
  const key = await crypto.subtle.importKey('raw', importKey, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
  // As JSON, so that two different rows never give one text.
  const row = ['cordon import row', operation, mapping, rowKey, ...(revision === undefined ? [] : [revision])]
  const mac = new Uint8Array(await crypto.subtle.sign('HMAC', key, utf8(JSON.stringify(row))))
  return asUuid(mac.slice(0, 16))
}

function asUuid(bytes: Uint8Array): string {
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
