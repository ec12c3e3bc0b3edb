import { FileError } from './file-error'
import {
  MODE,
  type AttributeChange,
  type Attributes,
  type Creation,
  type FileName,
  type FileNode,
  type FolderEntry,
  type OpenFile,
  type Provider,
  type TreeSpace,
} from './provider'

/** Numbers of files of different trees are kept apart by this many places at their end; 0 is the top folder's own. */
const TREES_MOST = 64
const TOP_INO = TREES_MOST
const EPOCH = { sec: 0, nsec: 0 }

/** A node of one of the trees, and which. */
class Within {
  constructor(
    readonly tree: Tree,
    readonly node: FileNode,
  ) {}
}

interface Tree {
  name: FileName
  provider: Provider
  /** Tells its files' numbers from the other trees': 1 and up. */
  index: number
  /** The same node is the same object, for as long as it is held. */
  nodes: Map<FileNode, { within: Within; held: number }>
}

/** A folder that cannot be changed, whose entries are the tops of other trees. What is in those is as they have it. */
export class RootProvider implements Provider {
  readonly #top = {}
  readonly #trees = new Map<FileName, Tree>()

  constructor(trees: Iterable<readonly [FileName, Provider]> = []) {
    this.set(trees)
  }

  /** Shows these trees, at most 63; a tree that was shown before under its name stays as it is. */
  set(trees: Iterable<readonly [FileName, Provider]>): void {
    const wanted = new Map(trees)
    if (wanted.size >= TREES_MOST) throw new RangeError('a folder of too many trees')
    for (const [name, { provider }] of this.#trees) if (wanted.get(name) !== provider) this.#trees.delete(name)
    for (const [name, provider] of wanted) {
      if (this.#trees.has(name)) continue
      this.#trees.set(name, { name, provider, index: this.#freeIndex(), nodes: new Map() })
    }
  }

  /** In which tree a node lies, and its file's number there; null for the folder of all trees. */
  treeOf(node: FileNode, ino: number): { name: FileName; provider: Provider; ino: number } | null {
    if (node === this.#top) return null
    const { tree } = within(node)
    return { name: tree.name, provider: tree.provider, ino: Math.floor(ino / TREES_MOST) }
  }

  root(): FileNode {
    return this.#top
  }

  lookup(folder: FileNode, name: FileName): FileNode {
    if (folder !== this.#top) {
      const { tree, node } = within(folder)
      return this.#wrap(tree, tree.provider.lookup(node, name))
    }
    const tree = this.#trees.get(name)
    if (tree === undefined) throw new FileError('ENOENT')
    return this.#wrap(tree, tree.provider.root())
  }

  parent(folder: FileNode): FileNode {
    if (folder === this.#top) return this.#top
    const { tree, node } = within(folder)
    const top = tree.provider.root()
    try {
      if (top === node) return this.#top
    } finally {
      tree.provider.drop(top)
    }
    return this.#wrap(tree, tree.provider.parent(node))
  }

  hold(node: FileNode): void {
    if (node === this.#top) return
    const { tree, node: inner } = within(node)
    tree.provider.hold(inner)
    tree.nodes.get(inner)!.held++
  }

  drop(node: FileNode): void {
    if (node === this.#top) return
    const { tree, node: inner } = within(node)
    const known = tree.nodes.get(inner)!
    if (--known.held === 0) tree.nodes.delete(inner)
    tree.provider.drop(inner)
  }

  attributes(node: FileNode): Attributes {
    if (node !== this.#top) {
      const { tree, node: inner } = within(node)
      const attributes = tree.provider.attributes(inner)
      return { ...attributes, ino: inoIn(tree, attributes.ino) }
    }
    return {
      ...{ ino: TOP_INO, mode: MODE.folder | 0o555, links: 2 + this.#trees.size, uid: 0, gid: 0 },
      ...{ device: { major: 0, minor: 0 }, size: 0, used: 0, accessed: EPOCH, modified: EPOCH, changed: EPOCH },
    }
  }

  change(node: FileNode, change: AttributeChange): void {
    const { tree, node: inner } = this.#changeable(node)
    tree.provider.change(inner, change)
  }

  list(folder: FileNode): FolderEntry[] {
    if (folder !== this.#top) {
      const { tree, node } = within(folder)
      return tree.provider.list(node).map((entry) => ({ ...entry, ino: inoIn(tree, entry.ino) }))
    }
    return [...this.#trees.values()].map((tree) => {
      const root = tree.provider.root()
      try {
        return { name: tree.name, ino: inoIn(tree, tree.provider.attributes(root).ino), kind: MODE.folder }
      } finally {
        tree.provider.drop(root)
      }
    })
  }

  readLink(node: FileNode): string {
    const { tree, node: inner } = this.#below(node)
    return tree.provider.readLink(inner)
  }

  createFile(folder: FileNode, name: FileName, creation: Creation): FileNode {
    const { tree, node } = this.#changeable(folder)
    return this.#wrap(tree, tree.provider.createFile(node, name, creation))
  }

  createFolder(folder: FileNode, name: FileName, creation: Creation): FileNode {
    const { tree, node } = this.#changeable(folder)
    return this.#wrap(tree, tree.provider.createFolder(node, name, creation))
  }

  createLink(folder: FileNode, name: FileName, target: string, creation: Creation): FileNode {
    const { tree, node } = this.#changeable(folder)
    return this.#wrap(tree, tree.provider.createLink(node, name, target, creation))
  }

  createDevice(
    folder: FileNode,
    name: FileName,
    creation: Creation,
    device: { major: number; minor: number },
  ): FileNode {
    const { tree, node } = this.#changeable(folder)
    return this.#wrap(tree, tree.provider.createDevice(node, name, creation, device))
  }

  link(node: FileNode, folder: FileNode, name: FileName): void {
    const from = this.#changeable(node)
    const to = this.#changeable(folder)
    if (from.tree !== to.tree) throw new FileError('EXDEV')
    to.tree.provider.link(from.node, to.node, name)
  }

  unlink(folder: FileNode, name: FileName, folders: boolean): void {
    const { tree, node } = this.#changeable(folder)
    tree.provider.unlink(node, name, folders)
  }

  rename(folder: FileNode, name: FileName, toFolder: FileNode, toName: FileName): void {
    const from = this.#changeable(folder)
    const to = this.#changeable(toFolder)
    if (from.tree !== to.tree) throw new FileError('EXDEV')
    from.tree.provider.rename(from.node, name, to.node, toName)
  }

  open(node: FileNode, write: boolean): OpenFile {
    const { tree, node: inner } = this.#below(node)
    return tree.provider.open(inner, write)
  }

  xattrs(node: FileNode): string[] {
    return node === this.#top ? [] : within(node).tree.provider.xattrs(within(node).node)
  }

  xattr(node: FileNode, name: string): Uint8Array {
    if (node === this.#top) throw new FileError('ENODATA')
    const { tree, node: inner } = within(node)
    return tree.provider.xattr(inner, name)
  }

  setXattr(node: FileNode, name: string, value: Uint8Array, mode: 'either' | 'create' | 'replace'): void {
    const { tree, node: inner } = this.#changeable(node)
    tree.provider.setXattr(inner, name, value, mode)
  }

  removeXattr(node: FileNode, name: string): void {
    const { tree, node: inner } = this.#changeable(node)
    tree.provider.removeXattr(inner, name)
  }

  /** Of the trees together. */
  space(): TreeSpace {
    const sum: TreeSpace = { total: 0, free: 0, files: 0, filesFree: 0 }
    for (const { provider } of this.#trees.values()) {
      const { total, free, files, filesFree } = provider.space()
      sum.total += total
      sum.free += free
      sum.files += files
      sum.filesFree += filesFree
    }
    return sum
  }

  identity(node: FileNode): string {
    if (node === this.#top) return ''
    const { tree, node: inner } = within(node)
    return `${tree.name}/${tree.provider.identity(inner)}`
  }

  revive(identity: string): FileNode {
    if (identity === '') return this.#top
    const slash = identity.indexOf('/')
    const tree = this.#trees.get(identity.slice(0, slash))
    if (tree === undefined) throw new FileError('ESTALE')
    return this.#wrap(tree, tree.provider.revive(identity.slice(slash + 1)))
  }

  async flush(): Promise<void> {
    await Promise.all([...this.#trees.values()].map(({ provider }) => provider.flush()))
  }

  /** The trees are their owners' to close. */
  close(): void {}

  /** Takes over what the tree held for us. */
  #wrap(tree: Tree, node: FileNode): FileNode {
    const known = tree.nodes.get(node)
    if (known !== undefined) {
      known.held++
      return known.within
    }
    const made = new Within(tree, node)
    tree.nodes.set(node, { within: made, held: 1 })
    return made
  }

  #freeIndex(): number {
    const taken = new Set([...this.#trees.values()].map(({ index }) => index))
    let index = 1
    while (taken.has(index)) index++
    return index
  }

  #below(node: FileNode): Within {
    if (node === this.#top) throw new FileError('EISDIR')
    return within(node)
  }

  #changeable(node: FileNode): Within {
    if (node === this.#top) throw new FileError('EROFS')
    return within(node)
  }
}

const within = (node: FileNode): Within => node as Within

/** Stays a number that a double holds exactly. */
function inoIn({ index }: Tree, ino: number): number {
  return (ino % 2 ** 47) * TREES_MOST + index
}
