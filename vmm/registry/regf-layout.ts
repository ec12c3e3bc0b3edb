import { VmmError } from '../model/errors'

/**
 * The layout of Windows registry hive files. (M. Suhanov, Windows registry file format specification.) All numbers are
 * little-endian; offsets of cells count from the end of the base block.
 */

/** The base block: the first bytes of a hive and, but for its length, of a transaction log. */
export const BASE = {
  SIZE: 4096,
  PRIMARY_SEQUENCE: 4,
  SECONDARY_SEQUENCE: 8,
  WRITTEN: 12,
  MAJOR: 20,
  MINOR: 24,
  FILE_TYPE: 28,
  FILE_FORMAT: 32,
  ROOT: 36,
  BINS_SIZE: 40,
  CLUSTERING: 44,
  FILE_NAME: 48,
  FILE_NAME_BYTES: 64,
  CHECKSUM: 508,
  /** As much as is summed up, with the sum. */
  CHECKED: 512,
} as const

/** A hive bin: a header and cells without gaps; a multiple of `SIZE` bytes. */
export const BIN = { SIZE: 4096, HEADER: 32, OFFSET: 4, LENGTH: 8, WRITTEN: 20 } as const

/** A cell's head is its size: negative when it is in use. */
export const CELL = { HEAD: 4, ALIGNMENT: 8, NONE: 0xffffffff } as const

/** nk, a key. */
export const NK = {
  FLAGS: 2,
  WRITTEN: 4,
  PARENT: 16,
  KEY_COUNT: 20,
  KEYS: 28,
  VOLATILE_KEYS: 32,
  VALUE_COUNT: 36,
  VALUES: 40,
  SECURITY: 44,
  CLASS: 48,
  LONGEST_KEY_NAME: 52,
  LONGEST_CLASS: 56,
  LONGEST_VALUE_NAME: 60,
  LARGEST_VALUE: 64,
  NAME_LENGTH: 72,
  CLASS_LENGTH: 74,
  NAME: 76,
} as const

export const KEY_FLAG = { ROOT: 0x4, NO_DELETE: 0x8, LINK: 0x10, LATIN: 0x20, PREDEFINED: 0x40 } as const

/** vk, a value. */
export const VK = { NAME_LENGTH: 2, DATA_SIZE: 4, DATA: 8, TYPE: 12, FLAGS: 16, NAME: 20 } as const

export const VALUE_FLAG = { LATIN: 0x1, TOMBSTONE: 0x2 } as const

/** The bit of `VK.DATA_SIZE` that says that at most 4 bytes stand where the offset of the data would. */
export const INLINE = 0x80000000

/** sk, a security descriptor, in a ring with all others. */
export const SK = { NEXT: 4, PREVIOUS: 8, REFERENCES: 12, SIZE: 16, DESCRIPTOR: 20 } as const

/** db: data of more than `SEGMENT` bytes, in segments of as many. Since 1.4. */
export const DB = { COUNT: 2, LIST: 4, SIZE: 8, SEGMENT: 16_344 } as const

/** li, lf, lh: lists of keys; ri: a list of those. */
export const LIST = { COUNT: 2, ENTRIES: 4 } as const

/** The two letters at the beginning of a record as the number that they are. */
export const signature = (letters: string): number => letters.charCodeAt(0) | (letters.charCodeAt(1) << 8)

/** A view of the same bytes. */
export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Of the first 508 bytes of a base block: XOR of its words, of which 0 and 2^32-1 are not used. */
export function baseChecksum(base: DataView): number {
  let sum = 0
  for (let at = 0; at < BASE.CHECKSUM; at += 4) sum ^= base.getUint32(at, true)
  if (sum === -1) return 0xfffffffe
  return sum === 0 ? 1 : sum >>> 0
}

/** A hive that cannot be read; `offset` is in the file. */
export function damagedHive(offset: number, reason: string): VmmError {
  return new VmmError('damaged', `The registry hive cannot be read: ${reason} (at 0x${offset.toString(16)}).`, {
    hint: 'Take another copy of the hive, with its .LOG1 and .LOG2 files beside it.',
    context: { offset },
  })
}
