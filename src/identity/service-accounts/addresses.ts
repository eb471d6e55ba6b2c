import { isIPv4, isIPv6 } from 'node:net'

interface Bits {
  readonly bits: bigint
  /** The number of bits in an address: 32 or 128. */
  readonly size: number
}

const groupsOfIPv6 = 8

/**
 * Whether a text is a range of addresses in CIDR notation. An address inside a range, with the bits
 * behind the prefix set, is no range.
 */
export function isRange(text: string): boolean {
  const range = parseRange(text)
  return range !== undefined && (range.network.bits & ((1n << range.free) - 1n)) === 0n
}

/** Whether an address, as a connection or a trusted proxy names it, lies in one of these ranges. */
export function isInRanges(ranges: readonly string[], address: string): boolean {
  const asked = bitsOf(address)
  return ranges.some((text) => {
    const range = parseRange(text)
    if (!asked || range?.network.size !== asked.size) return false
    return range.network.bits >> range.free === asked.bits >> range.free
  })
}

function parseRange(text: string): { network: Bits; free: bigint } | undefined {
  const [, address = '', prefix = ''] = /^([0-9a-fA-F.:]+)\/(0|[1-9]\d{0,2})$/.exec(text) ?? []
  const network = bitsOf(address)
  const free = (network?.size ?? 0) - Number(prefix)
  return network && free >= 0 ? { network, free: BigInt(free) } : undefined
}

function bitsOf(text: string): Bits | undefined {
  // A socket that serves both families names an IPv4 address like this.
  const address = text.replace(/^::ffff:(?=\d+\.)/i, '')
  if (isIPv4(address)) return { bits: join(address.split('.').map(Number), 8n), size: 32 }
  if (!isIPv6(address) || address.includes('%')) return undefined
  const [head = [], tail = []] = new URL(`http://[${address}]`).hostname
    .slice(1, -1)
    .split('::')
    .map((part) => part.split(':').filter((group) => group !== ''))
  const zeros = Array.from({ length: groupsOfIPv6 - head.length - tail.length }, () => '0')
  const groups = [...head, ...zeros, ...tail].map((group) => Number.parseInt(group, 16))
  return { bits: join(groups, 16n), size: 128 }
}

const join = (parts: readonly number[], width: bigint) =>
  parts.reduce((bits, part) => (bits << width) | BigInt(part), 0n)
