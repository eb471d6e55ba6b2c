import { domainToASCII } from 'node:url'
import type { FactorKey } from '../factors/factor-key.ts'
import { comparingForm } from '../../forms/index.ts'
import { fromUtf8, utf8 } from '../../protocol/index.ts'

/**
 * The pattern of an e-mail address: letters of any script in the places that RFC 6531 gives them,
 * and no character that means something to a mail server, a header or a terminal. Quoted local
 * parts and addresses by number do not match.
 */
export const addressPattern =
  "^[\\p{L}\\p{M}\\p{N}!#$%&'*+/=?^_`{|}~-]+(\\.[\\p{L}\\p{M}\\p{N}!#$%&'*+/=?^_`{|}~-]+)*@([\\p{L}\\p{M}\\p{N}]([\\p{L}\\p{M}\\p{N}-]*[\\p{L}\\p{M}\\p{N}])?\\.)+[\\p{L}][\\p{L}\\p{M}\\p{N}-]*[\\p{L}\\p{M}\\p{N}]$"

const mostLocalPartOctets = 64
const mostAddressOctets = 254
const asAddress = new RegExp(addressPattern, 'u')

/**
 * Whether a text is an address: the pattern, a domain that has A-labels, and the lengths of RFC
 * 5321, section 4.5.3.1, in octets.
 */
export function isAddress(text: string): boolean {
  const at = text.indexOf('@')
  if (!asAddress.test(text)) return false
  const relayed = forRelay(text)
  return (
    relayed !== undefined &&
    utf8(relayed).length <= mostAddressOctets &&
    utf8(text).length <= mostAddressOctets &&
    utf8(text.slice(0, at)).length <= mostLocalPartOctets
  )
}

/**
 * An address as a relay takes it: its domain in A-labels (RFC 5890), because a relay needs SMTPUTF8
 * (RFC 6531) for another domain; undefined where the domain has none.
 */
export function forRelay(address: string): string | undefined {
  const at = address.lastIndexOf('@')
  const domain = domainToASCII(address.slice(at + 1))
  return domain === '' ? undefined : `${address.slice(0, at)}@${domain}`
}

/** An address that waits for the code which was sent to it. */
export interface Candidate {
  readonly address: string
  readonly code: string
}

/**
 * Seals and opens addresses as the database holds them: bound to their person, and to no other use
 * of the key.
 */
export function addressSealing(key: FactorKey) {
  const bound = (person: string, what: string) => `${person} notices: ${what}`
  const open = (person: string, what: string, sealed: Uint8Array) => fromUtf8(key.open(bound(person, what), sealed))
  return {
    seal: (person: string, address: string) => key.seal(bound(person, 'address'), utf8(address)),
    open: (person: string, sealed: Uint8Array) => open(person, 'address', sealed),
    sealCandidate: (person: string, candidate: Candidate) =>
      key.seal(bound(person, 'candidate'), utf8(JSON.stringify(candidate))),
    openCandidate: (person: string, sealed: Uint8Array) => JSON.parse(open(person, 'candidate', sealed)) as Candidate,
    /**
     * Answers the digest under which letters to an address are counted, whichever person asked for
     * them.
     */
    recognise: (address: string) => key.digest('notices', comparingForm(forRelay(address) ?? address)),
  }
}
