import { FileError } from './file-error'
import type { FileNode, OpenFile } from './provider'
import { ProviderWrapper } from './provider-wrapper'

/** A tree that nobody changes through here. */
export class ReadOnlyProvider extends ProviderWrapper {
  override change(): void {
    refuse()
  }

  override createFile(): FileNode {
    return refuse()
  }

  override createFolder(): FileNode {
    return refuse()
  }

  override createLink(): FileNode {
    return refuse()
  }

  override createDevice(): FileNode {
    return refuse()
  }

  override link(): void {
    refuse()
  }

  override unlink(): void {
    refuse()
  }

  override rename(): void {
    refuse()
  }

  override open(node: FileNode, write: boolean): OpenFile {
    if (write) refuse()
    const file = this.inner.open(node, false)
    return {
      read: (position, into) => file.read(position, into),
      write: refuse,
      sync: (dataOnly) => file.sync(dataOnly),
      close: () => file.close(),
    }
  }

  override setXattr(): void {
    refuse()
  }

  override removeXattr(): void {
    refuse()
  }
}

function refuse(): never {
  throw new FileError('EROFS')
}
