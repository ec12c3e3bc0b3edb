/**
 * Repeatable randomness (mulberry32) for fuzzers. `VIVARIUM_SEED` repeats a failing run; the seed is printed.
 */
export function seededRandom(): { random: () => number; seed: number } {
  const seed = Number(process.env['VIVARIUM_SEED'] ?? Math.floor(Math.random() * 2 ** 32)) >>> 0
  console.log(`VIVARIUM_SEED=${seed}`)
  return { random: randomFrom(seed), seed }
}

/** The numbers that follow from `seed`. */
export function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
