/** Time and randomness as the pure parts of the network take them, so that tests can drive both. */
export interface Clock {
  /** Milliseconds from any fixed moment, never going back. */
  now(): number
  /** Calls `work` once after `ms`; returns what takes that back. */
  later(ms: number, work: () => void): () => void
  /** A random unsigned 32-bit number. */
  random32(): number
}
