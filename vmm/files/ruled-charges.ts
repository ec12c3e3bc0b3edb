import { FileError } from './file-error'
import type { Usage } from './file-quotas'
import type { FileVerdict } from './file-rules'
import { MODE, type FileName, type FileNode, type Provider } from './provider'
import { pathOf, type RuledNode } from './ruled-node'
import type { RuledNodes } from './ruled-nodes'
import type { RuledTree } from './ruled-tree'

/** A place that quotas are charged for: a node, or a name in it. */
export interface Charged {
  readonly at: RuledNode
  readonly name?: FileName
  readonly verdict: FileVerdict
  readonly operation: string
}

const ONE_MORE: Usage = { bytes: 0, files: 1 }
const NOTHING: Usage = { bytes: 0, files: 0 }

/**
 * Charges quotas for what a guest does. A file counts with its size, holes too, once whatever its names; one without a
 * name counts until nobody holds it. So that a file does not lie within a quota and outside of it at once, nothing gets
 * a second name under other quotas (EXDEV), as with the project quotas of Linux.
 */
export class RuledCharges {
  constructor(
    private readonly tree: RuledTree,
    private readonly nodes: RuledNodes,
  ) {}

  making<T>(charged: Charged, work: () => T): T {
    return this.#during(charged, ONE_MORE, work)
  }

  /** Content that will end at `size`; `cuts`: also where it is longer now. */
  resizing(charged: Charged, size: number, cuts: boolean, work: () => void): void {
    const { at, verdict } = charged
    if (verdict.quotas.length === 0) return work()
    const grown = size - at.provider.attributes(at.inner).size
    this.#during(charged, { bytes: cuts ? grown : Math.max(0, grown), files: 0 }, work)
  }

  linking(charged: Charged, from: FileVerdict, work: () => void): void {
    if (!isSame(from, charged.verdict)) throw new FileError('EXDEV', 'other quotas hold there')
    this.#during(charged, ONE_MORE, work)
  }

  unlinking(charged: Charged, work: () => void): void {
    const { at, name, verdict } = charged
    if (verdict.quotas.length === 0) return work()
    this.#during(charged, this.#ofName(at, name!), work)
  }

  /** `node`: what is moved; for a folder the quotas are the same on both sides. */
  moving(from: Charged, to: Charged, node: FileNode, replaces: boolean, work: () => void): void {
    if (from.verdict.quotas.length + to.verdict.quotas.length === 0) return work()
    const gone = replaces ? this.#ofName(to.at, to.name!) : NOTHING
    if (isSame(from.verdict, to.verdict)) return this.#during(to, gone, work)
    const { mode, links, size } = to.at.provider.attributes(node)
    const isFile = (mode & MODE.kind) === MODE.file
    if (isFile && links > 1) throw new FileError('EXDEV', 'it has another name, and other quotas hold there')
    const bytes = isFile ? size : 0
    this.#during(from, { bytes: -bytes, files: -1 }, () =>
      this.#during(to, { bytes: bytes + gone.bytes, files: 1 + gone.files }, work),
    )
  }

  /** A file without a name is held no more. */
  lost(node: RuledNode): void {
    try {
      const { quotas } = this.tree.path(node).verdict
      if (quotas.length === 0) return
      const { mode, links, size } = node.provider.attributes(node.inner)
      if (links > 0 || (mode & MODE.kind) !== MODE.file) return
      this.tree.book.quotas.add(node.share, quotas, { bytes: -size, files: 0 })
    } catch (error) {
      if (!(error instanceof FileError)) throw error
      // it is not there in the share any more, where quotas are counted
    }
  }

  #during<T>({ at, name, verdict, operation }: Charged, more: Usage, work: () => T): T {
    const { quotas } = verdict
    if (quotas.length === 0) return work()
    const { book } = this.tree
    const over = book.quotas.exceeded(at.share, quotas, more)
    if (over) {
      const report = { share: at.share, path: pathOf(at, name), operation, action: 'quota' as const }
      book.reports.add({ ...report, ...over })
      throw new FileError('EDQUOT', `the quota '${over.rule}' is used up`)
    }
    const done = work()
    book.quotas.add(at.share, quotas, more)
    return done
  }

  /** What goes away with a name: the content only with the last, and only if nobody holds it. */
  #ofName(folder: RuledNode, name: FileName): Usage {
    return withFound(folder.provider, folder.inner, name, (node) => {
      const { mode, links, size } = folder.provider.attributes(node)
      const isGone = (mode & MODE.kind) === MODE.file && links === 1 && !this.nodes.isHeld(node)
      return { bytes: isGone ? -size : 0, files: -1 }
    })
  }
}

/** Does something with what is under a name. Throws ENOENT. */
export function withFound<T>(provider: Provider, folder: FileNode, name: FileName, work: (node: FileNode) => T): T {
  const node = provider.lookup(folder, name)
  try {
    return work(node)
  } finally {
    provider.drop(node)
  }
}

function isSame({ quotas }: FileVerdict, other: FileVerdict): boolean {
  return String(quotas) === String(other.quotas)
}
