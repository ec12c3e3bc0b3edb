import { truncated, type FileFacts, type Identity } from './file-facts'

const SECTOR = 512
const KIB = 1024

/** 5.25 and 3.5 inch floppies of the PC, in bytes. */
const FLOPPY_BYTES: readonly number[] = [160, 180, 320, 360, 720, 1200, 1440, 1680, 2880].map((size) => size * KIB)
const LARGEST_FLOPPY = 2880 * KIB

/** A raw disk or floppy, by its boot sector, its partition table, or for a floppy its size. */
export function identifyDisk(facts: FileFacts): Identity | undefined {
  const { bytes, head } = facts
  if (FLOPPY_BYTES.includes(bytes)) return { role: 'floppy', detail: `floppy, ${bytes / KIB} KiB` }
  if (head.length < 2 * SECTOR || head.readUInt16LE(510) !== 0xaa55) {
    return identifyExt(facts)
  }
  const fat = fatBytes(head)
  if (fat !== undefined && FLOPPY_BYTES.includes(fat) && bytes < fat) throw truncated(facts, 'floppy', fat)
  if (fat === bytes && bytes <= LARGEST_FLOPPY) return { role: 'floppy', detail: `floppy, ${bytes / KIB} KiB` }
  if (bytes % SECTOR !== 0) throw truncated(facts, 'disk', Math.ceil(bytes / SECTOR) * SECTOR)
  return identifyPartitioned(facts)
}

const SUPERBLOCK_AT = 1024
const EXT_MAGIC = 0xef53
const HAS_JOURNAL = 0x4
const HAS_EXTENTS = 0x40

/** An ext file system without a boot sector (Linux: Documentation/filesystems/ext4/super.rst). */
function identifyExt(facts: FileFacts): Identity | undefined {
  const { bytes, head } = facts
  const block = head.subarray(SUPERBLOCK_AT, SUPERBLOCK_AT + 1024)
  if (block.length < 1024 || block.readUInt16LE(56) !== EXT_MAGIC) return undefined
  const expected = block.readUInt32LE(4) * KIB * 2 ** Math.min(6, block.readUInt32LE(24))
  if (expected > bytes) throw truncated(facts, 'file system', expected)
  if (bytes % SECTOR !== 0) throw truncated(facts, 'disk', Math.ceil(bytes / SECTOR) * SECTOR)
  const version = block.readUInt32LE(96) & HAS_EXTENTS ? 4 : block.readUInt32LE(92) & HAS_JOURNAL ? 3 : 2
  const use = 'nothing boots from it by itself, but it can be attached to a domain that boots a kernel'
  return { role: 'disk', detail: `ext${version} file system without a boot sector: ${use}` }
}

function identifyPartitioned(facts: FileFacts): Identity {
  const { bytes, head } = facts
  if (head.toString('latin1', SECTOR, SECTOR + 8) === 'EFI PART') {
    const lastSector = head.readBigUInt64LE(SECTOR + 32)
    const expected = Number((lastSector + 1n) * BigInt(SECTOR))
    if (expected > bytes) throw truncated(facts, 'disk', expected)
    return { role: 'disk', detail: 'raw disk with a GPT partition table' }
  }
  const ends = partitionEnds(head)
  const expected = Math.max(0, ...ends)
  if (expected > bytes) throw truncated(facts, 'disk', expected)
  return {
    role: 'disk',
    detail: ends.length > 0 ? 'raw disk with an MBR partition table' : 'raw disk with a boot sector',
  }
}

/** Where the partitions of an MBR end, in bytes; none when the four entries make no sense as a table. */
function partitionEnds(head: Buffer): number[] {
  const entries = [0, 1, 2, 3].map((index) => head.subarray(446 + index * 16, 462 + index * 16))
  const isTable = entries.every((entry) => entry[0] === 0 || entry[0] === 0x80)
  const used = entries.filter((entry) => entry[4] !== 0 && entry[4] !== 0xee)
  return isTable ? used.map((entry) => (entry.readUInt32LE(8) + entry.readUInt32LE(12)) * SECTOR) : []
}

/** The size that a FAT boot sector claims (Microsoft's FAT specification, BPB), or undefined when it is none. */
function fatBytes(head: Buffer): number | undefined {
  const jumps = head[0] === 0xeb || head[0] === 0xe9
  const mediaByte = head[21] ?? 0
  const sectors = head.readUInt16LE(19)
  const isFat = jumps && head.readUInt16LE(11) === SECTOR && (mediaByte === 0xf0 || mediaByte >= 0xf8) && sectors > 0
  return isFat ? sectors * SECTOR : undefined
}
