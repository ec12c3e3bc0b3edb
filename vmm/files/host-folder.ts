import fs from 'node:fs'
import { VmmError } from '../model/errors'
import { FileError } from './file-error'
import {
  changeAttributes,
  checkLink,
  checkMovedLinks,
  linkTextAt,
  namedPath,
  openRegular,
  readLinkText,
  safePermissions,
} from './host-changes'
import { HostDirty } from './host-dirty'
import { checkName } from './host-names'
import { attributesOf, kindOf, onHost, type HostNode } from './host-node'
import { HostNodes } from './host-nodes'
import type { HostReach } from './host-reach'
import { LinuxReach } from './host-reach-linux'
import { PortableReach } from './host-reach-portable'
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

export interface HostFolderOptions {
  /** An absolute path of this host. */
  folder: string
  /** Whether the guest's changes are made on the host. */
  writable: boolean
  /** By paths even where descriptors work. */
  portable?: boolean
}

/**
 * A folder of the host as it is. What a guest does here never leaves the folder: links are told and never followed, other
 * file systems mounted below are not shown, devices, fifos and sockets are shown and never opened. Nothing that a
 * program of the host would stumble over is made: no devices, no set-user-id, no links that lead out, no other owners.
 * New files belong to whom Vivarium runs as. Two names of one file (hard links) that the host has made are one file here
 * too, also when the other name is outside. Extended attributes are not supported.
 */
export class HostFolderProvider implements Provider {
  readonly #reach: HostReach
  readonly #nodes: HostNodes
  readonly #dirty: HostDirty
  readonly #writable: boolean

  /** Throws `VmmError` not-found or invalid. */
  constructor({ folder, writable, portable = false }: HostFolderOptions) {
    this.#writable = writable
    try {
      this.#reach = portable || !LinuxReach.works ? new PortableReach(folder) : new LinuxReach(folder)
    } catch (cause) {
      const hint = 'Choose a folder that exists and may be read.'
      throw new VmmError('not-found', `The folder ${folder} cannot be attached: ${onlyText(cause)}.`, { hint, cause })
    }
    this.#nodes = new HostNodes(this.#reach)
    this.#dirty = new HostDirty(this.#reach, this.#nodes)
  }

  root(): FileNode {
    this.#nodes.top.holds++
    return this.#nodes.top
  }

  lookup(folder: FileNode, name: FileName): FileNode {
    return onHost(() => {
      const own = this.#nodes.folder(folder)
      return this.#nodes.hold(this.#found(own, name), own, name)
    })
  }

  parent(folder: FileNode): FileNode {
    const own = this.#nodes.folder(folder)
    const above = own.parent ?? own
    above.holds++
    return above
  }

  hold(node: FileNode): void {
    this.#nodes.own(node).holds++
  }

  drop(node: FileNode): void {
    this.#nodes.drop(this.#nodes.own(node))
  }

