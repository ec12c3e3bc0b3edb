import { VmmError } from '../model/errors'
import { REGISTRY_LIMITS, type RegistryValue } from './hive'
import { checkKeyName, checkValue, folded } from './key-names'
import { HiveBins } from './regf-bins'
import {
  BASE,
  baseChecksum,
  BIN,
  CELL,
  DB,
  INLINE,
  KEY_FLAG,
  LIST,
  NK,
  signature,
  SK,
  VALUE_FLAG,
  VK,
} from './regf-layout'
import { DEFAULT_DESCRIPTOR } from './regf-security'
import type { SecuredKey } from './regf-read'

/** As many keys as one list has; Windows' lists fit into a bin of one page. */
const LEAF_MOST = 507
const LEAF_ENTRY = 8

/**
 * Writes a hive of version 1.5, as Windows XP and later read it: lists of the kind `lh`, security descriptors shared
 * (keys that have none get `DEFAULT_DESCRIPTOR`), more than 16344 bytes of data in segments. Keys are in the order of
 * their names, values as they come. What `readRegf` read of such a hive gives the same bytes again. Of the hives of
 * others these are normalized: the order of cells, unused room, list kinds, sequence numbers, access bits, and flags
 * but that of a link. Throws `invalid` or `unsupported`.
 */
export function writeRegf(root: SecuredKey, fileName = ''): Uint8Array {
  const writing = new Writing()
  const rootCell = writing.key(root, CELL.NONE, 0)
  writing.linkDescriptors()
  const { bytes, view, binsSize } = writing.bins.finish()
  bytes.set(Buffer.from('regf'))
  const numbers: [at: number, value: number][] = [
    [BASE.PRIMARY_SEQUENCE, 1],
    [BASE.SECONDARY_SEQUENCE, 1],
    [BASE.MAJOR, 1],
    [BASE.MINOR, 5],
    [BASE.FILE_FORMAT, 1],
    [BASE.ROOT, rootCell],
    [BASE.BINS_SIZE, binsSize],
    [BASE.CLUSTERING, 1],
  ]
  for (const [at, value] of numbers) view.setUint32(at, value, true)
  view.setBigUint64(BASE.WRITTEN, root.written, true)
  view.setBigUint64(BASE.SIZE + BIN.WRITTEN, root.written, true)
  bytes.set(Buffer.from(fileName.slice(1 - BASE.FILE_NAME_BYTES / 2), 'utf16le'), BASE.FILE_NAME)
  view.setUint32(BASE.CHECKSUM, baseChecksum(view), true)
  return bytes
}

/** A key that was written, for the list that its parent has. */
interface WrittenKey {
  offset: number
  folded: string
  nameBytes: number
  classBytes: number
}

class Writing {
  readonly bins = new HiveBins()
  /** By content. */
  private readonly descriptors = new Map<string, { offset: number; references: number }>()

  /** The offset of the key's cell; children follow it. */
  key(key: SecuredKey, parent: number, depth: number): number {
    checkKey(key, depth)
    const name = writtenName(depth === 0 ? key.name.slice(0, REGISTRY_LIMITS.keyName) || 'ROOT' : key.name)
    const offset = this.bins.allocate(NK.NAME + name.bytes.length)
    const className = Buffer.from(key.className ?? '', 'utf16le')
    const security = this.descriptor(key.security ?? DEFAULT_DESCRIPTOR)
    const classCell = className.length > 0 ? this.bins.put(className) : CELL.NONE
    const values = this.values([...key.values])
    const children = this.keys(key, offset, depth)
    const { bytes, view } = this.bins.content(offset)
    const flags = (name.latin ? KEY_FLAG.LATIN : 0) | (key.link ? KEY_FLAG.LINK : 0)
    view.setUint16(0, signature('nk'), true)
    view.setUint16(NK.FLAGS, flags | (depth === 0 ? KEY_FLAG.ROOT | KEY_FLAG.NO_DELETE : 0), true)
    view.setBigUint64(NK.WRITTEN, key.written, true)
    const numbers: [at: number, value: number][] = [
      [NK.PARENT, parent],
      [NK.KEY_COUNT, children.count],
      [NK.KEYS, children.list],
      [NK.VOLATILE_KEYS, CELL.NONE],
      [NK.VALUE_COUNT, values.count],
      [NK.VALUES, values.list],
      [NK.SECURITY, security],
      [NK.CLASS, classCell],
      [NK.LONGEST_KEY_NAME, children.longestName],
      [NK.LONGEST_CLASS, children.longestClass],
      [NK.LONGEST_VALUE_NAME, values.longestName],
      [NK.LARGEST_VALUE, values.largest],
    ]
    for (const [at, value] of numbers) view.setUint32(at, value, true)
    view.setUint16(NK.NAME_LENGTH, name.bytes.length, true)
    view.setUint16(NK.CLASS_LENGTH, className.length, true)
    bytes.set(name.bytes, NK.NAME)
    return offset
  }

