import { FileError } from './file-error'
import { isSameToRules } from './file-rules'
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
import type { RuleBook } from './rule-book'
import { RuledCharges, withFound } from './ruled-charges'
import { attributesIn, type RuledNode, type TreePlace } from './ruled-node'
import { RuledNodes } from './ruled-nodes'
import { RuledOpenFile } from './ruled-open-file'
import { identityIn, reviveIn } from './ruled-identity'
import { RuledTree } from './ruled-tree'

export interface RuledOptions {
  /** The name of the share that `inner` is the tree of, as the book knows it. */
  share: string
  book: RuleBook
}

/**
 * A share as the rules of its domain let a guest see and use it, at every moment: also what was found or opened under
 * other rules. What decides is the path that was walked. A file that the host has given a second name is ruled by each
 * name for itself; a guest can give no second name to what it may not change. A folder keeps to where the rules take it
 * and all below it for the same (EXDEV: programs copy then, file by file, what they may).
 *
 * One for all who attach the share: what one renames, the others' nodes follow.
 */
export class RuledProvider implements Provider {
  readonly #tree: RuledTree
  readonly #nodes: RuledNodes
  readonly #charges: RuledCharges

  constructor(
    private readonly inner: Provider,
    private readonly options: RuledOptions,
  ) {
    this.#tree = new RuledTree(inner, options.share, options.book)
    this.#nodes = new RuledNodes((node) => this.#charges.lost(node))
    this.#charges = new RuledCharges(this.#tree, this.#nodes)
  }

  root(): FileNode {
    this.#tree.top.holds++
    return this.#tree.top
  }

  lookup(folder: FileNode, name: FileName): FileNode {
    const own = this.#tree.own(folder)
    const { verdict } = this.#tree.enter(own, name, 'look up')
    if (verdict.to) return this.#nodes.take(this.#tree.lead(own, verdict.to), own, name, true)
    return this.#take(own, name, own.provider.lookup(own.inner, name))
  }

  parent(folder: FileNode): FileNode {
    const own = this.#tree.own(folder)
    own.provider.drop(own.provider.parent(own.inner))
    const above = own.parent ?? own
    above.holds++
    return above
  }

  hold(node: FileNode): void {
    this.#tree.own(node).holds++
  }

  drop(node: FileNode): void {
    this.#nodes.drop(this.#tree.own(node))
  }

  attributes(node: FileNode): Attributes {
    const own = this.#tree.own(node)
    this.#tree.check(own, 'see', 'look at')
    const attributes = attributesIn(own, this.options.share)
    // the links of a folder tell how many folders are in it, hidden ones too; 1 is what file systems say that do not tell
    const isFolder = (attributes.mode & MODE.kind) === MODE.folder
    return isFolder && !this.#tree.path(own).settled ? { ...attributes, links: 1 } : attributes
  }

  change(node: FileNode, change: AttributeChange): void {
    const own = this.#tree.own(node)
    const verdict = this.#tree.use(own, 'change', 'change')
    const work = (): void => own.provider.change(own.inner, change)
    if (change.size === undefined) return work()
    this.#charges.resizing({ at: own, verdict, operation: 'change' }, change.size, true, work)
  }

  list(folder: FileNode): FolderEntry[] {
    const own = this.#tree.own(folder)
    this.#tree.use(own, 'read', 'list')
    return this.#tree.list(own)
  }

  readLink(node: FileNode): string {
    const own = this.#tree.own(node)
    this.#tree.use(own, 'read', 'read')
    return own.provider.readLink(own.inner)
  }

  createFile(folder: FileNode, name: FileName, creation: Creation): FileNode {
    return this.#make(folder, name, ({ provider, inner }) => provider.createFile(inner, name, creation))
  }

  createFolder(folder: FileNode, name: FileName, creation: Creation): FileNode {
    return this.#make(folder, name, ({ provider, inner }) => provider.createFolder(inner, name, creation))
  }

  createLink(folder: FileNode, name: FileName, target: string, creation: Creation): FileNode {
    return this.#make(folder, name, ({ provider, inner }) => provider.createLink(inner, name, target, creation))
  }

  createDevice(folder: FileNode, name: FileName, creation: Creation, device: Attributes['device']): FileNode {
    return this.#make(folder, name, ({ provider, inner }) => provider.createDevice(inner, name, creation, device))
  }

  link(node: FileNode, folder: FileNode, name: FileName): void {
    const [own, to] = [this.#tree.own(node), this.#tree.own(folder)]
    if (own.provider !== to.provider) throw new FileError('EXDEV')
    const from = this.#tree.use(own, 'change', 'link')
    const verdict = this.#tree.useName(to, name, 'link', false)
    this.#charges.linking({ at: to, name, verdict, operation: 'link' }, from, () =>
      own.provider.link(own.inner, to.inner, name),
    )
  }

