import type { FileRule } from '../model/policy-files'
import type { Clock } from '../net/clock'
import { FileQuotas } from './file-quotas'
import { FileReports, type FileReport } from './file-reports'
import { FileRules } from './file-rules'
import type { Provider } from './provider'

export interface RuleBookOptions {
  clock: Clock
  /** The tree of a share as its mode says, without rules; null for one that is not attached. */
  tree: (share: string) => Provider | null
  /** Told of what was refused or is to be noted; the same again is told once a second at most, with its number. */
  report: (report: FileReport) => void
}

/** The rules for all shares of a domain. They can be exchanged at any time and hold at once, for what is open too. */
export class RuleBook {
  readonly tree: (share: string) => Provider | null
  readonly reports: FileReports
  #rules = new FileRules([])
  #quotas: FileQuotas
  #version = 0

  constructor({ clock, tree, report }: RuleBookOptions) {
    this.tree = tree
    this.#quotas = new FileQuotas(this.#rules, tree)
    this.reports = new FileReports(clock, report)
  }

  get rules(): FileRules {
    return this.#rules
  }

  get quotas(): FileQuotas {
    return this.#quotas
  }

  /** Another one says that whatever was decided has to be decided again. */
  get version(): number {
    return this.#version
  }

  /** `once`: rules that hold for this run only, before all others. */
  set(rules: readonly FileRule[], once: readonly FileRule[] = []): void {
    this.#rules = new FileRules(rules, once)
    this.#quotas = new FileQuotas(this.#rules, this.tree)
    this.#version++
  }

  close(): void {
    this.reports.close()
  }
}