  /** Once all are known: the ring, and how many keys share each. */
  linkDescriptors(): void {
    const all = [...this.descriptors.values()]
    all.forEach(({ offset, references }, index) => {
      const { view } = this.bins.content(offset)
      view.setUint32(SK.NEXT, all[(index + 1) % all.length]?.offset ?? offset, true)
      view.setUint32(SK.PREVIOUS, all.at(index - 1)?.offset ?? offset, true)
      view.setUint32(SK.REFERENCES, references, true)
    })
  }

  private descriptor(content: Uint8Array): number {
    const name = Buffer.from(content).toString('latin1')
    const known = this.descriptors.get(name)
    if (known) {
      known.references += 1
      return known.offset
    }
    const offset = this.bins.allocate(SK.DESCRIPTOR + content.length)
    const { bytes, view } = this.bins.content(offset)
    view.setUint16(0, signature('sk'), true)
    view.setUint32(SK.SIZE, content.length, true)
    bytes.set(content, SK.DESCRIPTOR)
    this.descriptors.set(name, { offset, references: 1 })
    return offset
  }

  private keys(key: SecuredKey, parent: number, depth: number) {
    const named = [...key.keys].map((child) => ({ child, name: folded(child.name) }))
    named.sort((one, other) => (one.name < other.name ? -1 : Number(one.name > other.name)))
    const written = named.map(({ child, name }): WrittenKey => {
      const offset = this.key(child, parent, depth + 1)
      return { offset, folded: name, nameBytes: child.name.length * 2, classBytes: (child.className?.length ?? 0) * 2 }
    })
    refuseDoubles(written.map((child) => child.folded))
    return {
      count: written.length,
      list: this.list(written),
      longestName: largest(written.map(({ nameBytes }) => nameBytes)),
      longestClass: largest(written.map(({ classBytes }) => classBytes)),
    }
  }

  /** One list, or a list of lists. */
  private list(keys: WrittenKey[]): number {
    if (keys.length === 0) return CELL.NONE
    if (keys.length <= LEAF_MOST) return this.leaf(keys)
    const leaves: number[] = []
    for (let at = 0; at < keys.length; at += LEAF_MOST) leaves.push(this.leaf(keys.slice(at, at + LEAF_MOST)))
    if (leaves.length > 0xffff)
      throw new VmmError('unsupported', `One key has ${keys.length} keys: too many for a hive.`)
    const offset = this.bins.allocate(LIST.ENTRIES + leaves.length * 4)
    const { view } = this.bins.content(offset)
    view.setUint16(0, signature('ri'), true)
    view.setUint16(LIST.COUNT, leaves.length, true)
    leaves.forEach((leaf, index) => view.setUint32(LIST.ENTRIES + index * 4, leaf, true))
    return offset
  }

  private leaf(keys: WrittenKey[]): number {
    const offset = this.bins.allocate(LIST.ENTRIES + keys.length * LEAF_ENTRY)
    const { view } = this.bins.content(offset)
    view.setUint16(0, signature('lh'), true)
    view.setUint16(LIST.COUNT, keys.length, true)
    keys.forEach((key, index) => {
      view.setUint32(LIST.ENTRIES + index * LEAF_ENTRY, key.offset, true)
      view.setUint32(LIST.ENTRIES + index * LEAF_ENTRY + 4, nameHash(key.folded), true)
    })
    return offset
  }

