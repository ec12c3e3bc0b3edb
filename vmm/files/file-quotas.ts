import type { FileRules, RuledPath } from './file-rules'
import { MODE, type FileNode, type Provider } from './provider'

export interface Usage {
  bytes: number
  files: number
}

/** What is looked through at most when a quota is first asked; the rest of a larger tree is not counted. */
const COUNTED_MOST = 200_000

/**
 * What lies where quotas hold: counted once, when first needed, and then kept with every change that passes here.
 * Changes of the host's own are not seen until the rules change or the share is attached again.
 */
export class FileQuotas {
  /** By share and place of the rule. */
  readonly #usage = new Map<string, Map<number, Usage>>()

  constructor(
    private readonly rules: FileRules,
    private readonly tree: (share: string) => Provider | null,
  ) {}

  usage(share: string, quota: number): Usage {
    let all = this.#usage.get(share)
    if (!all) {
      const provider = this.tree(share)
      all = provider ? this.#count(provider, share) : new Map<number, Usage>()
      this.#usage.set(share, all)
    }
    let usage = all.get(quota)
    if (!usage) all.set(quota, (usage = { bytes: 0, files: 0 }))
    return usage
  }

  /** The first of the quotas for which so much more is too much; what there is has been counted then. */
  exceeded(share: string, quotas: readonly number[], more: Usage): { rule: string; index: number } | null {
    for (const quota of quotas) {
      const limit = this.rules.quota(quota)
      const { bytes, files } = this.usage(share, quota)
      const isOver = (used: number, added: number, most: number): boolean =>
        most > 0 && added > 0 && used + added > most
      if (limit && (isOver(bytes, more.bytes, limit.bytes) || isOver(files, more.files, limit.files)))
        return { rule: limit.name, index: quota }
    }
    return null
  }

  /** Less when negative. */
  add(share: string, quotas: readonly number[], more: Usage): void {
    for (const quota of quotas) {
      const usage = this.usage(share, quota)
      usage.bytes = Math.max(0, usage.bytes + more.bytes)
      usage.files = Math.max(0, usage.files + more.files)
    }
  }

  #count(provider: Provider, share: string): Map<number, Usage> {
    const all = new Map<number, Usage>()
    const linked = new Set<number>()
    walk(provider, provider.root(), COUNTED_MOST, [this.rules.top(share)], this.rules, (node, [path]) => {
      const { quotas } = path!.verdict
      if (quotas.length === 0) return !path!.settled
      const size = sizeOf(provider, node, linked)
      for (const quota of quotas) {
        const usage = all.get(quota) ?? { bytes: 0, files: 0 }
        all.set(quota, { bytes: usage.bytes + size, files: usage.files + 1 })
      }
      return true
    })
    return all
  }
}

/** Bytes of a file by its first name only, as `linked` remembers. */
export function sizeOf(provider: Provider, node: FileNode, linked: Set<number>): number {
  const { ino, links, mode, size } = provider.attributes(node)
  const isCounted = (mode & MODE.kind) === MODE.file && !linked.has(ino)
  if (links > 1 && isCounted) linked.add(ino)
  return isCounted ? size : 0
}

/**
 * Visits all that is below a folder, with the way there as the rules know it from each of `tops`; not below what `visit`
 * says no to. Drops `top`. Returns whether it came to an end before `most`.
 */
export function walk(
  provider: Provider,
  top: FileNode,
  most: number,
  tops: readonly RuledPath[],
  rules: FileRules,
  visit: (node: FileNode, paths: readonly RuledPath[]) => boolean,
): boolean {
  let left = most
  const open = [{ folder: top, paths: tops }]
  try {
    for (let at = open.pop(); at; at = open.pop()) {
      const { folder, paths } = at
      try {
        for (const { name, kind } of provider.list(folder)) {
          if (left-- <= 0) return false
          const node = found(provider, folder, name)
          if (!node) continue
          const below = paths.map((path) => rules.below(path, name))
          if (visit(node, below) && kind === MODE.folder) open.push({ folder: node, paths: below })
          else provider.drop(node)
        }
      } finally {
        provider.drop(folder)
      }
    }
    return true
  } finally {
    for (const { folder } of open) provider.drop(folder)
  }
}

function found(provider: Provider, folder: FileNode, name: string): FileNode | null {
  try {
    return provider.lookup(folder, name)
  } catch {
    return null
  }
}
