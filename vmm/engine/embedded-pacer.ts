/** Longest sleep of an idle guest, milliseconds: v86's own bound on its timers. */
const LONGEST_SLEEP_MS = 100
/** A step of fewer instructions did no more than answer a timer tick. */
const TICK_INSTRUCTIONS = 50_000
/** After this many such steps in a row the guest sleeps at least this long, milliseconds. */
const DROWSINESS = [
  { steps: 250, sleepMs: 50 },
  { steps: 50, sleepMs: 16 },
] as const

export interface PacerClock {
  /** Milliseconds, monotonic. */
  now(): number
  /** Runs `step` as soon as other work has had its turn. */
  soon(step: () => void): void
  /** Runs `step` after `ms`; returns the function that cancels it. */
  later(step: () => void, ms: number): () => void
}

/**
 * Decides when an emulator takes its next step. Left to itself v86 polls for the last millisecond before
 * every timer, which keeps an idle guest at 15-37 % of a core; the pacer sleeps instead, wakes at once for
 * input, and does not step at all while the machine is held.
 *
 * Debian's 32-bit kernels tick 250 times a second even when idle. A guest that does nothing but tick is drowsy: its
 * ticks are answered a few at a time. It keeps time by the TSC, so late ticks cost it nothing but the precision of
 * its timers, and the first real work or input brings that back.
 */
export class Pacer {
  /** Time spent asleep because the guest's processor was halted, milliseconds. */
  haltedMs = 0
  #step: (() => void) | null = null
  #cancelSleep: (() => void) | null = null
  #asleepSince: number | null = null
  #idleMs = 0
  #ticksInARow = 0
  readonly #holds = new Set<string>()
  #heldSince: number | null = null
  /** Time spent held, milliseconds. */
  #heldMs = 0

  constructor(private readonly clock: PacerClock) {}

  /**
   * Called after every step: how long the guest has nothing to do, milliseconds (0 when it is busy), and how many
   * instructions the step ran.
   */
  stepped(idleMs: number, instructions: number): void {
    this.#ticksInARow = idleMs > 0 && instructions < TICK_INSTRUCTIONS ? this.#ticksInARow + 1 : 0
    const drowsy = DROWSINESS.find(({ steps }) => this.#ticksInARow > steps)
    this.#idleMs = drowsy ? Math.max(drowsy.sleepMs, idleMs) : idleMs
  }

  /** The emulator asks for its next step; a later request replaces an earlier one. */
  schedule(step: () => void): void {
    this.#wake()
    this.#step = step
    if (this.#holds.size === 0) this.#arm()
  }

  /** Input has arrived: an idle guest looks at it now. */
  nudge(): void {
    this.#ticksInARow = 0
    // a step that waits for its release must not sleep over the input either
    this.#idleMs = 0
    if (this.#cancelSleep === null) return
    this.#wake()
    this.#arm()
  }

  /** Stops stepping until every reason to hold is released. */
  hold(reason: string): void {
    if (this.#holds.size === 0) this.#heldSince = this.clock.now()
    this.#holds.add(reason)
    this.#wake()
  }

  release(reason: string): void {
    if (!this.#holds.delete(reason) || this.#holds.size > 0) return
    if (this.#heldSince !== null) this.#heldMs += this.clock.now() - this.#heldSince
    this.#heldSince = null
    this.#arm()
  }

  heldMs(): number {
    return this.#heldMs + (this.#heldSince === null ? 0 : this.clock.now() - this.#heldSince)
  }

  /** Ends a sleep, if there is one, and counts it. */
  #wake(): void {
    this.#cancelSleep?.()
    this.#cancelSleep = null
    if (this.#asleepSince !== null) this.haltedMs += this.clock.now() - this.#asleepSince
    this.#asleepSince = null
  }

  #arm(): void {
    const step = this.#step
    if (step === null) return
    const idle = this.#idleMs
    this.#idleMs = 0
    const run = () => {
      if (this.#step !== step || this.#holds.size > 0) return
      this.#wake()
      this.#step = null
      step()
    }
    if (idle <= 0) {
      this.clock.soon(run)
      return
    }
    this.#asleepSince = this.clock.now()
    this.#cancelSleep = this.clock.later(run, Math.min(LONGEST_SLEEP_MS, Math.ceil(idle)))
  }
}
