import {
  damagedHive,
  BASE,
  CELL,
  DB,
  INLINE,
  KEY_FLAG,
  LIST,
  NK,
  signature,
  SK,
  VALUE_FLAG,
  viewOf,
  VK,
} from './regf-layout'
import { HiveCells, type HiveCell } from './regf-cells'
import { recoverHive, type HiveLogs } from './regf-log'
import { REGISTRY_LIMITS, type HiveKey, type RegistryValue } from './hive'
import { folded } from './key-names'

/** A key with its security descriptor, self-relative; without one the writer gives its own. */
export interface SecuredKey extends HiveKey {
  security?: Uint8Array
  keys: Iterable<SecuredKey>
}

/** What the reader makes of a key. */
export interface RegfKey extends SecuredKey {
  values: RegistryValue[]
  keys: RegfKey[]
}

export interface RegfHive {
  root: RegfKey
  /** Of the format: 3 to 6 for 1.3 to 1.6. */
  minor: number
  /** The end of the path that the hive had. */
  fileName: string
  /** What a person should know: that it was recovered from logs, or what of it is left out. */
  notes: string[]
}

/**
 * Reads a Windows registry hive (regf 1.3 to 1.6). A hive that was not written to its end is recovered in memory from
 * its transaction logs. Deleted cells, volatile keys and marks of layered keys are left out. Data are views of `file`,
 * which must not be changed. Throws `damaged` with the offset, or `unsupported`.
 */
export function readRegf(file: Uint8Array, logs: HiveLogs = {}): RegfHive {
  const { bytes, notes } = recoverHive(file, logs)
  const view = viewOf(bytes)
  const minor = view.getUint32(BASE.MINOR, true)
  const cells = new HiveCells(bytes, view.getUint32(BASE.BINS_SIZE, true))
  const reading = new Reading(cells, minor)
  const root = reading.key(view.getUint32(BASE.ROOT, true), 0)
  return { root, minor, fileName: fileNameOf(bytes), notes: [...notes, ...reading.notes()] }
}

const fileNameOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + BASE.FILE_NAME, BASE.FILE_NAME_BYTES)
    .toString('utf16le')
    .replace(/\0.*$/s, '')

const [NK_RECORD, VK_RECORD, SK_RECORD, DB_RECORD, RI] = ['nk', 'vk', 'sk', 'db', 'ri'].map(signature)
/** Lists of keys, and how many bytes each entry has. */
const LEAVES = new Map([
  [signature('li'), 4],
  [signature('lf'), 8],
  [signature('lh'), 8],
])

class Reading {
  private entries = 0
  private tombstones = 0
  /** By offset: most keys share a few. */
  private readonly descriptors = new Map<number, Uint8Array>()

  constructor(
    private readonly cells: HiveCells,
    private readonly minor: number,
  ) {}

  key(offset: number, depth: number): RegfKey {
    const cell = this.record(offset, NK_RECORD, 'a key')
    if (depth > REGISTRY_LIMITS.depth) throw damagedHive(cell.at, `keys are nested ${depth} deep`)
    this.count(cell)
    const flags = cell.u16(NK.FLAGS)
    const name = cell.text(NK.NAME, cell.u16(NK.NAME_LENGTH), (flags & KEY_FLAG.LATIN) !== 0)
    if (depth > 0 && (name === '' || name.includes('\\'))) throw damagedHive(cell.at, 'a key has no possible name')
    if (name.length > REGISTRY_LIMITS.keyName) throw damagedHive(cell.at, "a key's name is too long")
    const descriptor = this.descriptor(cell.u32(NK.SECURITY))
    return {
      name,
      written: cell.u64(NK.WRITTEN),
      className: this.className(cell),
      link: (flags & KEY_FLAG.LINK) !== 0,
      values: (flags & KEY_FLAG.PREDEFINED) === 0 ? this.values(cell) : [],
      keys: this.keys(cell, depth),
      ...(descriptor ? { security: descriptor } : {}),
    }
  }

  notes(): string[] {
    if (this.tombstones === 0) return []
    return [`${this.tombstones} marks of deleted values in a layered hive are left out.`]
  }

  private record(offset: number, expected: number | undefined, what: string): HiveCell {
    const cell = this.cells.take(offset, what)
    if (cell.u16(0) !== expected) throw damagedHive(cell.at, `this is not ${what}`)
    return cell
  }

  /** Keys and values of a hive are bounded by its file too; this is for those that come after us. */
  private count(cell: HiveCell): void {
    this.entries += 1
    if (this.entries > REGISTRY_LIMITS.entries) throw damagedHive(cell.at, 'it has too many entries')
  }

