import { loadBetween, type Counters, type LoadSample } from '../../vmm/model/counters'
import { VmmError } from '../../vmm/model/errors'
import { verbVerdict, type Verb } from '../../vmm/model/verbs'
import type { GuestRun } from '../../vmm/machine/guest-run'
import { Scrollback } from '../../vmm/machine/scrollback'
import type { DomainRecord } from '../../storage'

/** Load samples kept: ten minutes, one a second. */
const LOAD_SAMPLES = 600

/** A domain as main holds it: its stored record and, while it lives, its run. */
export class Domain {
  run: GuestRun | null = null
  /** Settled when the end of the last run has been dealt with: its state is stored, its clients are told. */
  ending: Promise<void> = Promise.resolve()
  /** How often in a row the guest rebooted as soon as it had started. */
  quickReboots = 0
  /** Whether the present run came up from a boot snapshot. */
  startedInstantly = false
  /** Memory that the running guest has been left; null where it always has all. */
  memoryNowMiB: number | null = null
  /** The task that has the domain to itself. */
  taskId: string | null = null
  /** Outlives runs, so that the last words of a crashed guest can be read. */
  readonly scrollback = new Scrollback()
  readonly load: LoadSample[] = []
  #lastCounters: Counters | null = null
  #turn: Promise<unknown> = Promise.resolve()
  #busy = false

  constructor(public record: DomainRecord) {}

  get id(): string {
    return this.record.id
  }

  get name(): string {
    return this.record.spec.name
  }

  /** Runs `work` after all that was begun before it. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  /** Runs a short change that no other verb but Force Off may cross. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    this.#busy = true
    try {
      return await work()
    } finally {
      this.#busy = false
    }
  }

  /** Throws kind `conflict` while somebody has the domain to himself. */
  requireFree(): void {
    if (this.taskId === null && !this.#busy) return
    throw new VmmError('conflict', `${this.name} is busy with another task.`, {
      hint: 'Wait until it has ended, or cancel it.',
      context: { taskId: this.taskId },
    })
  }

  /** Throws kind `state` or `conflict` when `verb` is not possible now. */
  require(verb: Verb): void {
    const verdict = verbVerdict(verb, this.record.state)
    if (!verdict.allowed) {
      throw new VmmError('state', `${this.name}: ${verdict.reason}`, { context: { verb, state: this.record.state } })
    }
    if (verb !== 'forceOff' && verb !== 'console' && verb !== 'display' && verb !== 'exec') this.requireFree()
  }

  /** The present run; throws kind `state` without one. */
  requireRun(): GuestRun {
    if (this.run) return this.run
    throw new VmmError('state', `${this.name} has no running machine.`, { hint: 'Start it first.' })
  }

  /** Takes a reading; returns the load since the last one of the same run. */
  count(counters: Counters): LoadSample | null {
    const sample = this.#lastCounters && loadBetween(this.#lastCounters, counters)
    this.#lastCounters = counters
    if (!sample) return null
    this.load.push(sample)
    if (this.load.length > LOAD_SAMPLES) this.load.shift()
    return sample
  }

  forgetCounters(): void {
    this.#lastCounters = null
  }
}
