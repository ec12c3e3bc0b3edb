import type { FileAction } from '../model/policy-files'
import type { Clock } from '../net/clock'

/** Something that a rule refused a guest, or wants noted. */
export interface FileReport {
  share: string
  /** From the top of the share, bytes as latin1; '' for several that are not told one by one. */
  path: string
  /** What the guest did, such as 'open' or 'rename'. */
  operation: string
  rule: string
  /** Its place among the rules of the policy; -1 for one that was allowed once. */
  index: number
  action: FileAction
  /** How many times, since it was told last. */
  count: number
}

const PERIOD_MS = 1000
/** Different ones in a period; more are told as one for each rule. */
const REPORTS_MOST = 64

/** Tells the first of its kind at once and then how many there were in every second: a guest cannot flood anybody. */
export class FileReports {
  #pending = new Map<string, FileReport>()
  #takeBack: (() => void) | null = null

  constructor(
    private readonly clock: Clock,
    private readonly tell: (report: FileReport) => void,
  ) {}

  add(report: Omit<FileReport, 'count'>): void {
    const key = keyOf(report)
    const known = this.#pending.get(key)
    if (known) known.count++
    else if (this.#pending.size < REPORTS_MOST) this.#begin(key, { ...report, count: 0 })
    else this.#addToRest(report)
    this.#takeBack ??= this.clock.later(PERIOD_MS, () => this.#flush())
  }

  close(): void {
    this.#takeBack?.()
    this.#takeBack = null
    this.#pending.clear()
  }

  #begin(key: string, report: FileReport): void {
    this.#pending.set(key, report)
    this.tell({ ...report, count: 1 })
  }

  #addToRest(report: Omit<FileReport, 'count'>): void {
    const rest = { ...report, path: '', operation: '' }
    const key = keyOf(rest)
    const known = this.#pending.get(key)
    if (known) known.count++
    else this.#pending.set(key, { ...rest, count: 1 })
  }

  #flush(): void {
    this.#takeBack = null
    const counted = [...this.#pending.values()].filter(({ count }) => count > 0)
    this.#pending = new Map(counted.map((report) => [keyOf(report), { ...report, count: 0 }]))
    for (const report of counted) this.tell(report)
    if (counted.length > 0) this.#takeBack = this.clock.later(PERIOD_MS, () => this.#flush())
  }
}

function keyOf({ share, path, operation, rule, index, action }: Omit<FileReport, 'count'>): string {
  return JSON.stringify([share, path, operation, rule, index, action])
}
