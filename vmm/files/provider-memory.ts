import { FileError } from './file-error'
import { MemoryContent } from './provider-memory-content'
import { checkReplaceable, folderOf, isWithin, LINKS_MOST, NO_DEVICE, type MemoryNode } from './provider-memory-node'
import {
  MODE,
  type AttributeChange,
  type Attributes,
  type Creation,
  type FileName,
  type FileNode,
  type FileTime,
  type FolderEntry,
  type OpenFile,
  type Provider,
  type TreeSpace,
} from './provider'

/** A tree in memory: for small trees of our own, and the measure of what other trees have to do. */
export class MemoryProvider implements Provider {
  readonly #nodes = new Map<number, MemoryNode>()
  readonly #root: MemoryNode
  #nextIno = 1
  #lastMs = 0
  #lastNs = 0

  /** `now` in milliseconds since the Unix epoch. */
  constructor(private readonly now: () => number = Date.now) {
    this.#root = this.#make({ mode: MODE.folder | 0o755, uid: 0, gid: 0 })
    this.#root.entries = new Map()
    this.#root.parent = this.#root
    this.#root.links = 2
  }

  /** Nodes there are, with and without names: those are gone as soon as nobody holds them. */
  get nodes(): number {
    return this.#nodes.size
  }

  root(): FileNode {
    return this.#held(this.#root)
  }

  lookup(folder: FileNode, name: FileName): FileNode {
    return this.#held(this.#entry(folder, name))
  }

  parent(folder: FileNode): FileNode {
    folderOf(folder)
    return this.#held((folder as MemoryNode).parent!)
  }

  hold(node: FileNode): void {
    ;(node as MemoryNode).held++
  }

  drop(node: FileNode): void {
    const dropped = node as MemoryNode
    dropped.held--
    this.#forget(dropped)
  }

  attributes(node: FileNode): Attributes {
    const { ino, mode, links, uid, gid, device, accessed, modified, changed, content, target } = node as MemoryNode
    const kind = mode & MODE.kind
    const size = kind === MODE.link ? target.length : content.size
    return { ino, mode, links, uid, gid, device, size, used: content.used, accessed, modified, changed }
  }

  change(node: FileNode, change: AttributeChange): void {
    const changed = node as MemoryNode
    if (change.size !== undefined) {
      if ((changed.mode & MODE.kind) !== MODE.file) throw new FileError('EINVAL')
      changed.content.truncate(change.size)
      changed.modified = this.#time()
    }
    if (change.mode !== undefined) changed.mode = (changed.mode & MODE.kind) | (change.mode & MODE.permissions)
    changed.uid = change.uid ?? changed.uid
    changed.gid = change.gid ?? changed.gid
    if (change.accessed !== undefined) changed.accessed = this.#timeOr(change.accessed)
    if (change.modified !== undefined) changed.modified = this.#timeOr(change.modified)
    changed.changed = this.#time()
  }

  list(folder: FileNode): FolderEntry[] {
    const list: FolderEntry[] = []
    for (const [name, { ino, mode }] of folderOf(folder)) list.push({ name, ino, kind: mode & MODE.kind })
    return list
  }

  readLink(node: FileNode): string {
    const { mode, target } = node as MemoryNode
    if ((mode & MODE.kind) !== MODE.link) throw new FileError('EINVAL')
    return target
  }

  createFile(folder: FileNode, name: FileName, creation: Creation): FileNode {
    return this.#add(folder, name, MODE.file, creation)
  }

  createFolder(folder: FileNode, name: FileName, creation: Creation): FileNode {
    const parent = folder as MemoryNode
    const made = this.#add(folder, name, MODE.folder, creation)
    made.entries = new Map()
    made.parent = parent
    made.links = 2
    parent.links++
    return made
  }

  createLink(folder: FileNode, name: FileName, target: string, creation: Creation): FileNode {
    const made = this.#add(folder, name, MODE.link, creation)
    made.target = target
    return made
  }

  createDevice(folder: FileNode, name: FileName, creation: Creation, device: typeof NO_DEVICE): FileNode {
    const made = this.#add(folder, name, creation.mode & MODE.kind, creation)
    const kind = creation.mode & MODE.kind
    if (kind === MODE.block || kind === MODE.character) made.device = device
    return made
  }

  link(node: FileNode, folder: FileNode, name: FileName): void {
    const linked = node as MemoryNode
    const entries = this.#changeable(folder)
    if (linked.entries !== null) throw new FileError('EPERM')
    if (linked.links === 0) throw new FileError('ENOENT')
    if (linked.links >= LINKS_MOST) throw new FileError('EMLINK')
    if (entries.has(name)) throw new FileError('EEXIST')
    entries.set(name, linked)
    linked.links++
    linked.changed = this.#time()
    this.#touch(folder)
  }

  unlink(folder: FileNode, name: FileName, folders: boolean): void {
    const node = this.#entry(folder, name)
    if (folders !== (node.entries !== null)) throw new FileError(folders ? 'ENOTDIR' : 'EISDIR')
    if (node.entries !== null && node.entries.size > 0) throw new FileError('ENOTEMPTY')
    folderOf(folder).delete(name)
    this.#touch(folder)
    this.#unnamed(node, folder as MemoryNode)
  }

