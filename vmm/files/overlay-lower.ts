import type { Below } from '../sealed/blob'
import { FileError } from './file-error'
import { MODE, type FileNode, type FileTime, type OpenFile, type Provider } from './provider'

/** Lower files kept open for those who read through an overlay's own content. */
const OPEN_MOST = 16

/** What the lower file was like when it was last taken over; tells whether the host has changed it since. */
export interface LowerStamp {
  size: number
  modified: FileTime
}

/** A file of the lower tree under content of the overlay's own. */
export class LowerBelow implements Below {
  constructor(
    private readonly lower: LowerTree,
    readonly place: string,
    readonly stamp: LowerStamp,
  ) {}

  get size(): number {
    return this.stamp.size
  }

  read(position: number, into: Uint8Array): number {
    return this.lower.readStamped(this.place, this.stamp, position, into)
  }
}

export const sameTime = (a: FileTime, b: FileTime): boolean => a.sec === b.sec && a.nsec === b.nsec

/** The tree below an overlay by places. It is only ever read, and may change at any time: a place is what is there now. */
export class LowerTree {
  readonly #open = new Map<string, { node: FileNode; file: OpenFile }>()

  constructor(readonly provider: Provider) {}

  /** What is at a place, held once. Throws ENOENT, ENOTDIR and what the provider throws. */
  find(place: string): FileNode {
    let node = this.provider.root()
    for (const name of place === '' ? [] : place.split('/')) {
      const above = node
      try {
        node = this.provider.lookup(above, name)
      } finally {
        this.provider.drop(above)
      }
    }
    return node
  }

  /** Reads from the file at a place as long as it is the one that the stamp was taken of; EIO otherwise. */
  readStamped(place: string, stamp: LowerStamp, position: number, into: Uint8Array): number {
    try {
      return this.#readOnce(place, stamp, position, into)
    } catch (error) {
      // an editor may have put the same bytes in its place, or the file may just have been renamed back
      if (!this.close(place) || (error instanceof FileError && error.code !== 'ESTALE')) throw asChanged(place, error)
    }
    try {
      return this.#readOnce(place, stamp, position, into)
    } catch (error) {
      throw asChanged(place, error)
    }
  }

  stampOf(node: FileNode): LowerStamp {
    const { size, modified } = this.provider.attributes(node)
    return { size, modified }
  }

  /** Forgets an open file; returns whether there was one. */
  close(place: string): boolean {
    const open = this.#open.get(place)
    if (!open) return false
    this.#open.delete(place)
    open.file.close()
    this.provider.drop(open.node)
    return true
  }

  closeAll(): void {
    for (const place of [...this.#open.keys()]) this.close(place)
  }

  #readOnce(place: string, stamp: LowerStamp, position: number, into: Uint8Array): number {
    const { node, file } = this.#opened(place)
    const { mode, size, modified } = this.provider.attributes(node)
    if ((mode & MODE.kind) !== MODE.file || size !== stamp.size || !sameTime(modified, stamp.modified)) {
      throw new FileError('EIO', changedBy(place, modified))
    }
    return file.read(position, into)
  }

  #opened(place: string): { node: FileNode; file: OpenFile } {
    const known = this.#open.get(place)
    if (known) {
      this.#open.delete(place)
      this.#open.set(place, known)
      return known
    }
    const [oldest] = this.#open.keys()
    if (this.#open.size >= OPEN_MOST && oldest !== undefined) this.close(oldest)
    const node = this.find(place)
    try {
      const opened = { node, file: this.provider.open(node, false) }
      this.#open.set(place, opened)
      return opened
    } catch (error) {
      this.provider.drop(node)
      throw error
    }
  }
}

function changedBy(place: string, { sec }: FileTime): string {
  return `the host changed ${place} at ${new Date(sec * 1000).toISOString()}, after the guest had begun to change it`
}

function asChanged(place: string, error: unknown): FileError {
  if (error instanceof FileError && error.code === 'EIO') return error
  return new FileError('EIO', `the host took ${place} away after the guest had begun to change it`, { cause: error })
}

/** Whether something is not there (any more). */
export function isMissing(error: unknown): boolean {
  return error instanceof FileError && (error.code === 'ENOENT' || error.code === 'ESTALE' || error.code === 'ENOTDIR')
}
