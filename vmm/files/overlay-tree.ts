import { FileError } from './file-error'
import { layersOf, type OverlayBlobs } from './overlay-blobs'
import type { OverlayLog } from './overlay-log'
import { isMissing, type LowerTree } from './overlay-lower'
import { OverlayNode, ownOf, placeIn, timeNow } from './overlay-node'
import type { ReplayedTree } from './overlay-replay'
import { MODE, type Attributes, type FileName, type FileNode } from './provider'

/** The inodes of an overlay: those in the journal, and the clean ones that somebody holds. */
export class OverlayTree {
  readonly root: OverlayNode
  readonly recorded: Map<number, OverlayNode>
  nextNode: number
  /** Nodes that an operation has looked at, and that may have nobody to hold them. */
  readonly #loose = new Set<OverlayNode>()

  constructor(
    replayed: ReplayedTree,
    readonly lower: LowerTree,
    readonly blobs: OverlayBlobs,
    readonly log: OverlayLog,
  ) {
    this.root = replayed.root
    this.recorded = replayed.nodes
    this.nextNode = replayed.nextNode
  }

  /** What a folder has under a name; not held. */
  child(folder: OverlayNode, name: FileName): OverlayNode | null {
    this.requireFolder(folder)
    if (folder.own?.links === 0) return null
    const entry = folder.own?.entries.get(name)
    if (entry !== undefined) return entry
    if (folder.lower === null) return null
    const found = this.#lowerChild(folder, name)
    if (!found) return null
    const known = folder.alive?.get(name)
    if (known) {
      if (known.lowerNode) this.lower.provider.drop(known.lowerNode)
      known.lowerNode = found
      return known
    }
    const node = new OverlayNode(0, placeIn(folder.lower, name), folder, name)
    node.lowerNode = found
    folder.alive ??= new Map()
    folder.alive.set(name, node)
    this.#loose.add(node)
    return node
  }

  /** Whether the lower folder has the name, seen or not. */
  isBelow(folder: OverlayNode, name: FileName): boolean {
    if (folder.lower === null) return false
    const found = this.#lowerChild(folder, name)
    if (found) this.lower.provider.drop(found)
    return found !== null
  }

  /** Does something with the node that lies below; throws ENOENT or ESTALE when the host has taken it away. */
  onLower<T>(node: OverlayNode, work: (below: FileNode) => T): T {
    const known = node.lowerNode
    try {
      return work(this.lowerOf(node))
    } catch (error) {
      if (!known || !isMissing(error)) throw error
      // something else may be at its place now, and that is what the guest is to see
      this.forgetLower(node)
      return work(this.lowerOf(node))
    }
  }

  lowerOf(node: OverlayNode): FileNode {
    if (node.lower === null) throw new FileError('ESTALE')
    if (node.lowerNode) return node.lowerNode
    node.lowerNode = this.lower.find(node.lower)
    this.#loose.add(node)
    return node.lowerNode
  }

  forgetLower(node: OverlayNode): void {
    if (node.lowerNode) this.lower.provider.drop(node.lowerNode)
    node.lowerNode = null
  }

  /** Attributes of what lies below, or null when that is no more. */
  below(node: OverlayNode): Attributes | null {
    if (node.lower === null) return null
    try {
      return this.onLower(node, (below) => this.lower.provider.attributes(below))
    } catch (error) {
      if (isMissing(error)) return null
      throw error
    }
  }

  modeOf(node: OverlayNode): number {
    return node.own?.mode ?? this.onLower(node, (below) => this.lower.provider.attributes(below)).mode
  }

  isFolder(node: OverlayNode): boolean {
    return (this.modeOf(node) & MODE.kind) === MODE.folder
  }

  requireFolder(node: OverlayNode): void {
    if (!this.isFolder(node)) throw new FileError('ENOTDIR')
  }

  /** Brings a node into the journal, with all folders above it, so that the guest's changes stay whatever the host does. */
  record(node: OverlayNode): NonNullable<OverlayNode['own']> {
    if (node.own) return node.own
    const own = ownOf(this.onLower(node, (below) => this.lower.provider.attributes(below)))
    const { parent, name } = node
    if (parent) this.record(parent)
    node.own = own
    node.id ||= this.nextNode++
    this.recorded.set(node.id, node)
    this.log.touch(node)
    if (parent) {
      this.#forgetAlive(parent, name)
      this.setEntry(parent, name, node)
    }
    return own
  }

