/** IPv4 addresses as unsigned 32-bit numbers, and blocks of them. */

/** `10.0.0.1` as a number; null for anything that is not four decimal bytes without leading zeros. */
export function parseAddress(text: string): number | null {
  const parts = text.split('.')
  if (parts.length !== 4) return null
  let address = 0
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null
    address = address * 256 + Number(part)
  }
  return address
}

export function formatAddress(address: number): string {
  return [address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255].join('.')
}

/** Addresses that share their first `bits` bits. */
export interface Block {
  /** The first address. */
  address: number
  bits: number
}

/** `10.0.0.0/8`, or one address; null when it is neither, or names bits beyond its prefix. */
export function parseBlock(text: string): Block | null {
  const [first = '', prefix, more] = text.split('/')
  const address = parseAddress(first)
  if (address === null || more !== undefined) return null
  if (prefix === undefined) return { address, bits: 32 }
  const bits = /^(0|[1-9]\d?)$/.test(prefix) ? Number(prefix) : NaN
  if (!(bits <= 32) || (address & maskOf(bits)) >>> 0 !== address) return null
  return { address, bits }
}

export function inBlock(address: number, block: Block): boolean {
  return (address & maskOf(block.bits)) >>> 0 === block.address
}

/** Whether all addresses of a block are in another. */
export function isWithin(block: Block, outer: Block): boolean {
  return block.bits >= outer.bits && inBlock(block.address, outer)
}

/** The network mask of a prefix, unsigned. */
export function maskOf(bits: number): number {
  return bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0
}

const blocks = (...texts: string[]): Block[] => texts.map((text) => parseBlock(text)).filter((block) => block !== null)

/** This host, this network, links, multicast and what is reserved: no guest is ever connected to them. (RFC 6890) */
const UNROUTABLE = blocks('0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4')
/** Networks of one's own. (RFC 1918, RFC 6598, RFC 2544) */
const PRIVATE = blocks('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '198.18.0.0/15')

export function isUnroutable(address: number): boolean {
  return UNROUTABLE.some((block) => inBlock(address, block))
}

export function isUnroutableBlock(block: Block): boolean {
  return UNROUTABLE.some((outer) => isWithin(block, outer))
}

export function isPrivate(address: number): boolean {
  return PRIVATE.some((block) => inBlock(address, block))
}

/** Addresses of one link, where clouds and routers keep what is theirs. (RFC 3927) */
export function isLinkLocal(address: number): boolean {
  return address >>> 16 === 0xa9fe
}

/** Addresses of the internet at large. */
export function isPublic(address: number): boolean {
  return !isUnroutable(address) && !isPrivate(address)
}
