import type { WorkRequest } from './ninep-requests'

/** A request on its way. */
export class Pending {
  answered = false
  /** Whether it waits for a lock. */
  locking = false
  /** What ends its waiting. */
  cancel: (() => void) | null = null
  /** How many it comes after that are not through yet. */
  behind = 0
  followers: Pending[] = []
  through = false

  constructor(
    readonly request: WorkRequest,
    readonly fids: readonly number[],
  ) {}
}

/** Keeps the order of requests that are about the same fid. */
export class RequestLanes {
  /** The last one of each fid that is not through. */
  readonly #last = new Map<number, Pending>()

  constructor(private readonly go: (pending: Pending) => void) {}

  enter(pending: Pending): void {
    for (const fid of pending.fids) {
      const last = this.#last.get(fid)
      if (last === pending) continue
      if (last !== undefined) {
        last.followers.push(pending)
        pending.behind++
      }
      this.#last.set(fid, pending)
    }
  }

  /** Lets those after it go on. */
  leave(pending: Pending): void {
    if (pending.through) return
    pending.through = true
    for (const fid of pending.fids) if (this.#last.get(fid) === pending) this.#last.delete(fid)
    for (const follower of pending.followers) {
      follower.behind--
      if (follower.behind > 0) continue
      // one that was interrupted while it stood in line kept the place of those behind it
      if (follower.answered) this.leave(follower)
      else this.go(follower)
    }
  }

  clear(): void {
    this.#last.clear()
  }
}
