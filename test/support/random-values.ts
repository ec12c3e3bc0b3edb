export type Random = () => number

/** A whole number from 0 up to, and without, `limit`. */
export function below(random: Random, limit: number): number {
  return Math.floor(random() * limit)
}

export function pick<T>(random: Random, values: readonly T[]): T {
  return values[below(random, values.length)] as T
}

export function bytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => below(random, 256)))
}

/** `whole` in pieces of random length, which may be empty. */
export function pieces(random: Random, whole: Uint8Array, longest: number): Uint8Array[] {
  const cut: Uint8Array[] = []
  for (let at = 0; at < whole.byteLength;) {
    const length = below(random, longest + 1)
    cut.push(whole.subarray(at, at + length))
    at += length
  }
  return cut
}

/** Text with everything that a name must not hold, and some that it may. */
export function oddText(random: Random, length: number): string {
  const odd = [
    'a',
    'B',
    '7',
    ' ',
    '-',
    '/',
    '..',
    '\0',
    '\u001b[2J',
    '\u202e',
    '\u061c',
    'é',
    '漢',
    '😀',
    '\ud800',
    '%',
    '"',
  ]
  return Array.from({ length }, () => pick(random, odd)).join('')
}
