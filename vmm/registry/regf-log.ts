import { marvin32 } from './regf-marvin'
import { BASE, baseChecksum, BIN, damagedHive, viewOf } from './regf-layout'
import { VmmError } from '../model/errors'

/** The transaction logs that lie beside a hive: .LOG1 (or .LOG) and .LOG2, as far as there are any. */
export interface HiveLogs {
  log1?: Uint8Array | undefined
  log2?: Uint8Array | undefined
}

export interface RecoveredHive {
  /** A copy if anything was changed. */
  bytes: Uint8Array
  notes: string[]
}

const SECTOR = 512
/** 'regf', 'DIRT', 'HvLE' */
const [REGF, DIRT, HVLE] = [0x66676572, 0x54524944, 0x454c7648]
/** `BASE.FILE_TYPE` of logs: as Windows 2000 and as XP wrote them; since Windows 8.1. */
const OLD_LOGS = [1, 2]
const NEW_LOG = 6
/** The head of an entry of a log. */
const ENTRY = { LENGTH: 4, SEQUENCE: 12, BINS_SIZE: 16, PAGES: 20, BODY_HASH: 24, HEAD_HASH: 32, BODY: 40 } as const
const PAGE_REFERENCE = 8

/**
 * A hive as its writer would have it after a crash: when it was not written to its end, with what its transaction logs
 * hold. It never becomes larger than itself and its logs together. Throws `damaged` or `unsupported`.
 */
export function recoverHive(file: Uint8Array, logs: HiveLogs): RecoveredHive {
  if (file.length < BASE.SIZE || viewOf(file).getUint32(0, true) !== REGF) {
    throw new VmmError('invalid', 'This is no registry hive of Windows.', { hint: 'A hive begins with "regf".' })
  }
  const view = viewOf(file)
  const sound = baseChecksum(view) === view.getUint32(BASE.CHECKSUM, true)
  const whole = view.getUint32(BASE.PRIMARY_SEQUENCE, true) === view.getUint32(BASE.SECONDARY_SEQUENCE, true)
  if (sound && whole) {
    refuseForeign(file)
    return { bytes: file, notes: [] }
  }
  const present = [logs.log1, logs.log2].flatMap((bytes) => (bytes ? (HiveLog.of(bytes) ?? []) : []))
  const recovery = new Recovery(file, sound)
  const applied = present.some((log) => log.isNew) ? recovery.fromEntries(present) : recovery.fromPages(present)
  if (applied > 0) {
    refuseForeign(recovery.bytes)
    return {
      bytes: recovery.bytes,
      notes: [`The hive was not written to its end; ${told(applied)} of its logs completed it.`],
    }
  }
  if (!sound) throw damagedHive(BASE.CHECKSUM, 'its head is damaged, and no log can mend it')
  refuseForeign(file)
  return {
    bytes: file,
    notes: ['The hive was not written to its end, and no log of it can be used: it may be incomplete.'],
  }
}

const told = (parts: number): string => (parts === 1 ? 'one part' : `${parts} parts`)

function refuseForeign(file: Uint8Array): void {
  const view = viewOf(file)
  const [major, minor] = [view.getUint32(BASE.MAJOR, true), view.getUint32(BASE.MINOR, true)]
  if (view.getUint32(BASE.FILE_TYPE, true) !== 0) {
    throw new VmmError('invalid', 'This is the transaction log of a hive.', { hint: 'Choose the hive itself.' })
  }
  if (major === 1 && minor >= 3 && minor <= 6) return
  throw new VmmError('unsupported', `Hives of version ${major}.${minor} cannot be read.`, {
    hint: 'Versions 1.3 to 1.6 can: those of Windows NT 4 and later.',
  })
}

/** A transaction log with a valid head. */
class HiveLog {
  private constructor(
    readonly bytes: Uint8Array,
    readonly view: DataView,
    readonly isNew: boolean,
  ) {}

  static of(bytes: Uint8Array): HiveLog | undefined {
    if (bytes.length < 2 * SECTOR) return undefined
    const view = viewOf(bytes)
    const type = view.getUint32(BASE.FILE_TYPE, true)
    if (view.getUint32(0, true) !== REGF || baseChecksum(view) !== view.getUint32(BASE.CHECKSUM, true)) return undefined
    if (type !== NEW_LOG && !OLD_LOGS.includes(type)) return undefined
    if (view.getUint32(BASE.PRIMARY_SEQUENCE, true) !== view.getUint32(BASE.SECONDARY_SEQUENCE, true)) return undefined
    return new HiveLog(bytes, view, type === NEW_LOG)
  }

  get sequence(): number {
    return this.view.getUint32(BASE.PRIMARY_SEQUENCE, true)
  }

  get binsSize(): number {
    return this.view.getUint32(BASE.BINS_SIZE, true)
  }

  /** Entries from the one that the head names on, as long as each is sound and follows upon the one before. */
  *entries(): Iterable<LogEntry> {
    let sequence = this.sequence
    for (let at = SECTOR; at + ENTRY.BODY <= this.bytes.length;) {
      const length = this.view.getUint32(at + ENTRY.LENGTH, true)
      const isEntry = this.view.getUint32(at, true) === HVLE && length >= ENTRY.BODY && at + length <= this.bytes.length
      if (!isEntry || length % SECTOR !== 0 || this.view.getUint32(at + ENTRY.SEQUENCE, true) !== sequence) return
      const bytes = this.bytes.subarray(at, at + length)
      const binsSize = this.view.getUint32(at + ENTRY.BINS_SIZE, true)
      if (!isSound(bytes) || binsSize === 0 || binsSize % BIN.SIZE !== 0) return
      yield { sequence, binsSize, bytes }
      at += length
      sequence = (sequence + 1) >>> 0
    }
  }
}

