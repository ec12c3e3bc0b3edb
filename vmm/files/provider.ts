/**
 * A file tree that can be served to a guest, in Linux semantics. Providers wrap providers: read-only, overlay, hidden,
 * redirected, counted and quota are all this interface around another one.
 *
 * Operations are synchronous, as they run in the file process, where that is several times as fast; what has to wait (a
 * throttle, a lock, a sync) waits at the door, which can be told to give up. They throw a `FileError` and nothing else.
 */

/** The bytes of a name, one character each (latin1): Linux names need not be UTF-8. Never '', '.', '..', never with '/' or NUL; at most 255. */
export type FileName = string

/** A file or folder as its provider knows it; of no meaning to anybody else. Held until dropped, also when unlinked. */
export type FileNode = object

/** Bits of a mode that tell what it is. (inode(7)) */
export const MODE = {
  kind: 0o170000,
  socket: 0o140000,
  link: 0o120000,
  file: 0o100000,
  block: 0o060000,
  folder: 0o040000,
  character: 0o020000,
  fifo: 0o010000,
  permissions: 0o7777,
} as const

/** Seconds and nanoseconds since the Unix epoch. */
export interface FileTime {
  sec: number
  nsec: number
}

export interface Attributes {
  /** Tells one file of the tree from another, for as long as it lives. */
  ino: number
  /** What it is and who may what. */
  mode: number
  links: number
  uid: number
  gid: number
  /** Of a device: major and minor number. */
  device: { major: number; minor: number }
  size: number
  /** What it takes up, bytes. */
  used: number
  accessed: FileTime
  modified: FileTime
  changed: FileTime
}

/** What is named is changed. */
export interface AttributeChange {
  /** Permission bits only. */
  mode?: number
  uid?: number
  gid?: number
  size?: number
  accessed?: FileTime | 'now'
  modified?: FileTime | 'now'
}

export interface FolderEntry {
  name: FileName
  ino: number
  /** Its mode's kind bits. */
  kind: number
}

/** Who makes something, and with which permissions. */
export interface Creation {
  mode: number
  uid: number
  gid: number
}

export interface OpenFile {
  /** Bytes put into `into`; fewer only at the end of the file. */
  read(position: number, into: Uint8Array): number
  /** All of it, or it throws. The bytes are the caller's again afterwards. */
  write(position: number, data: Uint8Array): void
  /** Resolves when what was written outlives a failure of the host. */
  sync(dataOnly: boolean): Promise<void>
  close(): void
}

export interface TreeSpace {
  /** Bytes. */
  total: number
  free: number
  files: number
  filesFree: number
}

export interface Provider {
  /** The top folder, held once for the caller. */
  root(): FileNode
  /** What `folder` has under a name, held once for the caller. Throws ENOENT, ENOTDIR. */
  lookup(folder: FileNode, name: FileName): FileNode
  /** The folder above a folder, held once; the top folder's is itself. */
  parent(folder: FileNode): FileNode
  hold(node: FileNode): void
  drop(node: FileNode): void

  attributes(node: FileNode): Attributes
  change(node: FileNode, change: AttributeChange): void
  /** All there is in a folder, '.' and '..' left out, in an order of the provider's own. */
  list(folder: FileNode): FolderEntry[]
  readLink(node: FileNode): string

  /** Each returns what was made, held once. Throws EEXIST. */
  createFile(folder: FileNode, name: FileName, creation: Creation): FileNode
  createFolder(folder: FileNode, name: FileName, creation: Creation): FileNode
  createLink(folder: FileNode, name: FileName, target: string, creation: Creation): FileNode
  /** A device, fifo or socket: the mode says which. */
  createDevice(folder: FileNode, name: FileName, creation: Creation, device: { major: number; minor: number }): FileNode
  /** One more name for a file. */
  link(node: FileNode, folder: FileNode, name: FileName): void
  /** Removes a name: of a folder (which must be empty) or of anything else, as `folders` says. */
  unlink(folder: FileNode, name: FileName, folders: boolean): void
  /** Replaces what the new name led to, as rename(2) does. */
  rename(folder: FileNode, name: FileName, toFolder: FileNode, toName: FileName): void

  /** `write`: for writing too. */
  open(node: FileNode, write: boolean): OpenFile

  /** Names of extended attributes. */
  xattrs(node: FileNode): string[]
  /** Throws ENODATA. */
  xattr(node: FileNode, name: string): Uint8Array
  setXattr(node: FileNode, name: string, value: Uint8Array, mode: 'either' | 'create' | 'replace'): void
  removeXattr(node: FileNode, name: string): void

  space(): TreeSpace

  /** A word by which `revive` finds the node again after the process was started anew, or in a copy of the tree. */
  identity(node: FileNode): string
  /** The node, held once. Throws ESTALE. */
  revive(identity: string): FileNode

  /** Everything acknowledged so far outlives a failure of the host when it resolves. */
  flush(): Promise<void>
  close(): void
}
