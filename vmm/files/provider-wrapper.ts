import type {
  AttributeChange,
  Attributes,
  Creation,
  FileName,
  FileNode,
  FolderEntry,
  OpenFile,
  Provider,
  TreeSpace,
} from './provider'

/** Hands everything on to another provider, whose nodes are its own too. */
export class ProviderWrapper implements Provider {
  constructor(protected readonly inner: Provider) {}

  root(): FileNode {
    return this.inner.root()
  }

  lookup(folder: FileNode, name: FileName): FileNode {
    return this.inner.lookup(folder, name)
  }

  parent(folder: FileNode): FileNode {
    return this.inner.parent(folder)
  }

  hold(node: FileNode): void {
    this.inner.hold(node)
  }

  drop(node: FileNode): void {
    this.inner.drop(node)
  }

  attributes(node: FileNode): Attributes {
    return this.inner.attributes(node)
  }

  change(node: FileNode, change: AttributeChange): void {
    this.inner.change(node, change)
  }

  list(folder: FileNode): FolderEntry[] {
    return this.inner.list(folder)
  }

  readLink(node: FileNode): string {
    return this.inner.readLink(node)
  }

  createFile(folder: FileNode, name: FileName, creation: Creation): FileNode {
    return this.inner.createFile(folder, name, creation)
  }

  createFolder(folder: FileNode, name: FileName, creation: Creation): FileNode {
    return this.inner.createFolder(folder, name, creation)
  }

  createLink(folder: FileNode, name: FileName, target: string, creation: Creation): FileNode {
    return this.inner.createLink(folder, name, target, creation)
  }

  createDevice(
    folder: FileNode,
    name: FileName,
    creation: Creation,
    device: { major: number; minor: number },
  ): FileNode {
    return this.inner.createDevice(folder, name, creation, device)
  }

  link(node: FileNode, folder: FileNode, name: FileName): void {
    this.inner.link(node, folder, name)
  }

  unlink(folder: FileNode, name: FileName, folders: boolean): void {
    this.inner.unlink(folder, name, folders)
  }

  rename(folder: FileNode, name: FileName, toFolder: FileNode, toName: FileName): void {
    this.inner.rename(folder, name, toFolder, toName)
  }

  open(node: FileNode, write: boolean): OpenFile {
    return this.inner.open(node, write)
  }

  xattrs(node: FileNode): string[] {
    return this.inner.xattrs(node)
  }

  xattr(node: FileNode, name: string): Uint8Array {
    return this.inner.xattr(node, name)
  }

  setXattr(node: FileNode, name: string, value: Uint8Array, mode: 'either' | 'create' | 'replace'): void {
    this.inner.setXattr(node, name, value, mode)
  }

  removeXattr(node: FileNode, name: string): void {
    this.inner.removeXattr(node, name)
  }

  space(): TreeSpace {
    return this.inner.space()
  }

  identity(node: FileNode): string {
    return this.inner.identity(node)
  }

  revive(identity: string): FileNode {
    return this.inner.revive(identity)
  }

  flush(): Promise<void> {
    return this.inner.flush()
  }

  close(): void {
    this.inner.close()
  }
}