  unlink(folder: FileNode, name: FileName, folders: boolean): void {
    const own = this.#tree.own(folder)
    const verdict = this.#tree.useName(own, name, 'delete', true)
    this.#charges.unlinking({ at: own, name, verdict, operation: 'delete' }, () =>
      own.provider.unlink(own.inner, name, folders),
    )
    this.#nodes.unname(own, name)
  }

  rename(folder: FileNode, name: FileName, toFolder: FileNode, toName: FileName): void {
    const [own, to] = [this.#tree.own(folder), this.#tree.own(toFolder)]
    const { provider } = own
    if (provider !== to.provider) throw new FileError('EXDEV')
    const operation = 'rename'
    const from = { at: own, name, verdict: this.#tree.useName(own, name, operation, true), operation }
    const target = { at: to, name: toName, verdict: this.#tree.useName(to, toName, operation, false), operation }
    withFound(provider, own.inner, name, (node) => {
      const isFolder = (provider.attributes(node).mode & MODE.kind) === MODE.folder
      if (isFolder) this.#checkMove(own, name, to, toName)
      const replaced = this.#innerAt(to, toName)
      if (replaced === node) return
      this.#charges.moving(from, target, node, replaced !== null, () =>
        provider.rename(own.inner, name, to.inner, toName),
      )
      this.#nodes.move(own, name, to, toName)
      if (isFolder) this.#tree.moved()
    })
  }

  open(node: FileNode, write: boolean): OpenFile {
    const own = this.#tree.own(node)
    this.#tree.use(own, write ? 'change' : 'read', write ? 'open for writing' : 'open')
    const file = own.provider.open(own.inner, write)
    own.holds++
    return new RuledOpenFile(this.#tree, this.#charges, own, file, () => this.#nodes.drop(own))
  }

  xattrs(node: FileNode): string[] {
    const own = this.#tree.own(node)
    this.#tree.use(own, 'read', 'read attributes')
    return own.provider.xattrs(own.inner)
  }

  xattr(node: FileNode, name: string): Uint8Array {
    const own = this.#tree.own(node)
    this.#tree.use(own, 'read', 'read attributes')
    return own.provider.xattr(own.inner, name)
  }

  setXattr(node: FileNode, name: string, value: Uint8Array, mode: 'either' | 'create' | 'replace'): void {
    const own = this.#tree.own(node)
    this.#tree.use(own, 'change', 'change attributes')
    own.provider.setXattr(own.inner, name, value, mode)
  }

  removeXattr(node: FileNode, name: string): void {
    const own = this.#tree.own(node)
    this.#tree.use(own, 'change', 'change attributes')
    own.provider.removeXattr(own.inner, name)
  }

  space(): TreeSpace {
    return this.inner.space()
  }

  identity(node: FileNode): string {
    return identityIn(this.#tree.own(node))
  }

  revive(identity: string): FileNode {
    return reviveIn(this, identity, (folder, name, inner) =>
      this.#nodes.takeNameless(placeIn(folder, inner), folder, name),
    )
  }

  async flush(): Promise<void> {
    await Promise.all([this.inner, ...this.#tree.others].map((provider) => provider.flush()))
  }

  /** Trees that redirects lead to are closed by whoever has them. */
  close(): void {
    this.inner.close()
  }

  #make(folder: FileNode, name: FileName, make: (folder: RuledNode) => FileNode): FileNode {
    const own = this.#tree.own(folder)
    const verdict = this.#tree.useName(own, name, 'make', false)
    return this.#take(
      own,
      name,
      this.#charges.making({ at: own, name, verdict, operation: 'make' }, () => make(own)),
    )
  }

  /** The node for what its provider has under a name, held. */
  #take(folder: RuledNode, name: FileName, inner: FileNode): RuledNode {
    return this.#nodes.take(placeIn(folder, inner), folder, name, false)
  }

  /** Null for nothing; not held. */
  #innerAt({ provider, inner }: RuledNode, name: FileName): FileNode | null {
    try {
      return withFound(provider, inner, name, (node) => node)
    } catch (error) {
      if (error instanceof FileError && error.code === 'ENOENT') return null
      throw error
    }
  }

  #checkMove(folder: RuledNode, name: FileName, toFolder: RuledNode, toName: FileName): void {
    if (isSameToRules(this.#tree.below(folder, name), this.#tree.below(toFolder, toName))) return
    throw new FileError('EXDEV', 'rules see the folder differently there')
  }
}

function placeIn({ share, provider }: RuledNode, inner: FileNode): TreePlace {
  return { share, provider, inner, path: '' }
}
