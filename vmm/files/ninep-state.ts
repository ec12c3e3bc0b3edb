import type { Gate } from '../throttle/gate'
import { setXattr } from './ninep-set-xattr'
import { FidTable, type Fid } from './ninep-fids'
import type { LockTable } from './ninep-locks'
import type { Provider } from './provider'

export const MSIZE_LEAST = 4096
/** 512 KiB of data and what is around them. */
export const MSIZE_MOST = 512 * 1024 + 24

export interface NinepOptions {
  /** The tree that a guest attaches by name. Throws ENOENT. */
  tree: (aname: string, uname: string) => Provider
  gate?: (aname: string) => Gate
  /** Of all sessions that may have the same trees. */
  locks: LockTable
  /** What stands for the tree in the lock table: the same for all views of one. Left out: the provider itself. */
  lockScope?: (provider: Provider, aname: string) => object
  send: (reply: Uint8Array) => void
  /** An error that no guest should be able to cause. */
  onFault?: (error: unknown) => void
}

let sessions = 0

/** What the requests of one session work on. */
export class NinepState {
  readonly id = `${++sessions}`
  readonly fids = new FidTable()
  msize = MSIZE_LEAST

  constructor(readonly options: NinepOptions) {}

  readonly lockScope = ({ provider, attachment }: Fid): object => {
    return this.options.lockScope?.(provider, attachment.aname) ?? provider
  }

  /** Ends the fid and all that hangs on it: an open file, locks and the wish for them. */
  close(number: number): void {
    const fid = this.fids.remove(number)
    for (const end of [...fid.lockWaits]) end()
    if (fid.locked) this.options.locks.releaseThrough(this.lockScope(fid), fid.ino, fid)
    fid.release()
  }

  /** Ends the fid; what was written to an extended attribute through it is set. */
  clunk(number: number): void {
    const fid = this.fids.get(number)
    try {
      setXattr(fid)
    } finally {
      this.close(number)
    }
  }

  closeAll(): void {
    for (const [number] of [...this.fids.entries()]) this.close(number)
  }
}
