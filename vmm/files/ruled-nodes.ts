import type { FileName, FileNode } from './provider'
import { RuledNode, type TreePlace } from './ruled-node'

/** The nodes of a tree under rules that somebody holds, one for each name that was walked. */
export class RuledNodes {
  /** How many nodes there are for what a provider holds: one for each name by which it was found. */
  readonly #ways = new Map<FileNode, number>()

  /** `lost` is told of a node without a name, right before nobody holds it or what it stands for any more. */
  constructor(private readonly lost: (node: RuledNode) => void) {}

  /** The node for what a name leads to, held once; takes over the hold of what is in `place`. */
  take(place: TreePlace, folder: RuledNode, name: FileName, isRedirect: boolean): RuledNode {
    const key = isRedirect ? redirectKey(name) : name
    const known = folder.children.get(key)
    if (known?.inner === place.inner && known.provider === place.provider) {
      place.provider.drop(place.inner)
      known.holds++
      return known
    }
    const node = this.#made(new RuledNode(place, folder, name, isRedirect), folder)
    folder.children.set(key, node)
    return node
  }

  /** One for what had a name; takes over the hold of what is in `place`. */
  takeNameless(place: TreePlace, folder: RuledNode, name: FileName): RuledNode {
    const node = this.#made(new RuledNode(place, folder, name, false), folder)
    node.isNameless = true
    return node
  }

  drop(node: RuledNode): void {
    for (let at = node; --at.holds === 0 && at.parent; at = at.parent) this.#forget(at, at.parent)
  }

  isHeld(inner: FileNode): boolean {
    return this.#ways.has(inner)
  }

  /** A name was removed; who holds what it led to keeps that. */
  unname(folder: RuledNode, name: FileName): void {
    const node = folder.children.get(name)
    if (!node) return
    folder.children.delete(name)
    node.isNameless = true
  }

  move(folder: RuledNode, name: FileName, toFolder: RuledNode, toName: FileName): void {
    this.unname(toFolder, toName)
    const node = folder.children.get(name)
    if (!node) return
    folder.children.delete(name)
    toFolder.children.set(toName, node)
    node.name = toName
    node.seen = ''
    node.parent = toFolder
    toFolder.holds++
    this.drop(folder)
  }

  #made(node: RuledNode, folder: RuledNode): RuledNode {
    folder.holds++
    this.#ways.set(node.inner, (this.#ways.get(node.inner) ?? 0) + 1)
    return node
  }

  #forget(node: RuledNode, parent: RuledNode): void {
    const key = node.isRedirect ? redirectKey(node.name) : node.name
    if (parent.children.get(key) === node) parent.children.delete(key)
    const ways = this.#ways.get(node.inner)! - 1
    if (ways > 0) this.#ways.set(node.inner, ways)
    else {
      this.#ways.delete(node.inner)
      if (node.isNameless) this.lost(node)
    }
    node.provider.drop(node.inner)
  }
}

/** Kept apart from what is below a redirect, and seen again when the rule goes; no name has a '/'. */
function redirectKey(name: FileName): string {
  return `/${name}`
}
