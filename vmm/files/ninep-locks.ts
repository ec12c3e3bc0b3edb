/** Record locks as fcntl(2) has them, of all sessions of a tree. */

export const LOCK = { read: 0, write: 1, none: 2 } as const

/** Bytes [start, end) of a file; `end` is Infinity for all that follows. */
export interface LockRange {
  write: boolean
  start: number
  end: number
  /** Who holds it: its own locks are never in its way. */
  owner: string
  processId: number
  clientId: string
  /** The fid that it came through: goes with it. */
  through: object
}

/** A guest's process, told from all others that may lock the same file. */
export const lockOwner = (session: string, clientId: string, processId: number): string =>
  `${session}:${processId}:${clientId}`

interface Waiter {
  range: LockRange
  granted: () => void
}

/** The locks of one file; those that wait are granted in the order they came, as far as they fit. */
class FileLocks {
  held: LockRange[] = []
  waiting: Waiter[] = []

  get idle(): boolean {
    return this.held.length === 0 && this.waiting.length === 0
  }

  conflict(wanted: LockRange): LockRange | undefined {
    return this.held.find((held) => inTheWay(held, wanted))
  }

  /** Cuts [start, end) out of what the owner holds. */
  release(owner: string, start: number, end: number): void {
    this.held = this.held.flatMap((held) => {
      if (held.owner !== owner || held.end <= start || held.start >= end) return [held]
      const before = held.start < start ? [{ ...held, end: start }] : []
      return held.end > end ? [...before, { ...held, start: end }] : before
    })
  }

  /** The owner's lock takes the place of what it held there, and joins what it touches. */
  take(range: LockRange): void {
    this.release(range.owner, range.start, range.end)
    const touching = this.held.filter(
      (held) =>
        held.owner === range.owner &&
        held.write === range.write &&
        held.through === range.through &&
        held.start <= range.end &&
        held.end >= range.start,
    )
    this.held = this.held.filter((held) => !touching.includes(held))
    const start = Math.min(range.start, ...touching.map((held) => held.start))
    const end = Math.max(range.end, ...touching.map((held) => held.end))
    this.held.push({ ...range, start, end })
  }

  wake(): void {
    for (const waiter of this.waiting.slice()) {
      if (this.conflict(waiter.range) !== undefined) continue
      this.waiting.splice(this.waiting.indexOf(waiter), 1)
      this.take(waiter.range)
      waiter.granted()
    }
  }
}

/** Ranges that a file and its waiters may have, so that no guest fills the memory. */
const RANGES_MOST = 65_536

/** Files are told apart by their tree (any object) and number. */
export class LockTable {
  readonly #trees = new WeakMap<object, Map<number, FileLocks>>()

  /** Takes the lock at once, or says that it is held (`false`), or that there are too many (`null`). */
  try(tree: object, ino: number, range: LockRange): boolean | null {
    const file = this.#file(tree, ino)
    if (file.conflict(range) !== undefined) return false
    if (file.held.length >= RANGES_MOST) return null
    file.take(range)
    // a write lock that became a read lock lets others in
    this.#settle(tree, ino, file)
    return true
  }

  /** Takes the lock as soon as it is free; returns what takes the wish back. */
  wait(tree: object, ino: number, range: LockRange, granted: () => void): () => void {
    const file = this.#file(tree, ino)
    const waiter = { range, granted }
    file.waiting.push(waiter)
    return () => {
      file.waiting = file.waiting.filter((each) => each !== waiter)
      this.#settle(tree, ino, file)
    }
  }

  release(tree: object, ino: number, owner: string, start: number, end: number): void {
    const file = this.#trees.get(tree)?.get(ino)
    if (file === undefined) return
    file.release(owner, start, end)
    this.#settle(tree, ino, file)
  }

  /** Lets go of all that came through one fid. */
  releaseThrough(tree: object, ino: number, through: object): void {
    const file = this.#trees.get(tree)?.get(ino)
    if (file === undefined) return
    file.held = file.held.filter((held) => held.through !== through)
    this.#settle(tree, ino, file)
  }

  /** What would be in the way of a lock. */
  conflict(tree: object, ino: number, range: LockRange): LockRange | undefined {
    return this.#trees.get(tree)?.get(ino)?.conflict(range)
  }

  /** What came through one fid. */
  heldThrough(tree: object, ino: number, through: object): LockRange[] {
    return (
      this.#trees
        .get(tree)
        ?.get(ino)
        ?.held.filter((held) => held.through === through) ?? []
    )
  }

  #file(tree: object, ino: number): FileLocks {
    let files = this.#trees.get(tree)
    if (files === undefined) this.#trees.set(tree, (files = new Map<number, FileLocks>()))
    let file = files.get(ino)
    if (file === undefined) files.set(ino, (file = new FileLocks()))
    return file
  }

  #settle(tree: object, ino: number, file: FileLocks): void {
    file.wake()
    if (file.idle) this.#trees.get(tree)?.delete(ino)
  }
}

function inTheWay(held: LockRange, wanted: LockRange): boolean {
  return (
    held.owner !== wanted.owner && (held.write || wanted.write) && held.start < wanted.end && held.end > wanted.start
  )
}
