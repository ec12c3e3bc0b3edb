import { FileError } from './file-error'
import { isMissing } from './overlay-lower'
import { timeNow, type OverlayNode } from './overlay-node'
import type { OverlayTree } from './overlay-tree'

const NAME_MOST = 255
const VALUE_MOST = 64 * 1024
/** Attributes of one file. */
const COUNT_MOST = 128

/** Extended attributes: the lower ones until the guest changes one, then all are the overlay's. */
export class OverlayXattrs {
  constructor(private readonly tree: OverlayTree) {}

  names(node: OverlayNode): string[] {
    return node.own?.xattrs ? [...node.own.xattrs.keys()] : this.#namesBelow(node)
  }

  value(node: OverlayNode, name: string): Uint8Array {
    const known = node.own?.xattrs
    if (known) {
      const value = known.get(name)
      if (!value) throw new FileError('ENODATA')
      return value
    }
    return this.tree.onLower(node, (below) => this.tree.lower.provider.xattr(below, name))
  }

  set(node: OverlayNode, name: string, value: Uint8Array, mode: 'either' | 'create' | 'replace'): void {
    if (name.length > NAME_MOST) throw new FileError('ERANGE')
    if (value.byteLength > VALUE_MOST) throw new FileError('ENOSPC')
    const values = this.#own(node)
    if (mode === 'create' && values.has(name)) throw new FileError('EEXIST')
    if (mode === 'replace' && !values.has(name)) throw new FileError('ENODATA')
    if (!values.has(name) && values.size >= COUNT_MOST) throw new FileError('ENOSPC')
    const kept = Uint8Array.prototype.slice.call(value)
    values.set(name, kept)
    this.#changed(node, name, kept)
  }

  remove(node: OverlayNode, name: string): void {
    if (!this.names(node).includes(name)) throw new FileError('ENODATA')
    this.#own(node).delete(name)
    this.#changed(node, name, null)
  }

  #changed(node: OverlayNode, name: string, value: Uint8Array | null): void {
    const own = this.tree.record(node)
    own.attributed = true
    own.changed = timeNow()
    this.tree.log.touch(node)
    this.tree.log.xattr(node, name, value)
  }

  #own(node: OverlayNode): Map<string, Uint8Array> {
    const own = this.tree.record(node)
    if (own.xattrs) return own.xattrs
    const values = new Map<string, Uint8Array>()
    for (const name of this.#namesBelow(node).slice(0, COUNT_MOST)) {
      values.set(
        name,
        this.tree.onLower(node, (below) => this.tree.lower.provider.xattr(below, name)),
      )
    }
    own.xattrs = values
    for (const [name, value] of values) this.tree.log.xattr(node, name, value)
    return values
  }

  #namesBelow(node: OverlayNode): string[] {
    if (node.lower === null) return []
    try {
      return this.tree.onLower(node, (below) => this.tree.lower.provider.xattrs(below))
    } catch (error) {
      if (node.own && (isMissing(error) || (error instanceof FileError && error.code === 'EOPNOTSUPP'))) return []
      throw error
    }
  }
}
