import type { IoMeterView } from '../contract'
import type { IoCount } from '../../vmm/files/files-protocol'

/** Rates are taken over at least this long, milliseconds. */
const INTERVAL_MS = 950

interface Measured {
  at: number
  last: IoCount
  now: IoMeterView
  waitedMs: number
}

const NOTHING: IoMeterView = { readBytes: 0, writeBytes: 0, readOps: 0, writeOps: 0 }
const FIELDS = ['readBytes', 'writeBytes', 'readOps', 'writeOps'] as const

/** How fast disks and shares are, from what the file process counts. */
export class FileMeter {
  readonly #measured = new Map<string, Measured>()

  /** Takes a count at a time (milliseconds); tells whether there is a new rate. */
  take(key: string, count: IoCount, at: number): boolean {
    const before = this.#measured.get(key)
    // the file process has begun anew
    if (!before || count.readOps < before.last.readOps || count.writeOps < before.last.writeOps) {
      this.#measured.set(key, { at, last: count, now: NOTHING, waitedMs: 0 })
      return before === undefined
    }
    if (at - before.at < INTERVAL_MS) return false
    const seconds = (at - before.at) / 1000
    const now = Object.fromEntries(FIELDS.map((field) => [field, (count[field] - before.last[field]) / seconds]))
    const waitedMs = (count.waitedMs - before.last.waitedMs) / seconds
    this.#measured.set(key, { at, last: count, now: now as unknown as IoMeterView, waitedMs })
    return true
  }

  now(key: string): { now: IoMeterView; total: IoMeterView; waitedMs: number } {
    const measured = this.#measured.get(key)
    if (!measured) return { now: NOTHING, total: NOTHING, waitedMs: 0 }
    const { readBytes, writeBytes, readOps, writeOps } = measured.last
    return { now: measured.now, total: { readBytes, writeBytes, readOps, writeOps }, waitedMs: measured.waitedMs }
  }

  forget(prefix: string): void {
    for (const key of this.#measured.keys()) if (key.startsWith(prefix)) this.#measured.delete(key)
  }
}
