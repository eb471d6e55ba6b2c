import { randomBytes } from 'node:crypto'
import { Secret, TOTP } from 'otpauth'
import { codeForm } from '../../forms/index.ts'

const stepSeconds = 30
const secretBytes = 20
/** Crockford's base 32: no letter that is read as another. */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const recoveryCodeCharacters = 16
const recoveryCodeCount = 10

export function newTotpSecret(): Uint8Array {
  return randomBytes(secretBytes)
}

/** Answers RFC 6238 as every authenticator app has it: SHA-1, six digits, 30 seconds. */
function totpOf(secret: Uint8Array, label = ''): TOTP {
  return new TOTP({
    issuer: 'Cordon',
    label,
    algorithm: 'SHA1',
    digits: 6,
    period: stepSeconds,
    secret: new Secret({ buffer: new Uint8Array(secret).buffer }),
  })
}

/** Answers what an app reads: the secret in base 32, and the `otpauth` address of the QR code. */
export function totpSheet(secret: Uint8Array, label: string): { secret: string; uri: string } {
  const totp = totpOf(secret, label)
  return { secret: totp.secret.base32, uri: totp.toString() }
}

/**
 * Answers the step that this code is of, where it is the step of now, the one before or the one
 * after; undefined otherwise.
 */
export function totpStep(secret: Uint8Array, code: string, now: Date): number | undefined {
  const delta = totpOf(secret).validate({ token: code, timestamp: now.getTime(), window: 1 })
  return delta === null ? undefined : Math.floor(now.getTime() / 1000 / stepSeconds) + delta
}

/**
 * Answers a code of so many digits, however it was typed: apps show it with a space between, and
 * keyboards have digits of other scripts; undefined where the text cannot be one.
 */
export function readDigits(text: string, count: number): string | undefined {
  const digits = codeForm(text)
  return /^\d+$/.test(digits) && digits.length === count ? digits : undefined
}

/** Answers the six digits of an app, as `readDigits` does. */
export function readTotpCode(text: string): string | undefined {
  return readDigits(text, 6)
}

/** Makes ten codes of 80 bits, in groups of four. */
export function newRecoveryCodes(): string[] {
  return Array.from({ length: recoveryCodeCount }, () => {
    const text = Array.from(randomBytes(recoveryCodeCharacters), (byte) => alphabet[byte % alphabet.length]).join('')
    return text.replace(/(.{4})(?=.)/g, '$1-')
  })
}

/**
 * Answers a recovery code as it was made, however it was typed; undefined where the text cannot be
 * one.
 */
export function readRecoveryCode(text: string): string | undefined {
  const plain = codeForm(text).replaceAll('O', '0').replaceAll(/[IL]/g, '1')
  return plain.length === recoveryCodeCharacters && [...plain].every((letter) => alphabet.includes(letter))
    ? plain
    : undefined
}
