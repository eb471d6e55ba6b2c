import { dictionary } from '@zxcvbn-ts/language-common'
import { Problem } from '../../errors.ts'
import { comparingForm, isBlank } from '../../forms/index.ts'

/**
 * NIST SP 800-63B-4, section 3.1.1.2: alone at least 15 characters, beside a second factor 8; no
 * rules of composition.
 */
export const passphraseLength = { alone: 15, besideSecondFactor: 8, most: 128 } as const

const common = new Set(dictionary['passwords-common'])
const longestPeriodCharacters = 10

/**
 * Refuses a weak passphrase: PASSPHRASE_WEAK with a reason, which is `length`, or `common` where
 * the passphrase is among the 49,000 commonest, repeats itself, shows nothing or is one of `names`.
 */
export function requireStrong(passphrase: string, names: readonly string[], least: number): void {
  const length = lengthOf(passphrase)
  if (length < least || length > passphraseLength.most)
    throw new Problem('PASSPHRASE_WEAK', {
      reason: 'length',
      detail: `It has ${String(length)} characters; ${String(least)} to ${String(passphraseLength.most)} are needed.`,
    })
  const plain = passphrase.normalize('NFC').toLowerCase()
  const known = [plain, plain.replace(/[\s\d]+$/u, '')].some((one) => common.has(one))
  if (
    known ||
    isBlank(passphrase) ||
    isRepetition(plain) ||
    names.some((name) => comparingForm(name) === comparingForm(passphrase))
  )
    throw new Problem('PASSPHRASE_WEAK', {
      reason: 'common',
      detail: 'Attackers try this passphrase first: it is a common one, a repetition, or a name.',
    })
}

/** Whether a text is one short part that is repeated, the last time perhaps not whole. */
function isRepetition(text: string): boolean {
  const letters = [...text]
  const repeats = (period: number) => letters.every((letter, i) => i < period || letter === letters[i - period])
  const longestPartCharacters = Math.min(longestPeriodCharacters, Math.floor((letters.length * 2) / 3))
  return Array.from({ length: longestPartCharacters }, (_, i) => i + 1).some(repeats)
}

export function lengthOf(passphrase: string): number {
  return [...passphrase.normalize('NFC')].length
}