interface LogEntry {
  sequence: number
  binsSize: number
  bytes: Uint8Array
}

function isSound(entry: Uint8Array): boolean {
  const view = viewOf(entry)
  const [head, body] = [marvin32(entry.subarray(0, ENTRY.HEAD_HASH)), marvin32(entry.subarray(ENTRY.BODY))]
  return [
    [ENTRY.HEAD_HASH, head],
    [ENTRY.BODY_HASH, body],
  ].every(([at, hash]) => {
    const { low, high } = hash as typeof head
    return view.getUint32(Number(at), true) === low && view.getUint32(Number(at) + 4, true) === high
  })
}

class Recovery {
  bytes: Uint8Array

  constructor(
    file: Uint8Array,
    /** Whether the hive's own head is. */
    private readonly sound: boolean,
  ) {
    this.bytes = new Uint8Array(file)
  }

  /** The new format: entries of both logs, in the order of their numbers; how many were applied. */
  fromEntries(present: HiveLog[]): number {
    const logs = present.filter(({ isNew }) => isNew).sort((one, other) => one.sequence - other.sequence)
    const used = this.sound ? logs : logs.slice(-1)
    const most = this.bytes.length + used.reduce((sum, { bytes }) => sum + bytes.length, 0)
    const least = this.sound ? viewOf(this.bytes).getUint32(BASE.SECONDARY_SEQUENCE, true) : 0
    let [applied, next] = [0, -1]
    for (const log of used) {
      for (const entry of log.entries()) {
        if (next < 0 ? entry.sequence < least : entry.sequence !== next) break
        if (BASE.SIZE + entry.binsSize > most || !this.apply(entry)) return applied
        if (applied === 0 && !this.sound) this.takeHead(log)
        applied += 1
        next = (entry.sequence + 1) >>> 0
        this.seal(entry.binsSize, entry.sequence)
      }
    }
    return applied
  }

  /** The old format: one log that fits; how many pages of it were written. */
  fromPages(present: HiveLog[]): number {
    const stamps = this.stamps()
    const log = present.find(({ view, isNew }) => !isNew && stamps.includes(view.getBigUint64(BASE.WRITTEN, true)))
    if (log?.view.getUint32(SECTOR, true) !== DIRT) return 0
    const bits = log.binsSize / SECTOR
    const first = SECTOR * (1 + Math.ceil((4 + bits / 8) / SECTOR))
    const room = BASE.SIZE + log.binsSize
    if (log.binsSize % BIN.SIZE !== 0 || room > this.bytes.length + log.bytes.length) return 0
    const dirty = dirtyPages(log.bytes.subarray(SECTOR + 4, SECTOR + 4 + bits / 8), (log.bytes.length - first) / SECTOR)
    if (!dirty) return 0
    this.grow(room)
    dirty.forEach((page, index) => {
      const from = first + index * SECTOR
      this.bytes.set(log.bytes.subarray(from, from + SECTOR), BASE.SIZE + page * SECTOR)
    })
    this.takeHead(log)
    this.seal(log.binsSize, log.sequence)
    return dirty.length
  }

  /** When the hive was written: by its head, and by its first bin if that head is damaged. */
  private stamps(): bigint[] {
    const second = BASE.SIZE + BIN.WRITTEN
    const places = this.sound || second + 8 > this.bytes.length ? [BASE.WRITTEN] : [BASE.WRITTEN, second]
    return places.map((at) => viewOf(this.bytes).getBigUint64(at, true))
  }

  /** All pages of an entry, or none. */
  private apply({ bytes, binsSize }: LogEntry): boolean {
    const view = viewOf(bytes)
    const count = view.getUint32(ENTRY.PAGES, true)
    let from = ENTRY.BODY + count * PAGE_REFERENCE
    if (from > bytes.length) return false
    const pages: [content: Uint8Array, to: number][] = []
    for (let index = 0; index < count; index++) {
      const to = view.getUint32(ENTRY.BODY + index * PAGE_REFERENCE, true)
      const length = view.getUint32(ENTRY.BODY + index * PAGE_REFERENCE + 4, true)
      if (from + length > bytes.length || to + length > binsSize) return false
      pages.push([bytes.subarray(from, from + length), BASE.SIZE + to])
      from += length
    }
    this.grow(BASE.SIZE + binsSize)
    for (const [content, to] of pages) this.bytes.set(content, to)
    return true
  }

  private grow(size: number): void {
    if (size <= this.bytes.length) return
    const grown = new Uint8Array(size)
    grown.set(this.bytes)
    this.bytes = grown
  }

  private takeHead(log: HiveLog): void {
    if (this.sound) return
    this.bytes.set(log.bytes.subarray(0, BASE.CHECKED), 0)
    viewOf(this.bytes).setUint32(BASE.FILE_TYPE, 0, true)
  }

  /** The head of a hive that was written to its end. */
  private seal(binsSize: number, sequence: number): void {
    const view = viewOf(this.bytes)
    view.setUint32(BASE.BINS_SIZE, binsSize, true)
    view.setUint32(BASE.PRIMARY_SEQUENCE, sequence, true)
    view.setUint32(BASE.SECONDARY_SEQUENCE, sequence, true)
    view.setUint32(BASE.CHECKSUM, baseChecksum(view), true)
  }
}

/** The numbers of the bits that are set; none when they are more than the log has pages, as one is that was cut off. */
function dirtyPages(vector: Uint8Array, most: number): number[] | undefined {
  const dirty: number[] = []
  for (let bit = 0; bit < vector.length * 8; bit++) {
    if (((vector[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0) dirty.push(bit)
    if (dirty.length > most) return undefined
  }
  return dirty
}
