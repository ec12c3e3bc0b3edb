import type { FileRule } from '../model/policy-files'
import type { Clock } from '../net/clock'
import type { AccessNotes } from './access-notes'
import { FileError } from './file-error'
import { patternFor } from './file-pattern'
import type { FileReport } from './file-reports'
import type { Provider } from './provider'
import { RootProvider } from './provider-root'
import { RuledProvider } from './provider-ruled'
import { RuleBook } from './rule-book'

interface AttachedTreesParts {
  clock: Clock
  notes: AccessNotes
}

/** What a guest attaches, by name: its shares under their rules, other trees beside them, and all of them in one folder. */
export class AttachedTrees {
  readonly #book: RuleBook
  /** All side by side. */
  readonly #root = new RootProvider()
  readonly #seen = new Map<string, { tree: Provider; provider: Provider }>()
  #shares: ReadonlyMap<string, Provider> = new Map()

  constructor(
    private readonly domainId: string,
    private readonly parts: AttachedTreesParts,
  ) {
    this.#book = new RuleBook({
      clock: parts.clock,
      tree: (share) => this.#shares.get(share) ?? null,
      report: (report) => this.#note(report),
    })
  }

  /** Everything for '' or '/'. Throws ENOENT. */
  get(aname: string): Provider {
    if (aname === '' || aname === '/') return this.#root
    const seen = this.#seen.get(aname)
    if (seen) return seen.provider
    throw new FileError('ENOENT', `no share ${aname}`)
  }

  /** What the guest has open of a tree that stays, stays open. `others` are not under the rules. */
  show(shares: ReadonlyMap<string, Provider>, others: ReadonlyMap<string, Provider>): void {
    this.#shares = shares
    const trees = new Map([...shares, ...others])
    for (const [name, { tree }] of this.#seen) if (trees.get(name) !== tree) this.#seen.delete(name)
    for (const [name, tree] of trees) {
      if (this.#seen.has(name)) continue
      const provider = shares.has(name) ? new RuledProvider(tree, { share: name, book: this.#book }) : tree
      this.#seen.set(name, { tree, provider })
    }
    this.#root.set([...this.#seen].map(([name, { provider }]) => [name, provider] as const))
  }

  /** They hold at once, for what is open too. `once`: for this run only, before all others. */
  rule(rules: readonly FileRule[], once: readonly FileRule[]): void {
    this.#book.set(rules, once)
  }

  close(): void {
    this.#book.close()
  }

  #note({ share, path, operation, rule, index, action, count }: FileReport): void {
    const { domainId } = this
    const noted = { domainId, kind: 'file', share, operation, rule, index, count } as const
    const text = path === '' ? '' : patternFor(path)
    this.parts.notes.add({ ...noted, path: text, action: action === 'log' ? 'log' : 'deny' })
  }
}
