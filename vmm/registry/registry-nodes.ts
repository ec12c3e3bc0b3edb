import { createHash } from 'node:crypto'
import { FileError } from '../files/file-error'
import { folded } from './key-names'

/** A key or a value of the registry as a file. A node stays the same through renames, and is `gone` once deleted. */
export class RegistryNode {
  /** By kind and folded name: those that somebody holds, or that have such below them. */
  readonly below = new Map<string, RegistryNode>()
  held = 0
  gone = false

  constructor(
    public above: RegistryNode | null,
    public readonly kind: 'key' | 'value',
    public name: string,
    readonly ino: number,
  ) {}

  /** Of a key: its own; of a value: its key's. */
  get path(): string {
    if (this.gone) throw new FileError('ESTALE', 'it was deleted')
    if (this.kind === 'value') return this.above!.path
    const above = this.above?.path ?? ''
    return above === '' ? this.name : `${above}\\${this.name}`
  }

  /** Keys above. */
  get depth(): number {
    return this.above ? this.above.depth + 1 : 0
  }
}

/** The nodes of one tree: one for each file, for as long as it is held. */
export class RegistryNodes {
  readonly root = new RegistryNode(null, 'key', '', 1)

  /** The child, held once. */
  child(above: RegistryNode, kind: 'key' | 'value', name: string): RegistryNode {
    const slot = slotOf(kind, name)
    let node = above.below.get(slot)
    if (!node) above.below.set(slot, (node = new RegistryNode(above, kind, name, this.ino(above, kind, name))))
    node.held++
    return node
  }

  /** The number of a child, whether it has a node or not; a key and its default value differ. */
  ino(above: RegistryNode, kind: 'key' | 'value', name: string): number {
    const known = above.below.get(slotOf(kind, name))
    if (known) return known.ino
    const hash = createHash('md5')
      .update(`${above.ino}${slotOf(kind, name)}`, 'utf16le')
      .digest()
    return 2 + hash.readUIntLE(0, 6)
  }

  drop(node: RegistryNode): void {
    node.held--
    for (let at: RegistryNode | null = node; at.above && at.held <= 0 && at.below.size === 0; at = at.above) {
      const slot = slotOf(at.kind, at.name)
      if (at.above.below.get(slot) === at) at.above.below.delete(slot)
    }
  }

  /** The file was deleted. */
  remove(above: RegistryNode, kind: 'key' | 'value', name: string): void {
    const node = above.below.get(slotOf(kind, name))
    if (!node) return
    node.gone = true
    above.below.delete(slotOf(kind, name))
  }

  move(above: RegistryNode, kind: 'key' | 'value', name: string, toAbove: RegistryNode, toName: string): void {
    const node = above.below.get(slotOf(kind, name))
    if (!node) return
    above.below.delete(slotOf(kind, name))
    node.above = toAbove
    node.name = toName
    toAbove.below.set(slotOf(kind, toName), node)
  }
}

const slotOf = (kind: 'key' | 'value', name: string) => `${kind === 'key' ? 'k' : 'v'}${folded(name)}`