  private className(key: HiveCell): string | null {
    const [offset, length] = [key.u32(NK.CLASS), key.u16(NK.CLASS_LENGTH)]
    if (offset === CELL.NONE || length === 0) return null
    const cell = this.cells.take(offset, 'the name of a class')
    if (length / 2 > REGISTRY_LIMITS.className) throw damagedHive(cell.at, 'the name of a class is too long')
    return cell.text(0, length, false)
  }

  private descriptor(offset: number): Uint8Array | undefined {
    if (offset === CELL.NONE) return undefined
    const known = this.descriptors.get(offset)
    if (known) return known
    const cell = this.record(offset, SK_RECORD, 'a security descriptor')
    const made = cell.part(SK.DESCRIPTOR, cell.u32(SK.SIZE))
    this.descriptors.set(offset, made)
    return made
  }

  private keys(parent: HiveCell, depth: number): RegfKey[] {
    const wanted = parent.u32(NK.KEY_COUNT)
    if (wanted === 0) return []
    const offsets = this.listed(parent.u32(NK.KEYS), true)
    if (offsets.length !== wanted) throw damagedHive(parent.at, `it lists ${offsets.length} of ${wanted} keys`)
    const keys = offsets.map((offset) => this.key(offset, depth + 1))
    refuseDoubles(keys, parent, 'keys')
    return keys
  }

  private listed(offset: number, mayBeRoot: boolean): number[] {
    const cell = this.cells.take(offset, 'a list of keys')
    const kind = cell.u16(0)
    const step = kind === RI && mayBeRoot ? 4 : LEAVES.get(kind)
    if (step === undefined) throw damagedHive(cell.at, 'this is no list of keys')
    const entries = Array.from({ length: cell.u16(LIST.COUNT) }, (_, index) => cell.u32(LIST.ENTRIES + index * step))
    return kind === RI ? entries.flatMap((list) => this.listed(list, false)) : entries
  }

  private values(key: HiveCell): RegistryValue[] {
    const count = key.u32(NK.VALUE_COUNT)
    if (count === 0) return []
    const list = this.cells.take(key.u32(NK.VALUES), 'a list of values')
    if (count * 4 > list.bytes.length) throw damagedHive(list.at, `there is no room for ${count} values`)
    const values: RegistryValue[] = []
    for (let index = 0; index < count; index++) {
      const value = this.value(list.u32(index * 4))
      if (value) values.push(value)
    }
    refuseDoubles(values, key, 'values')
    return values
  }

  private value(offset: number): RegistryValue | undefined {
    const cell = this.record(offset, VK_RECORD, 'a value')
    this.count(cell)
    const flags = cell.u16(VK.FLAGS)
    if ((flags & VALUE_FLAG.TOMBSTONE) !== 0) {
      this.tombstones += 1
      return undefined
    }
    const name = cell.text(VK.NAME, cell.u16(VK.NAME_LENGTH), (flags & VALUE_FLAG.LATIN) !== 0)
    if (name.length > REGISTRY_LIMITS.valueName) throw damagedHive(cell.at, "a value's name is too long")
    return { name, type: cell.u32(VK.TYPE), data: this.data(cell) }
  }

  private data(value: HiveCell): Uint8Array {
    const size = value.u32(VK.DATA_SIZE)
    if (size >= INLINE) {
      if (size - INLINE > 4) throw damagedHive(value.at, `${size - INLINE} bytes of data stand in place of an offset`)
      return value.part(VK.DATA, size - INLINE)
    }
    if (size === 0) return new Uint8Array()
    if (size > REGISTRY_LIMITS.value) throw damagedHive(value.at, `a value has ${size} bytes`)
    const cell = this.cells.take(value.u32(VK.DATA), 'the data of a value')
    // some writers put large data into one cell in every version; a cell of segments has no room for any
    if (size <= DB.SEGMENT || this.minor < 4 || size <= cell.bytes.length) return cell.part(0, size)
    return this.segments(cell, size)
  }

  private segments(cell: HiveCell, size: number): Uint8Array {
    const count = cell.u16(DB.COUNT)
    if (cell.u16(0) !== DB_RECORD || count !== Math.ceil(size / DB.SEGMENT)) {
      throw damagedHive(cell.at, `there is no room for ${size} bytes of data`)
    }
    const list = this.cells.take(cell.u32(DB.LIST), 'a list of segments')
    const parts = Array.from({ length: count }, (_, index) => {
      const length = Math.min(DB.SEGMENT, size - index * DB.SEGMENT)
      return this.cells.take(list.u32(index * 4), 'a segment of data').part(0, length)
    })
    return Buffer.concat(parts)
  }
}

function refuseDoubles(named: { name: string }[], parent: HiveCell, what: string): void {
  if (named.length < 2) return
  if (new Set(named.map(({ name }) => folded(name))).size === named.length) return
  throw damagedHive(parent.at, `two ${what} have the same name`)
}
