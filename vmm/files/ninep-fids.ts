import type { Gate } from '../throttle/gate'
import { FileError } from './file-error'
import { MODE, type FileName, type FileNode, type FolderEntry, type OpenFile, type Provider } from './provider'

/** What a guest may hold at once. */
export const FIDS_MOST = 65_536
/** Entries of folders that are being read, of a whole session; the oldest are listed anew when more are asked for. */
const LISTED_MOST = 1_000_000
/** Bytes of extended attributes that are being read or written, of a whole session. */
const XATTR_BYTES_MOST = 32 * 1024 * 1024

/** Where a tree was attached, and by whom. */
export interface Attachment {
  /** Null where it is gone since. */
  provider: Provider | null
  aname: string
  uname: string
  uid: number
  gate: Gate | null
}

/** An extended attribute that is read or written through a fid. */
export interface FidXattr {
  /** What was read; or what is written so far. */
  value: Buffer
  /** Null for one that is read. */
  writing: { name: string; flags: number; filled: number } | null
}

/** Linux's flags of open(2), as 9P2000.L passes them. */
export const OPEN_FLAG = { access: 3, write: 1, both: 2, exclusive: 0o200, truncate: 0o1000, append: 0o2000 } as const

/** One of a guest's handles: of a node, wherever its name went. */
export class Fid {
  /** Flags of open(2) when it is open. */
  flags: number | null = null
  file: OpenFile | null = null
  listing: FolderEntry[] | null = null
  xattr: FidXattr | null = null
  /** Whether a lock was ever taken through it. */
  locked = false
  /** What ends the waiting of those that want a lock through it. */
  readonly lockWaits = new Set<() => void>()
  #syncs = 0
  #closing = false

  /** `node` null: lost in a restart. `place` is where a name led to it, the folder held. */
  constructor(
    readonly attachment: Attachment,
    public node: FileNode | null,
    public ino: number,
    /** Kind bits of its mode. */
    public kind: number,
    public place: { folder: FileNode; name: FileName } | null,
  ) {}

  /** Throws ESTALE. */
  get provider(): Provider {
    if (this.attachment.provider === null) throw new FileError('ESTALE')
    return this.attachment.provider
  }

  /** Throws ESTALE. */
  get live(): FileNode {
    if (this.node === null) throw new FileError('ESTALE')
    return this.node
  }

  get folder(): FileNode {
    if (this.kind !== MODE.folder) throw new FileError('ENOTDIR')
    return this.live
  }

  /** The open file is closed no sooner than this is over. */
  async during(work: Promise<void>): Promise<void> {
    this.#syncs++
    try {
      await work
    } finally {
      this.#syncs--
      if (this.#closing && this.#syncs === 0) this.file?.close()
    }
  }

  /** Lets go of the open file and the node. */
  release(): void {
    this.#closing = true
    if (this.#syncs === 0) this.file?.close()
    if (this.node !== null) this.provider.drop(this.node)
    if (this.place !== null) this.provider.drop(this.place.folder)
  }

  get opened(): boolean {
    return this.flags !== null || this.xattr !== null
  }

  get writable(): boolean {
    return this.flags !== null && (this.flags & OPEN_FLAG.access) !== 0
  }

  get readable(): boolean {
    return this.flags !== null && (this.flags & OPEN_FLAG.access) !== OPEN_FLAG.write
  }
}

/** The handles of one session, with bounds on all that hangs on them. */
export class FidTable {
  readonly #fids = new Map<number, Fid>()
  /** Those with a listing, the one longest unused first. */
  readonly #listings = new Set<Fid>()
  #listed = 0
  #xattrBytes = 0

  get size(): number {
    return this.#fids.size
  }

  entries(): IterableIterator<[number, Fid]> {
    return this.#fids.entries()
  }

  find(number: number): Fid | undefined {
    return this.#fids.get(number)
  }

  /** Throws EBADF. */
  get(number: number): Fid {
    const fid = this.#fids.get(number)
    if (fid === undefined) throw new FileError('EBADF', `fid ${number} is not in use`)
    return fid
  }

  /** Throws EBADF, ENFILE: to be asked before anything is done for a new fid. */
  checkFree(number: number): void {
    if (this.#fids.has(number) || number === 0xffffffff) throw new FileError('EBADF', `fid ${number} is in use`)
    if (this.#fids.size >= FIDS_MOST) throw new FileError('ENFILE')
  }

  add(number: number, fid: Fid): void {
    this.#fids.set(number, fid)
  }

  /** Forgets the fid and returns what it was; its node is still held. */
  remove(number: number): Fid {
    const fid = this.get(number)
    this.#fids.delete(number)
    this.forgetListing(fid)
    this.#xattrBytes -= fid.xattr?.value.length ?? 0
    return fid
  }

  /** The folder's entries as they were when it was read from the start. */
  listing(fid: Fid, anew: boolean): FolderEntry[] {
    if (!anew && fid.listing !== null) {
      this.#listings.delete(fid)
      this.#listings.add(fid)
      return fid.listing
    }
    this.forgetListing(fid)
    const listing = fid.provider.list(fid.folder)
    fid.listing = listing
    this.#listings.add(fid)
    this.#listed += listing.length
    for (const oldest of this.#listings) {
      if (this.#listed <= LISTED_MOST || oldest === fid) break
      this.forgetListing(oldest)
    }
    return listing
  }

  forgetListing(fid: Fid): void {
    if (fid.listing === null) return
    this.#listed -= fid.listing.length
    this.#listings.delete(fid)
    fid.listing = null
  }

  /** Throws ENOMEM. */
  setXattr(fid: Fid, xattr: FidXattr): void {
    if (this.#xattrBytes + xattr.value.length > XATTR_BYTES_MOST) throw new FileError('ENOMEM')
    this.#xattrBytes += xattr.value.length
    fid.xattr = xattr
  }
}
