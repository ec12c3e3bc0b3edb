import type { AttributeChange, Creation, FileName, FileNode, FolderEntry, OpenFile } from './provider'
import { ProviderWrapper } from './provider-wrapper'

/** What was done, whether it succeeded or not, except for bytes. */
export interface FileCounters {
  reads: number
  readBytes: number
  writes: number
  writtenBytes: number
  /** Whatever else changes something. */
  changes: number
  /** Names looked up and folders listed. */
  lookups: number
}

/** Counts what passes. */
export class CountedProvider extends ProviderWrapper {
  readonly counters: FileCounters = { reads: 0, readBytes: 0, writes: 0, writtenBytes: 0, changes: 0, lookups: 0 }

  override lookup(folder: FileNode, name: FileName): FileNode {
    this.counters.lookups++
    return this.inner.lookup(folder, name)
  }

  override list(folder: FileNode): FolderEntry[] {
    this.counters.lookups++
    return this.inner.list(folder)
  }

  override change(node: FileNode, change: AttributeChange): void {
    this.counters.changes++
    this.inner.change(node, change)
  }

  override createFile(folder: FileNode, name: FileName, creation: Creation): FileNode {
    this.counters.changes++
    return this.inner.createFile(folder, name, creation)
  }

  override createFolder(folder: FileNode, name: FileName, creation: Creation): FileNode {
    this.counters.changes++
    return this.inner.createFolder(folder, name, creation)
  }

  override createLink(folder: FileNode, name: FileName, target: string, creation: Creation): FileNode {
    this.counters.changes++
    return this.inner.createLink(folder, name, target, creation)
  }

  override createDevice(...made: Parameters<ProviderWrapper['createDevice']>): FileNode {
    this.counters.changes++
    return this.inner.createDevice(...made)
  }

  override link(node: FileNode, folder: FileNode, name: FileName): void {
    this.counters.changes++
    this.inner.link(node, folder, name)
  }

  override unlink(folder: FileNode, name: FileName, folders: boolean): void {
    this.counters.changes++
    this.inner.unlink(folder, name, folders)
  }

  override rename(folder: FileNode, name: FileName, toFolder: FileNode, toName: FileName): void {
    this.counters.changes++
    this.inner.rename(folder, name, toFolder, toName)
  }

  override setXattr(...set: Parameters<ProviderWrapper['setXattr']>): void {
    this.counters.changes++
    this.inner.setXattr(...set)
  }

  override removeXattr(node: FileNode, name: string): void {
    this.counters.changes++
    this.inner.removeXattr(node, name)
  }

  override open(node: FileNode, write: boolean): OpenFile {
    const { counters } = this
    const file = this.inner.open(node, write)
    return {
      read: (position, into) => {
        counters.reads++
        const count = file.read(position, into)
        counters.readBytes += count
        return count
      },
      write: (position, data) => {
        counters.writes++
        file.write(position, data)
        counters.writtenBytes += data.length
      },
      sync: (dataOnly) => file.sync(dataOnly),
      close: () => file.close(),
    }
  }
}
