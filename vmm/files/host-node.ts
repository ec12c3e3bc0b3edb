import type { BigIntStats } from 'node:fs'
import { ERRNO, FileError, type ErrnoName } from './file-error'
import { MODE, type Attributes, type FileName, type FileTime } from './provider'

/** A file or folder of the host: told from every other by number and time of birth, found by where it was last seen. */
export class HostNode {
  holds = 0
  /** Whether names in this folder differ by case; null for not known yet. */
  exactCase: boolean | null = null
  /** The text of a symbolic link whose name is gone. */
  text: string | null = null
  readonly dev: bigint
  readonly ino: bigint
  /** Numbers are used again, so the time of birth counts too; 0 where the host keeps none. */
  readonly born: bigint
  readonly kind: number

  constructor(
    stats: BigIntStats,
    /** null for the top folder. */
    public parent: HostNode | null,
    public name: FileName,
  ) {
    this.dev = stats.dev
    this.ino = stats.ino
    this.born = stats.birthtimeNs
    this.kind = kindOf(stats)
  }

  /** Steps below the top. */
  get depth(): number {
    let depth = 0
    for (let above = this.parent; above; above = above.parent) depth++
    return depth
  }

  /** Tells it from every other file, in text. */
  get word(): string {
    return [this.dev, this.ino, this.born].map((number) => number.toString(16)).join('.')
  }

  is(stats: BigIntStats): boolean {
    const { dev, ino, birthtimeNs } = stats
    return ino === this.ino && dev === this.dev && birthtimeNs === this.born && kindOf(stats) === this.kind
  }

  /** Throws ESTALE when the host has put something else in its place, or nothing. */
  check(stats: BigIntStats | undefined): BigIntStats {
    if (!stats || !this.is(stats)) throw new FileError('ESTALE', 'the host has moved or replaced it')
    return stats
  }
}

export function kindOf({ mode }: BigIntStats): number {
  return Number(mode) & MODE.kind
}

const INO_BITS = 53

/** A number for guests, distinct within the share as far as 53 bits go. */
export function inoOf({ ino, dev }: BigIntStats, topDev: bigint): number {
  const mixed = dev === topDev ? ino : ino ^ (dev << 32n)
  return Number(BigInt.asUintN(INO_BITS, mixed ^ (mixed >> BigInt(INO_BITS))))
}

export function attributesOf(stats: BigIntStats, topDev: bigint): Attributes {
  const rdev = Number(stats.rdev)
  return {
    ino: inoOf(stats, topDev),
    mode: Number(stats.mode),
    links: Number(stats.nlink),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    device: { major: (rdev >>> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00) },
    size: Number(stats.size),
    used: Number(stats.blocks) * 512,
    accessed: timeOf(stats.atimeNs),
    modified: timeOf(stats.mtimeNs),
    changed: timeOf(stats.ctimeNs),
  }
}

const SECOND = 1_000_000_000n

function timeOf(ns: bigint): FileTime {
  const nsec = ((ns % SECOND) + SECOND) % SECOND
  return { sec: Number((ns - nsec) / SECOND), nsec: Number(nsec) }
}

/** Does something with the host's file system; what it refuses becomes a `FileError`. */
export function onHost<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw asFileError(error)
  }
}

export function asFileError(error: unknown): FileError {
  if (error instanceof FileError) return error
  const code = (error as NodeJS.ErrnoException | null)?.code ?? ''
  if (code === 'ENOTSUP' || code === 'ENOSYS') return new FileError('EOPNOTSUPP', '', { cause: error })
  if (code === 'ERR_FS_FILE_TOO_LARGE' || code === 'ERR_OUT_OF_RANGE')
    return new FileError('EFBIG', '', { cause: error })
  return new FileError(code in ERRNO ? (code as ErrnoName) : 'EIO', code, { cause: error })
}
