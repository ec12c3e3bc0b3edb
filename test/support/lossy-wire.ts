import type { SimulatedClock } from './simulated-clock'
import type { Random } from './random-values'

export interface WireFaults {
  /** Shares of frames, 0 to 1. */
  loss?: number
  duplicates?: number
  /** Share of frames that come up to 3 ms late, and so after others. */
  late?: number
}

/** One way between two ends, 1 ms long, with the faults that a test asks for. */
export class LossyWire {
  sent = 0
  lost = 0
  /** The longest that was on the wire at a time, frames. */
  constructor(
    private readonly clock: SimulatedClock,
    private readonly random: Random,
    private readonly deliver: (frame: Buffer) => void,
    public faults: WireFaults = {},
  ) {}

  send(frame: Buffer): void {
    this.sent++
    const { loss = 0, duplicates = 0, late = 0 } = this.faults
    if (this.random() < loss) {
      this.lost++
      return
    }
    const copies = this.random() < duplicates ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      const delay = 1 + (this.random() < late ? this.random() * 3 : 0)
      this.clock.later(delay, () => this.deliver(frame))
    }
  }
}
