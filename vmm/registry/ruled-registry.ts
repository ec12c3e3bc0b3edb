import { VmmError } from '../model/errors'
import type { RegistryValue } from './hive'
import { folded, sameName } from './key-names'
import { isWithin } from './layered-tree'
import { parseKeyPath } from './registry-path'
import type { RegistryRules, RegistryVerdict } from './registry-rules'
import type { Registry } from './registry-tree'
import type { KeyInfo, KeyListing, Page, RegistryView } from './registry-view'

export type RegistryUse = 'read' | 'write' | 'create' | 'delete'

/** A use that was refused, or that a rule notes. */
export interface RegistryNote {
  use: RegistryUse
  path: string
  verdict: RegistryVerdict
  refused: boolean
}

/** One redirect leads to another at most so often. */
const REDIRECTS_MOST = 8
const HIDDEN: RegistryVerdict['action'] = 'hide'

/**
 * A registry as rules let a guest see it. Refusals are `denied`; what is hidden is `not-found`, and making it is refused.
 * In a list, what is hidden is left out, so totals may be greater than what can be listed.
 */
export class RuledRegistry implements RegistryView {
  constructor(
    private readonly registry: Registry,
    private rules: RegistryRules,
    private readonly note: (note: RegistryNote) => void = () => undefined,
  ) {}

  /** Other rules, from now on. */
  setRules(rules: RegistryRules): void {
    this.rules = rules
  }

  /** What would happen to a use of this key, and the rule that decides. */
  explain(path: string): RegistryVerdict {
    return this.#decide(path, false)
  }

  key(path: string, itself = false): KeyInfo {
    return this.registry.key(this.#seen(path, 'read', itself), itself)
  }

  keys(path: string, offset: number, limit: number): Page<KeyListing> {
    const seen = this.#seen(path, 'read')
    const page = this.registry.keys(seen, offset, limit)
    if (this.rules.empty) return page
    const items = page.items.filter(({ name }) => this.#decide(`${path}\\${name}`, true).action !== HIDDEN)
    return { total: page.total, items }
  }

  values(path: string, offset: number, limit: number): Page<RegistryValue> {
    return this.registry.values(this.#seen(path, 'read'), offset, limit)
  }

  value(path: string, name: string, itself = false): RegistryValue | null {
    return this.registry.value(this.#seen(path, 'read', itself), name, itself)
  }

  setValue(path: string, value: RegistryValue): void {
    const seen = this.#seen(path, 'write')
    this.#noLinks(seen, value.name)
    this.registry.setValue(seen, value)
  }

  deleteValue(path: string, name: string): void {
    this.registry.deleteValue(this.#seen(path, 'write'), name)
  }

  createKey(path: string, className: string | null = null): boolean {
    return this.registry.createKey(this.#seen(path, 'create'), className)
  }

  deleteKey(path: string, tree: boolean): void {
    const seen = this.#seen(path, 'delete', true)
    if (tree) this.#wholeTree(seen)
    this.registry.deleteKey(seen, tree)
  }

  moveKey(path: string, to: string): void {
    const seen = this.#seen(path, 'delete', true)
    const target = this.#seen(to, 'create', true)
    this.#wholeTree(seen)
    this.#targetTree(seen, target)
    this.registry.moveKey(seen, target)
  }

  /** Where a path leads under the rules. Throws when they refuse the use. */
  #seen(path: string, use: RegistryUse, itself = false): string {
    let seen = path
    for (let redirects = 0; redirects <= REDIRECTS_MOST; redirects++) {
      const verdict = this.#decide(seen, itself)
      const refused = isRefused(verdict, use)
      if (refused || verdict.logged.length > 0) this.note({ use, path, verdict, refused })
      if (refused) throw refusal(path, use, verdict)
      if (verdict.action !== 'redirect' || sameName(verdict.to, seen)) return seen
      seen = verdict.to
    }
    throw new VmmError('denied', `The rules redirect ${path.slice(0, 500)} in a circle.`, { hint: 'Edit the rules.' })
  }

  #decide(path: string, itself: boolean): RegistryVerdict {
    if (this.rules.empty) return { action: 'allow', rule: '', pattern: '', logged: [], to: '' }
    const asked: string[] = parseKeyPath(path)
    const { registry } = this
    const places =
      asked[0] === 'HKCR' && registry.places(path, itself).some(({ key }) => key)
        ? registry.places(path, itself).filter(({ key }) => key)
        : registry.places(path, itself)
    const paths = [asked, ...places.flatMap(({ via }) => via)]
    return this.rules.decide([...paths, ...paths.flatMap((names) => this.#aliases(names))])
  }

  /** Other names of a canonical path. */
  #aliases(names: readonly string[]): string[][] {
    const { user } = this.registry
    const others: string[][] = []
    if (isWithin(names, ['HKU', user])) others.push(['HKCU', ...names.slice(2)])
    if (isWithin(names, ['HKU', user, 'Software', 'Classes'])) others.push(['HKCR', ...names.slice(4)])
    if (isWithin(names, ['HKLM', 'Software', 'Classes'])) others.push(['HKCR', ...names.slice(3)])
    return others
  }

  /** A tree goes only when every key of it may. */
  #wholeTree(path: string): void {
    if (this.rules.empty) return
    const { keys } = this.registry.key(path, true)
    const { items } = this.registry.keys(path, 0, keys)
    for (const { name, link } of items) {
      const below = `${path}\\${name}`
      const verdict = this.#decide(below, true)
      if (verdict.action !== 'allow') throw refusal(below, 'delete', verdict)
      if (!link) this.#wholeTree(below)
    }
  }

  /** Nor may a tree come to where keys of it would be ruled otherwise. */
  #targetTree(path: string, to: string): void {
    if (this.rules.empty) return
    const { items } = this.registry.keys(path, 0, Infinity)
    for (const { name, link } of items) {
      const verdict = this.#decide(`${to}\\${name}`, true)
      if (verdict.action !== 'allow') throw refusal(`${to}\\${name}`, 'create', verdict)
      if (!link) this.#targetTree(`${path}\\${name}`, `${to}\\${name}`)
    }
  }

  /** A guest must not turn a link to another place after rules were decided on. */
  #noLinks(path: string, name: string): void {
    if (folded(name) === 'SYMBOLICLINKVALUE' && this.registry.key(path, true).link)
      throw new VmmError('denied', `${path} is a symbolic link and leads where it leads.`)
  }
}

function isRefused({ action }: RegistryVerdict, use: RegistryUse): boolean {
  if (action === 'hide' || action === 'deny') return true
  return action === 'read-only' && use !== 'read'
}

function refusal(path: string, use: RegistryUse, { action, rule }: RegistryVerdict): VmmError {
  const hidden = action === 'hide' && (use === 'read' || use === 'write' || use === 'delete')
  return new VmmError(hidden ? 'not-found' : 'denied', `The rule "${rule}" (${action}) covers ${path.slice(0, 500)}.`, {
    hint: 'Edit the rule in the sandbox policy.',
    context: { rule, action },
  })
}