  private values(values: RegistryValue[]) {
    refuseDoubles(values.map(({ name }) => folded(name)))
    const offsets = values.map((value) => this.value(value))
    const list = values.length > 0 ? this.bins.allocate(values.length * 4) : CELL.NONE
    offsets.forEach((offset, index) => this.bins.content(list).view.setUint32(index * 4, offset, true))
    return {
      count: values.length,
      list,
      longestName: largest(values.map(({ name }) => name.length * 2)),
      largest: largest(values.map(({ data }) => data.length)),
    }
  }

  private value({ name, type, data }: RegistryValue): number {
    checkValue(name, type, data.length)
    const written = writtenName(name)
    const offset = this.bins.allocate(VK.NAME + written.bytes.length)
    const dataCell = data.length <= 4 ? 0 : this.data(data)
    const { bytes, view } = this.bins.content(offset)
    view.setUint16(0, signature('vk'), true)
    view.setUint16(VK.NAME_LENGTH, written.bytes.length, true)
    view.setUint32(VK.DATA_SIZE, data.length <= 4 ? INLINE + data.length : data.length, true)
    if (data.length <= 4) bytes.set(data, VK.DATA)
    else view.setUint32(VK.DATA, dataCell, true)
    view.setUint32(VK.TYPE, type, true)
    view.setUint16(VK.FLAGS, written.latin ? VALUE_FLAG.LATIN : 0, true)
    bytes.set(written.bytes, VK.NAME)
    return offset
  }

  private data(data: Uint8Array): number {
    if (data.length <= DB.SEGMENT) return this.bins.put(data)
    const segments: number[] = []
    for (let at = 0; at < data.length; at += DB.SEGMENT) {
      segments.push(this.bins.put(data.subarray(at, at + DB.SEGMENT)))
    }
    const list = this.bins.allocate(segments.length * 4)
    const { view: entries } = this.bins.content(list)
    segments.forEach((segment, index) => entries.setUint32(index * 4, segment, true))
    const offset = this.bins.allocate(DB.SIZE)
    const { view } = this.bins.content(offset)
    view.setUint16(0, signature('db'), true)
    view.setUint16(DB.COUNT, segments.length, true)
    view.setUint32(DB.LIST, list, true)
    return offset
  }
}

/** A byte for each character where that is possible. */
function writtenName(name: string): { bytes: Uint8Array; latin: boolean } {
  // eslint-disable-next-line no-control-regex -- zero to 255 is what one byte holds
  const latin = /^[\x00-\xff]*$/.test(name)
  return { bytes: Buffer.from(name, latin ? 'latin1' : 'utf16le'), latin }
}

/** As lists of the kind `lh` hold it, of a folded name. */
function nameHash(name: string): number {
  let hash = 0
  for (let at = 0; at < name.length; at++) hash = (Math.imul(hash, 37) + name.charCodeAt(at)) >>> 0
  return hash
}

function checkKey({ name, className }: SecuredKey, depth: number): void {
  if (depth > 0) checkKeyName(name)
  if (depth > REGISTRY_LIMITS.depth || (className?.length ?? 0) > REGISTRY_LIMITS.className) {
    throw new VmmError('invalid', `The key "${name}" is too deep, or the name of its class is too long.`, {
      hint: `At most ${REGISTRY_LIMITS.depth} keys deep and ${REGISTRY_LIMITS.className} characters are possible.`,
    })
  }
}

function refuseDoubles(names: string[]): void {
  if (new Set(names).size === names.length) return
  throw new VmmError('invalid', 'A key has two keys or two values with the same name.', {
    hint: 'Names that differ in case only are the same to Windows.',
  })
}

const largest = (numbers: number[]): number => numbers.reduce((most, number) => Math.max(most, number), 0)
