/** Sequence numbers of TCP: unsigned 32-bit numbers that wrap, at most 2^31 - 1 apart. (RFC 9293, 3.4) */

/** The sequence number `bytes` later. */
export function plus(sequence: number, bytes: number): number {
  return (sequence + bytes) >>> 0
}

/** Bytes from `from` to `to`; negative when `to` comes first. */
export function distance(from: number, to: number): number {
  return (to - from) | 0
}

export function isBefore(one: number, other: number): boolean {
  return ((one - other) | 0) < 0
}

/** Whichever of the two comes later. */
export function later(one: number, other: number): number {
  return ((one - other) | 0) < 0 ? other : one
}

/** Whichever of the two comes first. */
export function earlier(one: number, other: number): number {
  return ((one - other) | 0) < 0 ? one : other
}
