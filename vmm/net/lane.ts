import type { Clock } from './clock'
import { Impairment } from './impairment'
import { Shaper } from './shaper'

export interface LaneOptions {
  clock: Clock
  deliver(frame: Buffer): void
  /** There is room again for one who can wait. */
  onRoom(): void
}

export interface LaneLimits {
  bits: number
  burstBytes: number
  delayMs: number
  lossPercent: number
}

/** One direction of a port beyond the policy: the limit of the rule, that of the card, then a bad line on purpose. */
export class Lane {
  #limit: Shaper | null = null
  #line: Impairment | null = null

  constructor(private readonly options: LaneOptions) {}

  /** Whether frames go through without a stop, so that nobody need copy them. */
  get isPlain(): boolean {
    return this.#limit === null && this.#line === null
  }

  get dropped(): number {
    return (this.#limit?.dropped ?? 0) + (this.#line?.dropped ?? 0) + (this.#line?.lost ?? 0)
  }

  hasRoom(): boolean {
    return this.#limit?.hasRoom() ?? true
  }

  set({ bits, burstBytes, delayMs, lossPercent }: LaneLimits): void {
    const { clock, deliver } = this.options
    if (bits === 0) this.#endLimit()
    else if (this.#limit) this.#limit.set(bits, burstBytes)
    else this.#limit = this.#shaper(bits, burstBytes, (frame) => this.#onto(frame))
    if (delayMs === 0 && lossPercent === 0) this.#endLine()
    else if (this.#line) this.#line.set(delayMs, lossPercent)
    else this.#line = new Impairment({ clock, delayMs, lossPercent, deliver })
  }

  /** A shaper for the flows of one rule, whose frames then go on as all others do. */
  ruleShaper(bits: number, burstBytes: number): Shaper {
    return this.#shaper(bits, burstBytes, (frame) => this.#limited(frame))
  }

  /** Takes a frame that is the lane's own; `rule` is what the flow's rule holds it back with. */
  push(frame: Buffer, rule: Shaper | null): void {
    if (rule) rule.push(frame)
    else this.#limited(frame)
  }

  close(): void {
    this.#limit?.close()
    this.#line?.close()
  }

  #limited(frame: Buffer): void {
    if (this.#limit) this.#limit.push(frame)
    else this.#onto(frame)
  }

  #onto(frame: Buffer): void {
    if (this.#line) this.#line.push(frame)
    else this.options.deliver(frame)
  }

  #shaper(bitsPerSecond: number, burstBytes: number, deliver: (frame: Buffer) => void): Shaper {
    const shaper = new Shaper({ clock: this.options.clock, bitsPerSecond, burstBytes, deliver })
    shaper.onRoom = () => this.options.onRoom()
    return shaper
  }

  #endLimit(): void {
    this.#limit?.set(0, 0) // what waits in it goes at once
    this.#limit?.close()
    this.#limit = null
  }

  #endLine(): void {
    this.#line?.close()
    this.#line = null
  }
}
