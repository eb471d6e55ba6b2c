import { SignJwk, importVerifyKey, readSignIn, shape, verifySignature } from '../protocol/index.ts'

const parseSignJwk = shape('signing key', SignJwk)

/**
 * The base point of Ed25519 (RFC 8032, 5.1): checked in place of the key of a device that does not
 * exist, so that the answer takes as long.
 */
const nobodysKey = JSON.stringify({ kty: 'OKP', crv: 'Ed25519', x: 'WGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY' })

/**
 * The states in which a device may prove itself. A person who proves a device whose certificate has
 * expired is told so, and gets no session.
 */
const proving: readonly string[] = ['waiting', 'certified', 'expired']

interface KnownDevice {
  readonly person_id: string
  readonly sign_key: string
  readonly state: string
}

export type SignInClaim = ReturnType<typeof readSignIn>

/**
 * Answers the person and device that a sign-in proof names; nothing of it is proven yet. Undefined
 * where it cannot be read.
 */
export function claimOf(proof: string): SignInClaim | undefined {
  try {
    return readSignIn(proof)
  } catch {
    return undefined
  }
}

/**
 * Answers whether this device signed the claim and is a device of the person that was not revoked.
 * Takes as long where there is no such device.
 */
export async function provesDevice(claim: SignInClaim, device: KnownDevice | undefined): Promise<boolean> {
  const signed = await isSignedBy(device?.sign_key ?? nobodysKey, claim)
  return signed && device?.person_id === claim.person && proving.includes(device.state)
}

async function isSignedBy(key: string, claim: SignInClaim): Promise<boolean> {
  try {
    await verifySignature(claim, await importVerifyKey(parseSignJwk(JSON.parse(key))))
    return true
  } catch {
    return false
  }
}
