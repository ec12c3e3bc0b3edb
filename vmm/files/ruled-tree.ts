import { FileError, type ErrnoName } from './file-error'
import type { FileUse, FileVerdict, RuledPath } from './file-rules'
import { MODE, type FileName, type FileNode, type FolderEntry, type Provider } from './provider'
import type { RuleBook } from './rule-book'
import { inoIn, pathOf, RuledNode, type TreePlace } from './ruled-node'
import type { SharePlace } from '../model/policy-files'

const REDIRECTS_MOST = 8

/** The nodes of a tree under rules: what the rules say of each at this moment, and where redirects lead. */
export class RuledTree {
  readonly top: RuledNode
  /** Other trees that redirects have led to. */
  readonly others = new Set<Provider>()
  #moves = 0

  constructor(
    inner: Provider,
    readonly share: string,
    readonly book: RuleBook,
  ) {
    this.top = new RuledNode({ share, provider: inner, inner: inner.root(), path: '' }, null, '', false)
  }

  /** A folder was renamed: all paths below are others. */
  moved(): void {
    this.#moves++
  }

  /** Throws EXDEV for a node of another tree. */
  own(node: FileNode): RuledNode {
    if (!(node instanceof RuledNode)) throw new FileError('EXDEV', 'not of this share')
    let top = node
    while (top.parent) top = top.parent
    if (top !== this.top) throw new FileError('EXDEV', 'not of this share')
    return node
  }

  /** What the rules say of a node now. Throws ESTALE when another tree is there now, or no longer. */
  path(node: RuledNode): RuledPath {
    const seen = `${this.book.version}.${this.#moves}`
    const stale: RuledNode[] = []
    let at: RuledNode | null = node
    for (; at && at.seen !== seen; at = at.parent) stale.unshift(at)
    for (const each of stale) {
      each.path = this.#decide(each)
      each.seen = seen
    }
    return node.path!
  }

  /** Throws EINVAL for what is no name. */
  below(folder: RuledNode, name: FileName): RuledPath {
    if (/^\.{0,2}$|[/\0]/.test(name)) throw new FileError('EINVAL', 'no name')
    return this.book.rules.below(this.path(folder), name)
  }

  /** Throws what the rules refuse, and tells it. */
  check(node: RuledNode, use: FileUse, operation: string): FileVerdict {
    const { verdict } = this.path(node)
    const refusal = refusalOf(verdict, use)
    if (refusal) this.refuse(node, undefined, verdict, operation, refusal)
    return verdict
  }

  /** The same, and tells rules that want to know of it. */
  use(node: RuledNode, use: FileUse, operation: string): FileVerdict {
    const verdict = this.check(node, use, operation)
    this.log(node, undefined, verdict, operation)
    return verdict
  }

  /** The same for a name in a folder, which leads to nothing yet or is taken from what it leads to. */
  useName(folder: RuledNode, name: FileName, operation: string, isThere: boolean): FileVerdict {
    this.check(folder, 'read', operation)
    const { verdict } = this.below(folder, name)
    const { action } = verdict
    if (action === 'redirect') throw new FileError(isThere ? 'EBUSY' : 'EEXIST', 'a rule has put another tree there')
    const refusal = refusalOf(verdict, 'change')
    if (refusal) this.refuse(folder, name, verdict, operation, !isThere && action === 'hide' ? 'EACCES' : refusal)
    this.log(folder, name, verdict, operation)
    return verdict
  }

  /** What the rules say of a name on the way down. Throws what they refuse: the folder, or what is not to be seen. */
  enter(folder: RuledNode, name: FileName, operation: string): RuledPath {
    this.check(folder, 'read', operation)
    const path = this.below(folder, name)
    const refusal = refusalOf(path.verdict, 'see')
    if (refusal) this.refuse(folder, name, path.verdict, operation, refusal)
    return path
  }

