/** Which frames of the source are copied: those that its guest sends, those that it gets. */
export interface MirrorDirections {
  readonly sent: boolean
  readonly received: boolean
}

export interface MirrorOptions extends MirrorDirections {
  /** Whether frames are copied before the policy has had its say, so that denied ones are seen too. */
  beforePolicy: boolean
  /** Hands the frame in [at, end) to the target, which copies it; false when it takes no more. */
  deliver(buffer: Buffer, at: number, end: number): boolean
}

/**
 * Shows the frames of one port to another. It never holds the source back: what the target does not take at once is
 * dropped and counted. That nothing the target sends gets in is up to the switch.
 */
export class Mirror {
  frames = 0
  bytes = 0
  dropped = 0

  constructor(private readonly options: MirrorOptions) {}

  get beforePolicy(): boolean {
    return this.options.beforePolicy
  }

  /** A frame from `at` to `end` that the source's guest sends. */
  sent(buffer: Buffer, at: number, end: number): void {
    if (this.options.sent) this.#copy(buffer, at, end)
  }

  /** A frame on its way to the source's guest. */
  received(buffer: Buffer, at: number, end: number): void {
    if (this.options.received) this.#copy(buffer, at, end)
  }

  #copy(buffer: Buffer, at: number, end: number): void {
    if (!this.options.deliver(buffer, at, end)) {
      this.dropped++
      return
    }
    this.frames++
    this.bytes += end - at
  }
}