  attributes(node: FileNode): Attributes {
    return onHost(() => attributesOf(this.#reach.stat(this.#nodes.own(node)), this.#reach.top.dev))
  }

  change(node: FileNode, change: AttributeChange): void {
    this.#forWriting(() => {
      const own = this.#nodes.own(node)
      changeAttributes(this.#reach, own, change)
      this.#dirty.add(own)
    })
  }

  list(folder: FileNode): FolderEntry[] {
    return onHost(() => this.#nodes.list(this.#nodes.folder(folder)))
  }

  readLink(node: FileNode): string {
    return onHost(() => {
      const own = this.#nodes.own(node)
      if (own.text !== null) return own.text
      if (own.kind !== MODE.link) throw new FileError('EINVAL', 'no link')
      return readLinkText(this.#reach, own)
    })
  }

  createFile(folder: FileNode, name: FileName, { mode }: Creation): FileNode {
    const { O_CREAT, O_EXCL, O_WRONLY, O_NOFOLLOW } = fs.constants
    const permissions = safePermissions(mode)
    return this.#create(folder, name, (path) => {
      const fd = fs.openSync(path, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, permissions)
      try {
        fs.fchmodSync(fd, permissions)
      } finally {
        fs.closeSync(fd)
      }
    })
  }

  createFolder(folder: FileNode, name: FileName, { mode }: Creation): FileNode {
    const permissions = safePermissions(mode)
    const made = this.#create(folder, name, (path) => fs.mkdirSync(path, permissions))
    // the host's umask is not the guest's; what a folder inherits on the host stays
    const kept = this.attributes(made).mode & MODE.permissions & ~0o1777
    this.change(made, { mode: permissions | kept })
    return made
  }

  createLink(folder: FileNode, name: FileName, target: string): FileNode {
    return this.#create(folder, name, (path, own) => {
      checkLink(target, own.depth)
      fs.symlinkSync(Buffer.from(target, 'latin1'), path)
    })
  }

  createDevice(): FileNode {
    if (!this.#writable) throw new FileError('EROFS')
    throw new FileError('EPERM', 'devices, fifos and sockets are not made on the host')
  }

  link(node: FileNode, folder: FileNode, name: FileName): void {
    this.#forWriting(() => {
      const [own, to] = [this.#nodes.own(node), this.#nodes.folder(folder)]
      if (own.kind !== MODE.file) throw new FileError('EPERM', 'only files get more names')
      if (this.#nodes.find(to, name)) throw new FileError('EEXIST')
      fs.linkSync(namedPath(this.#reach, own), this.#reach.entry(to, name))
      const made = this.#nodes.find(to, name)
      if (made && own.is(made)) return this.#dirty.add(own, to)
      if (made) fs.unlinkSync(this.#reach.entry(to, name))
      throw new FileError('ESTALE', 'the host has replaced it')
    })
  }

  unlink(folder: FileNode, name: FileName, folders: boolean): void {
    this.#forWriting(() => {
      const own = this.#nodes.folder(folder)
      const found = this.#found(own, name)
      const isFolder = kindOf(found) === MODE.folder
      if (isFolder !== folders) throw new FileError(folders ? 'ENOTDIR' : 'EISDIR')
      this.#losing(this.#nodes.held(found), () => {
        const path = this.#reach.entry(own, name)
        if (folders) fs.rmdirSync(path)
        else fs.unlinkSync(path)
      })
      this.#dirty.add(own)
    })
  }

  rename(folder: FileNode, name: FileName, toFolder: FileNode, toName: FileName): void {
    this.#forWriting(() => {
      const [from, to] = [this.#nodes.folder(folder), this.#nodes.folder(toFolder)]
      const moved = this.#found(from, name)
      const replaced = this.#nodes.find(to, toName)
      if (replaced?.ino === moved.ino && replaced.dev === moved.dev) return
      const spelled = replaced ? null : this.#nodes.hasOtherSpelling(to, toName)
      if (spelled && (spelled.ino !== moved.ino || from !== to))
        throw new FileError('EEXIST', 'the host takes the name for another spelling of one that is there')
      this.#checkMovedLinks(kindOf(moved), from, name, to)
      this.#losing(replaced && this.#nodes.held(replaced), () =>
        fs.renameSync(this.#reach.entry(from, name), this.#reach.entry(to, toName)),
      )
      const held = this.#nodes.held(moved)
      if (held) this.#nodes.move(held, to, toName)
      this.#dirty.add(from, to)
    })
  }

  open(node: FileNode, write: boolean): OpenFile {
    if (write && !this.#writable) throw new FileError('EROFS')
    return onHost(() => {
      const own = this.#nodes.own(node)
      return openRegular(this.#reach, own, write, () => this.#dirty.add(own))
    })
  }

  xattrs(): string[] {
    return []
  }

  xattr(): Uint8Array {
    throw new FileError('EOPNOTSUPP')
  }

  setXattr(): void {
    throw new FileError(this.#writable ? 'EOPNOTSUPP' : 'EROFS')
  }

  removeXattr(): void {
    throw new FileError(this.#writable ? 'EOPNOTSUPP' : 'EROFS')
  }

  space(): TreeSpace {
    return onHost(() => {
      const { bsize, blocks, bavail, files, ffree } = fs.statfsSync(this.#reach.folder(this.#nodes.top))
      return { total: bsize * blocks, free: bsize * bavail, files, filesFree: ffree }
    })
  }

  /** What it is, and the way to it from the top. */
  identity(node: FileNode): string {
    const own = this.#nodes.own(node)
    const names: FileName[] = []
    for (let at = own; at.parent; at = at.parent) names.unshift(at.name)
    return `${own.word}:${names.join('/')}`
  }

  revive(identity: string): FileNode {
    const [word = '', way = ''] = identity.split(/:([^]*)/)
    let node = this.#nodes.top
    node.holds++
    try {
      for (const name of way.split('/').filter((part) => part !== '')) {
        const above = node
        node = this.#nodes.hold(this.#found(this.#nodes.folder(above), name), above, name)
        this.#nodes.drop(above)
      }
      if (node.word === word) return node
    } catch {
      // it is not there any more
    }
    this.#nodes.drop(node)
    throw new FileError('ESTALE', 'the host has moved or replaced it')
  }

  flush(): Promise<void> {
    return this.#dirty.flush()
  }

  close(): void {
    this.#nodes.close()
    this.#reach.close()
  }

  #found(folder: HostNode, name: FileName): fs.BigIntStats {
    const found = this.#nodes.find(folder, name)
    if (!found) throw new FileError('ENOENT')
    return found
  }

  #forWriting<T>(work: () => T): T {
    if (!this.#writable) throw new FileError('EROFS')
    return onHost(work)
  }

  #create(folder: FileNode, name: FileName, make: (path: Buffer, own: HostNode) => void): FileNode {
    return this.#forWriting(() => {
      const own = this.#nodes.folder(folder)
      checkName(name)
      make(this.#reach.entry(own, name), own)
      const node = this.#nodes.hold(this.#found(own, name), own, name)
      this.#dirty.add(own)
      return node
    })
  }

  /** Keeps what loses its name by `work` for those who hold it. */
  #losing(node: HostNode | null, work: () => void): void {
    if (!node) return work()
    if (node.kind === MODE.link) node.text = this.readLink(node)
    this.#reach.pin(node)
    try {
      work()
    } catch (error) {
      node.text = null
      this.#reach.unpin(node)
      throw error
    }
  }

  #checkMovedLinks(kind: number, from: HostNode, name: FileName, to: HostNode): void {
    const path = this.#reach.entry(from, name)
    if (kind === MODE.link) checkLink(linkTextAt(path), to.depth)
    if (kind === MODE.folder && to.depth < from.depth) checkMovedLinks(path, to.depth + 1)
  }
}

function onlyText(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
