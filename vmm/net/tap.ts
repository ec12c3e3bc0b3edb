/** Sees the frames of a port go by, and copies what it wants. */
export interface Tap {
  /** Whether frames are seen before the policy has had its say, so that denied ones are seen too. */
  readonly beforePolicy: boolean
  /** A frame in [at, end) that the guest sends. */
  sent(buffer: Buffer, at: number, end: number): void
  /** A frame for the guest. */
  received(buffer: Buffer, at: number, end: number): void
}
