import type { RegistryAction, RegistryRule } from '../model/policy-registry'
import { folded } from './key-names'
import { parseKeyPath } from './registry-path'

/** What the rules say of a use of a key. */
export interface RegistryVerdict {
  action: Exclude<RegistryAction, 'log'>
  /** The rule that decided; '' when none did. */
  rule: string
  /** The pattern of it that matched. */
  pattern: string
  /** Rules that note this use. */
  logged: string[]
  /** Of a redirect: the key that is seen instead. */
  to: string
}

interface CompiledRule {
  rule: RegistryRule
  patterns: { text: string; names: (string | RegExp)[] }[]
}

const ANY_DEPTH = '**'

/**
 * Rules in order. A key is matched under every path that leads to it: as it was asked for, where it really lies, and the
 * other names of that place (HKCU and HKCR), so that an alias is no way around a rule.
 */
export class RegistryRules {
  readonly #rules: CompiledRule[]

  /** `once`: rules of 'allow once', which go first. */
  constructor(rules: readonly RegistryRule[], once: readonly RegistryRule[] = []) {
    this.#rules = [...once, ...rules].map((rule) => ({
      rule,
      patterns: rule.keys.map((text) => ({ text, names: compile(text) })),
    }))
  }

  get empty(): boolean {
    return this.#rules.length === 0
  }

  /** `paths`: all the paths of one key, as their names. */
  decide(paths: readonly (readonly string[])[]): RegistryVerdict {
    const asked = paths.map((names) => names.map(folded))
    const logged: string[] = []
    for (const { rule, patterns } of this.#rules) {
      for (const path of asked) {
        const found = patterns.map(({ text, names }) => ({ text, length: matchLength(names, path) })).find(isMatch)
        if (!found) continue
        if (rule.action === 'log') {
          logged.push(rule.name)
          break
        }
        const below = rule.action === 'redirect' ? path.slice(found.length) : []
        const to = [rule.to, ...originalNames(below, path, paths[asked.indexOf(path)]!)].join('\\')
        return { action: rule.action, rule: rule.name, pattern: found.text, logged, to: rule.to === '' ? '' : to }
      }
    }
    return { action: 'allow', rule: '', pattern: '', logged, to: '' }
  }
}

const isMatch = ({ length }: { length: number }) => length !== -1

/** The last names of a path as they were written. */
function originalNames(below: readonly string[], path: readonly string[], written: readonly string[]): string[] {
  return written.slice(path.length - below.length)
}

function compile(text: string): (string | RegExp)[] {
  return parseKeyPath(text).map((name) => {
    if (name === ANY_DEPTH || !/[*?]/.test(name)) return folded(name)
    const source = folded(name)
      .replace(/\*+/g, '*')
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replace(/\*/g, '[^]*')
      .replace(/\?/g, '[^]')
    return new RegExp(`^${source}$`)
  })
}

/**
 * How many names of the path the pattern takes up, as few as possible; -1 when it does not match. Keys below a match
 * match too. `**` at the end stands for at least one key.
 */
function matchLength(pattern: readonly (string | RegExp)[], path: readonly string[]): number {
  // the places of the pattern that the names so far may have led to
  let places = new Set([0])
  const end = pattern.length
  for (let taken = 0; taken <= path.length; taken++) {
    for (const place of places) if (pattern[place] === ANY_DEPTH && place + 1 < end) places.add(place + 1)
    if (places.has(end)) return taken
    const name = path[taken]
    if (name === undefined) return -1
    const next = new Set<number>()
    for (const place of places) {
      const part = pattern[place]
      if (part === ANY_DEPTH) next.add(place + 1 === end ? end : place)
      else if (typeof part === 'string' ? part === name : part?.test(name)) next.add(place + 1)
    }
    places = next
  }
  return -1
}