  /** Something new in a folder, which is recorded. */
  add(folder: OverlayNode, name: FileName, own: NonNullable<OverlayNode['own']>): OverlayNode {
    const node = new OverlayNode(this.nextNode++, null, folder, name)
    node.own = own
    this.recorded.set(node.id, node)
    this.log.touch(node)
    this.setEntry(folder, name, node)
    return node
  }

  /** A name of a recorded folder leads to a recorded node from now on. */
  setEntry(folder: OverlayNode, name: FileName, node: OverlayNode): void {
    folder.own?.entries.set(name, node)
    this.log.entry(folder, name, node)
  }

  /** A name of a recorded folder leads nowhere. */
  clearEntry(folder: OverlayNode, name: FileName): void {
    const hides = this.isBelow(folder, name)
    if (hides) folder.own?.entries.set(name, null)
    else folder.own?.entries.delete(name)
    this.log.entry(folder, name, hides ? null : undefined)
  }

  /** To be called before `unname`, and before anything is changed. */
  prepareUnname(node: OverlayNode): void {
    // a clean file that nobody holds needs no record: that its name leads nowhere says all
    if (node.holds > 0 || this.isFolder(node)) this.record(node)
  }

  /** Takes a name from what it leads to; the name itself is the caller's to set or clear. */
  unname(folder: OverlayNode, node: OverlayNode): void {
    const { own } = node
    if (!own) return this.#forgetClean(node)
    own.links--
    own.changed = timeNow()
    this.log.touch(node)
    if (this.isFolder(node) && folder.own) folder.own.subfolders--
    if (own.links === 0 && node.holds === 0) this.#free(node)
  }

  /** Takes up a node that has become clean. */
  welcome(node: OverlayNode): void {
    if (!node.parent) return
    node.parent.alive ??= new Map()
    node.parent.alive.set(node.name, node)
    this.#loose.add(node)
  }

  /** To be called after each operation: forgets the clean nodes that it has come by and nobody holds. */
  tidy(): void {
    for (const node of this.#loose) {
      if (node.holds > 0) continue
      if (node.own) this.forgetLower(node)
      else this.#forgetIfUnused(node)
    }
    this.#loose.clear()
  }

  async close(): Promise<void> {
    try {
      await this.log.close()
    } finally {
      this.lower.closeAll()
      this.lower.provider.close()
    }
  }

  hold(node: OverlayNode): OverlayNode {
    node.holds++
    return node
  }

  drop(node: OverlayNode): void {
    if (node.holds === 0) throw new Error('A node is dropped as often as it was held.')
    node.holds--
    if (node.holds > 0) return
    if (node.own?.links === 0) this.#free(node)
    else if (node.own) this.forgetLower(node)
    else this.#forgetIfUnused(node)
  }

  /** Frees what was removed while it was open and has not been taken up again. */
  free(nodes: Iterable<OverlayNode>): void {
    for (const node of nodes) if (node.own?.links === 0 && node.holds === 0) this.#free(node)
  }

  #lowerChild(folder: OverlayNode, name: FileName): FileNode | null {
    try {
      return this.onLower(folder, (below) => this.lower.provider.lookup(below, name))
    } catch (error) {
      if (isMissing(error)) return null
      throw error
    }
  }

  #free(node: OverlayNode): void {
    if (!this.recorded.delete(node.id)) return
    for (const content of layersOf(node.own?.content ?? null)) this.log.blobGone(content)
    this.log.gone(node)
    this.log.end()
    this.forgetLower(node)
  }

  #forgetIfUnused(node: OverlayNode): void {
    if (node.own || node.holds > 0 || (node.alive && node.alive.size > 0) || !node.parent) return
    this.#forgetClean(node)
  }

  #forgetClean(node: OverlayNode): void {
    this.forgetLower(node)
    if (node.parent) this.#forgetAlive(node.parent, node.name)
    if (node.parent && !node.parent.own) this.#forgetIfUnused(node.parent)
  }

  #forgetAlive(folder: OverlayNode, name: FileName): void {
    folder.alive?.delete(name)
    if (folder.alive?.size === 0) folder.alive = null
  }
}

/** The files of all blobs that nodes name. */
export function blobNames(nodes: Iterable<OverlayNode>): Set<string> {
  const names = new Set<string>()
  for (const { own } of nodes) for (const { id } of layersOf(own?.content ?? null)) names.add(id)
  return names
}
