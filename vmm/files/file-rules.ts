import type { FileAction, FileRule, SharePlace } from '../model/policy-files'
import { parseSharePlace } from '../model/policy-files'
import {
  beginPattern,
  compilePattern,
  lastLiteral,
  readName,
  stepPattern,
  type PathPattern,
  type Progress,
} from './file-pattern'
import type { FileName } from './provider'

/** See it and ask what it is; read what is in it; change it. */
export type FileUse = 'see' | 'read' | 'change'
export type FileDecision = Exclude<FileAction, 'quota' | 'log'>

/** Stands for a rule where none decides. */
export const NO_FILE_RULE = ''

export interface FileVerdict {
  action: FileDecision
  /** The name of the rule; `NO_FILE_RULE` for none. */
  rule: string
  /** Its place among the rules of the policy; -1 for none, and for one that was allowed once. */
  index: number
  /** Rules that note the use. */
  logged: readonly { rule: string; index: number }[]
  /** Places of the quotas that hold here, among the rules of the policy. */
  quotas: readonly number[]
  /** What is seen instead; null but for a redirect. */
  to: SharePlace | null
}

interface CompiledRule {
  readonly rule: FileRule
  readonly index: number
  readonly patterns: readonly PathPattern[]
}

/** A path as the rules know it: how far each of their patterns has come. */
export interface RuledPath {
  /** By rule and pattern. */
  readonly progress: readonly (readonly Progress[])[]
  readonly verdict: FileVerdict
  /** Whether no pattern can come any further, so that all below has the same verdict. */
  readonly settled: boolean
}

/**
 * The rules of a policy for the paths of shares. The first that matches a path and is neither 'log' nor 'quota' decides;
 * those count before it only. Behind what is hidden or denied nothing is reached, whatever other rules say of it; behind
 * a redirect is another place, which has its own rules.
 */
export class FileRules {
  readonly #rules: readonly CompiledRule[]

  /** `once`: rules that hold for this run only, before all others. */
  constructor(rules: readonly FileRule[], once: readonly FileRule[] = []) {
    const compile = (rule: FileRule, index: number): CompiledRule => ({
      rule,
      index,
      patterns: rule.paths.map((path) => compilePattern(path, rule.ignoreCase)),
    })
    this.#rules = [...once.map((rule) => compile(rule, -1)), ...rules.map(compile)]
  }

  /** The top of a share. */
  top(share: string): RuledPath {
    const progress = this.#rules.map(({ rule, patterns }) => (isFor(rule, share) ? patterns.map(beginPattern) : []))
    return this.#path(progress, null)
  }

  below(path: RuledPath, name: FileName): RuledPath {
    if (path.settled) return path
    const read = readName(name)
    const progress = this.#rules.map(({ patterns }, rule) =>
      (path.progress[rule] ?? []).map((before, pattern) => stepPattern(patterns[pattern]!, before, read)),
    )
    return this.#path(progress, path.verdict)
  }

  /** `path` from the top of the share, as bytes, such as '/a/b'. */
  path(share: string, path: string): RuledPath {
    const names = path.split('/').filter((name) => name !== '')
    return names.reduce((above, name) => this.below(above, name), this.top(share))
  }

  decide(share: string, path: string): FileVerdict {
    return this.path(share, path).verdict
  }

  /** Names in a folder that rules may put another tree at, though the folder has none such. */
  redirected({ progress }: RuledPath): Set<FileName> {
    const names = this.#rules.flatMap(({ rule, patterns }, index) => {
      if (rule.action !== 'redirect') return []
      return (progress[index] ?? []).map((each, pattern) => lastLiteral(patterns[pattern]!, each))
    })
    return new Set(names.filter((name) => name !== null))
  }

  /** The quota in a place of the policy's rules. */
  quota(index: number): { name: string; bytes: number; files: number } | null {
    const found = this.#rules.find((each) => each.index === index && each.rule.action === 'quota')
    return found ? found.rule : null
  }

  #path(progress: readonly (readonly Progress[])[], above: FileVerdict | null): RuledPath {
    const isClosed = above !== null && closes(above)
    const verdict = isClosed ? above : this.#verdict(progress)
    const settled = isClosed || progress.every((each) => each.every((one) => one === 'matched' || one.length === 0))
    return { progress, verdict, settled }
  }

  #verdict(progress: readonly (readonly Progress[])[]): FileVerdict {
    const logged: { rule: string; index: number }[] = []
    const quotas: number[] = []
    for (const [at, { rule, index }] of this.#rules.entries()) {
      if (!progress[at]?.includes('matched')) continue
      if (rule.action === 'log') logged.push({ rule: rule.name, index })
      else if (rule.action === 'quota') quotas.push(index)
      else {
        const to = rule.action === 'redirect' ? parseSharePlace(rule.to) : null
        return { action: rule.action, rule: rule.name, index, logged, quotas, to }
      }
    }
    return { action: 'allow', rule: NO_FILE_RULE, index: -1, logged, quotas, to: null }
  }
}

/** Whether nothing below is reached by way of it, as it is there. */
function closes({ action }: FileVerdict): boolean {
  return action === 'hide' || action === 'deny' || action === 'redirect'
}

function isFor({ shares }: FileRule, share: string): boolean {
  return shares.length === 0 || shares.some((name) => name.toLowerCase() === share.toLowerCase())
}

/** Whether two paths look the same to all rules, and all that lies below them with them. */
export function isSameToRules(one: RuledPath, other: RuledPath): boolean {
  if (closes(one.verdict) || closes(other.verdict)) return false
  return one.progress.every((patterns, rule) =>
    patterns.every((progress, pattern) => String(progress) === String(other.progress[rule]?.[pattern])),
  )
}
