import type { FactorKey } from '../factors/factor-key.ts'
import { fromUtf8, utf8 } from '../../protocol/index.ts'

/**
 * What is taken for an e-mail address: letters of any script in the places that RFC 6531 gives
 * them, and nothing that means something to a mail server, a header or a terminal. Quoted local
 * parts and addresses by number are not taken.
 */
export const addressPattern =
  "^[\\p{L}\\p{M}\\p{N}!#$%&'*+/=?^_`{|}~-]+(\\.[\\p{L}\\p{M}\\p{N}!#$%&'*+/=?^_`{|}~-]+)*@([\\p{L}\\p{M}\\p{N}]([\\p{L}\\p{M}\\p{N}-]*[\\p{L}\\p{M}\\p{N}])?\\.)+[\\p{L}][\\p{L}\\p{M}\\p{N}-]*[\\p{L}\\p{M}\\p{N}]$"

const mostLocalPartOctets = 64
const mostAddressOctets = 254
const asAddress = new RegExp(addressPattern, 'u')

/** RFC 5321, section 4.5.3.1, in octets. */
export function isAddress(text: string): boolean {
  const at = text.indexOf('@')
  return (
    asAddress.test(text) &&
    utf8(text).length <= mostAddressOctets &&
    utf8(text.slice(0, at)).length <= mostLocalPartOctets
  )
}

/** An address that waits for the code which was sent to it. */
export interface Candidate {
  readonly address: string
  readonly code: string
}

/**
 * Addresses as the database holds them: sealed for their person, for nothing else that the same key
 * seals.
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
    /** By which it is known how often an address was written to, whoever asked. */
    recognise: (address: string) => key.digest('notices', address.toLowerCase()),
  }
}