  rename(folder: FileNode, name: FileName, toFolder: FileNode, toName: FileName): void {
    const node = this.#entry(folder, name)
    const target = this.#changeable(toFolder)
    const replaced = target.get(toName)
    if (replaced === node) return
    if (node.entries !== null && isWithin(toFolder as MemoryNode, node)) throw new FileError('EINVAL')
    if (replaced !== undefined) checkReplaceable(node, replaced)
    folderOf(folder).delete(name)
    if (replaced !== undefined) {
      target.delete(toName)
      this.#unnamed(replaced, toFolder as MemoryNode)
    }
    target.set(toName, node)
    if (node.entries !== null) {
      node.parent = toFolder as MemoryNode
      ;(folder as MemoryNode).links--
      ;(toFolder as MemoryNode).links++
    }
    node.changed = this.#time()
    this.#touch(folder)
    this.#touch(toFolder)
  }

  open(node: FileNode, write: boolean): OpenFile {
    const opened = node as MemoryNode
    const kind = opened.mode & MODE.kind
    if (kind !== MODE.file) throw new FileError(kind === MODE.folder ? 'EISDIR' : 'EINVAL')
    this.hold(opened)
    return {
      read: (position, into) => opened.content.read(position, into),
      write: (position, data) => {
        if (!write) throw new FileError('EBADF')
        opened.content.write(position, data)
        opened.modified = opened.changed = this.#time()
      },
      sync: () => Promise.resolve(),
      close: () => this.drop(opened),
    }
  }

  xattrs(node: FileNode): string[] {
    return [...(node as MemoryNode).xattrs.keys()]
  }

  xattr(node: FileNode, name: string): Uint8Array {
    const value = (node as MemoryNode).xattrs.get(name)
    if (value === undefined) throw new FileError('ENODATA')
    return value
  }

  setXattr(node: FileNode, name: string, value: Uint8Array, mode: 'either' | 'create' | 'replace'): void {
    const { xattrs } = node as MemoryNode
    if (mode === 'create' && xattrs.has(name)) throw new FileError('EEXIST')
    if (mode === 'replace' && !xattrs.has(name)) throw new FileError('ENODATA')
    xattrs.set(name, value.slice())
    ;(node as MemoryNode).changed = this.#time()
  }

  removeXattr(node: FileNode, name: string): void {
    if (!(node as MemoryNode).xattrs.delete(name)) throw new FileError('ENODATA')
    ;(node as MemoryNode).changed = this.#time()
  }

  space(): TreeSpace {
    const total = 2 ** 40
    let used = 0
    for (const { content } of this.#nodes.values()) used += content.used
    return { total, free: total - used, files: 2 ** 32, filesFree: 2 ** 32 - this.#nodes.size }
  }

  identity(node: FileNode): string {
    return String((node as MemoryNode).ino)
  }

  revive(identity: string): FileNode {
    const node = this.#nodes.get(Number(identity))
    if (node === undefined) throw new FileError('ESTALE')
    return this.#held(node)
  }

  async flush(): Promise<void> {}

  close(): void {}

  #make({ mode, uid, gid }: Creation): MemoryNode {
    const time = this.#time()
    const node: MemoryNode = {
      ...{ mode, uid, gid, ino: this.#nextIno++, links: 1, device: NO_DEVICE, held: 0, target: '' },
      ...{ accessed: time, modified: time, changed: time },
      content: new MemoryContent(),
      entries: null,
      parent: null,
      xattrs: new Map(),
    }
    this.#nodes.set(node.ino, node)
    return node
  }

  #add(folder: FileNode, name: FileName, kind: number, creation: Creation): MemoryNode {
    const entries = this.#changeable(folder)
    if (entries.has(name)) throw new FileError('EEXIST')
    const made = this.#make({ ...creation, mode: kind | (creation.mode & MODE.permissions) })
    entries.set(name, made)
    this.#touch(folder)
    return this.#held(made)
  }

  #held(node: MemoryNode): MemoryNode {
    node.held++
    return node
  }

  #entry(folder: FileNode, name: FileName): MemoryNode {
    const node = folderOf(folder).get(name)
    if (node === undefined) throw new FileError('ENOENT')
    return node
  }

  /** A folder that was removed takes nothing new. */
  #changeable(folder: FileNode): Map<FileName, MemoryNode> {
    const entries = folderOf(folder)
    if ((folder as MemoryNode).links === 0) throw new FileError('ENOENT')
    return entries
  }

  #unnamed(node: MemoryNode, folder: MemoryNode): void {
    if (node.entries === null) node.links--
    else {
      node.links = 0
      folder.links--
    }
    node.changed = this.#time()
    this.#forget(node)
  }

  #forget(node: MemoryNode): void {
    if (node.links === 0 && node.held === 0) this.#nodes.delete(node.ino)
  }

  #touch(folder: FileNode): void {
    const touched = folder as MemoryNode
    touched.modified = touched.changed = this.#time()
  }

  #timeOr(time: FileTime | 'now'): FileTime {
    return time === 'now' ? this.#time() : time
  }

  /** Each time is later than the one before, though the clock be coarse: content that changed can be told by it. */
  #time(): FileTime {
    const ms = Math.floor(this.now())
    this.#lastNs = ms > this.#lastMs ? 0 : Math.min(this.#lastNs + 1, 999_999)
    this.#lastMs = Math.max(ms, this.#lastMs)
    return { sec: Math.floor(this.#lastMs / 1000), nsec: (this.#lastMs % 1000) * 1_000_000 + this.#lastNs }
  }
}
