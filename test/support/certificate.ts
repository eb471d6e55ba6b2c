import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

const tag = { integer: 0x02, bits: 0x03, octets: 0x04, oid: 0x06, utf8: 0x0c, sequence: 0x30, set: 0x31, time: 0x18 }

/** One value in DER (ITU-T X.690). */
function der(type: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const size = content.length
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255]
  return Buffer.concat([Buffer.from([type, ...length]), content])
}

const sequence = (...parts: readonly Uint8Array[]) => der(tag.sequence, ...parts)
const oid = (...bytes: number[]) => der(tag.oid, Buffer.from(bytes))
const time = (at: Date) => der(tag.time, Buffer.from(at.toISOString().replace(/[-:T]|\.\d+/g, '')))
const ecdsaWithSha256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))
const extension = (id: Buffer, value: Buffer) => sequence(id, der(tag.octets, value))

/** A certificate of 127.0.0.1 that vouches for itself (RFC 5280), and its key, both in PEM. */
export function selfSigned(name = 'cordon.test'): { certificate: string; key: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const subject = sequence(der(tag.set, sequence(oid(0x55, 0x04, 0x03), der(tag.utf8, Buffer.from(name)))))
  const day = 24 * 3600_000
  const authority = extension(oid(0x55, 0x1d, 0x13), sequence(der(0x01, Buffer.from([0xff]))))
  const names = extension(
    oid(0x55, 0x1d, 0x11),
    sequence(der(0x82, Buffer.from(name)), der(0x87, Buffer.from([127, 0, 0, 1]))),
  )
  const toSign = sequence(
    der(0xa0, der(tag.integer, Buffer.from([2]))),
    der(tag.integer, Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    ecdsaWithSha256,
    subject,
    sequence(time(new Date(Date.now() - day)), time(new Date(Date.now() + day))),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(authority, names)),
  )
  const signature = der(tag.bits, Buffer.from([0]), sign('sha256', toSign, privateKey))
  const lines = sequence(toSign, ecdsaWithSha256, signature).toString('base64').replace(/.{64}/g, '$&\n')
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines.trimEnd()}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  }
}
