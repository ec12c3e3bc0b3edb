import type { Gate } from '../throttle/gate'
import { setXattr } from './ninep-set-xattr'
import { FidTable, type Fid } from './ninep-fids'
import type { LockTable } from './ninep-locks'
import { FileError } from './file-error'
import type { Provider } from './provider'
import { RootProvider } from './provider-root'

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

  /** What the fid's file is to the lock table: the same for all views of its tree. */
  lockPlace(fid: Fid): { scope: object; ino: number } {
    const { aname, provider, ino } = this.#place(fid)
    return { scope: this.options.lockScope?.(provider, aname) ?? provider, ino }
  }

  /** What holds the rate of the fid's tree. */
  gateOf(fid: Fid): Gate | null {
    const { provider, aname, gate } = fid.attachment
    if (!(provider instanceof RootProvider)) return gate
    const place = this.#place(fid).aname
    return place === aname ? gate : (this.options.gate?.(place) ?? null)
  }

  /** Where the fid's file lies, also when its tree was attached with others side by side. */
  #place({ attachment, node, ino }: Fid): { aname: string; provider: Provider; ino: number } {
    const { provider, aname } = attachment
    if (provider === null) throw new FileError('ESTALE')
    const inside = provider instanceof RootProvider && node ? provider.treeOf(node, ino) : null
    return inside ? { aname: inside.name, provider: inside.provider, ino: inside.ino } : { aname, provider, ino }
  }

  /** Ends the fid and all that hangs on it: an open file, locks and the wish for them. */
  close(number: number): void {
    const fid = this.fids.remove(number)
    for (const end of [...fid.lockWaits]) end()
    if (fid.locked) {
      const { scope, ino } = this.lockPlace(fid)
      this.options.locks.releaseThrough(scope, ino, fid)
    }
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
