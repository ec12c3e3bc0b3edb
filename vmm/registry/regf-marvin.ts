import { viewOf } from './regf-layout'

/** Marvin32 as transaction logs use it, with the seed of those: the two halves of the hash, low and high. */
export function marvin32(bytes: Uint8Array): { low: number; high: number } {
  const view = viewOf(bytes)
  let [low, high] = [SEED_LOW, SEED_HIGH]
  const mix = (word: number): void => {
    low = (low + word) | 0
    high ^= low
    low = (rotated(low, 20) + high) | 0
    high = rotated(high, 9) ^ low
    low = (rotated(low, 27) + high) | 0
    high = rotated(high, 19)
  }
  const whole = bytes.length & ~3
  for (let at = 0; at < whole; at += 4) mix(view.getInt32(at, true))
  // what remains, and one bit that says where it ends
  let rest = 0x80
  for (let at = bytes.length - 1; at >= whole; at--) rest = (rest << 8) | (bytes[at] ?? 0)
  mix(rest)
  mix(0)
  return { low: low >>> 0, high: high >>> 0 }
}

const SEED_LOW = 0x7a4e55c5
const SEED_HIGH = 0x82ef4d88 | 0

const rotated = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits))