  /** All that is to be seen in a folder. */
  list(folder: RuledNode): FolderEntry[] {
    const { rules } = this.book
    const path = this.path(folder)
    const entries = folder.provider.list(folder.inner)
    if (path.settled && folder.share === this.share) return entries
    const led = path.settled ? new Set<FileName>() : rules.redirected(path)
    const seen = entries.flatMap((entry): FolderEntry[] => {
      const { verdict } = rules.below(path, entry.name)
      if (verdict.action === 'hide') return []
      if (!verdict.to) return [{ ...entry, ino: inoIn(folder.share, this.share, entry.ino) }]
      led.add(entry.name)
      return []
    })
    return [...seen, ...[...led].flatMap((name) => this.#ledEntry(folder, name))]
  }

  /** Where a redirect in a folder leads to, held. Throws ENOENT, and ELOOP for redirects within each other. */
  lead(folder: RuledNode, to: SharePlace): TreePlace {
    let depth = 0
    for (let at: RuledNode | null = folder; at; at = at.parent) if (at.isRedirect) depth++
    if (depth === REDIRECTS_MOST) throw new FileError('ELOOP', 'redirects lead into each other')
    return this.#resolve(to)
  }

  refuse(node: RuledNode, name: FileName | undefined, verdict: FileVerdict, operation: string, code: ErrnoName): never {
    const { rule, index, action } = verdict
    this.book.reports.add({ share: node.share, path: pathOf(node, name), operation, rule, index, action })
    throw new FileError(code, `the rule '${rule}'`)
  }

  log(node: RuledNode, name: FileName | undefined, { logged }: FileVerdict, operation: string): void {
    for (const { rule, index } of logged) {
      const report = { share: node.share, path: pathOf(node, name), operation, rule, index, action: 'log' as const }
      this.book.reports.add(report)
    }
  }

  /** Follows a redirect, and those it leads to, to its end, held. */
  #resolve(place: SharePlace, hops = 0): TreePlace {
    const provider = this.book.tree(place.share)
    if (!provider) throw new FileError('ENOENT', 'that share is not attached')
    if (hops === REDIRECTS_MOST) throw new FileError('ELOOP', 'redirects lead to each other')
    if (provider !== this.top.provider) this.others.add(provider)
    const { rules } = this.book
    let path = rules.top(place.share)
    const names = place.path.split('/').filter((name) => name !== '')
    let inner = provider.root()
    try {
      for (let index = 0; ; index++) {
        const { to, action } = path.verdict
        if (action === 'hide' || (action === 'deny' && index < names.length)) throw new FileError('ENOENT')
        if (to) {
          const rest = names.slice(index).join('/')
          const further = this.#resolve({ share: to.share, path: `${to.path}/${rest}` }, hops + 1)
          provider.drop(inner)
          return further
        }
        const name = names[index]
        if (name === undefined) return { share: place.share, provider, inner, path: bytesOf(`/${names.join('/')}`) }
        const bytes = bytesOf(name)
        path = rules.below(path, bytes)
        if (path.verdict.to) continue
        const next = provider.lookup(inner, bytes)
        provider.drop(inner)
        inner = next
      }
    } catch (error) {
      provider.drop(inner)
      throw error
    }
  }

  #ledEntry(folder: RuledNode, name: FileName): FolderEntry[] {
    const { to } = this.below(folder, name).verdict
    if (!to) return []
    try {
      const { share, provider, inner } = this.lead(folder, to)
      try {
        const { ino, mode } = provider.attributes(inner)
        return [{ name, ino: inoIn(share, this.share, ino), kind: mode & MODE.kind }]
      } finally {
        provider.drop(inner)
      }
    } catch (error) {
      if (error instanceof FileError) return []
      throw error
    }
  }

  #decide(node: RuledNode): RuledPath {
    const { rules } = this.book
    if (!node.parent) return rules.top(this.share)
    const path = rules.below(node.parent.path!, node.name)
    const { to } = path.verdict
    if (!node.isRedirect && !to) return path
    if (!node.isRedirect || !to) throw new FileError('ESTALE', 'a rule has changed what is here')
    const place = this.#resolve(to)
    place.provider.drop(place.inner)
    if (place.provider !== node.provider || place.inner !== node.inner)
      throw new FileError('ESTALE', 'a rule has changed what is here')
    return rules.path(place.share, place.path)
  }
}

function bytesOf(text: string): FileName {
  return Buffer.from(text, 'utf8').toString('latin1')
}

function refusalOf({ action }: FileVerdict, use: FileUse): ErrnoName | null {
  if (action === 'hide') return 'ENOENT'
  if (action === 'deny') return use === 'see' ? null : 'EACCES'
  return action === 'read-only' && use === 'change' ? 'EROFS' : null
}
