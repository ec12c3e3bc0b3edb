/**
 * The Windows registry as plain data: what codecs read and write. Nothing is interpreted here: the data of a value are the
 * bytes that were found, so strings may have an odd length or lack their end, and types may be unknown.
 */

/** Numbers of value types. (winnt.h) Others exist and are kept. */
export const REG = {
  NONE: 0,
  SZ: 1,
  EXPAND_SZ: 2,
  BINARY: 3,
  DWORD: 4,
  DWORD_BIG_ENDIAN: 5,
  LINK: 6,
  MULTI_SZ: 7,
  RESOURCE_LIST: 8,
  FULL_RESOURCE_DESCRIPTOR: 9,
  RESOURCE_REQUIREMENTS_LIST: 10,
  QWORD: 11,
} as const

/** 100 ns since 1601-01-01 UTC, an unsigned 64-bit number. */
export type FileTimeStamp = bigint

export interface RegistryValue {
  /** '' for the default value. UTF-16, case as written; compared without case. Any character, '\' and NUL too. */
  name: string
  /** 32 bits, unsigned. */
  type: number
  /** Strings are UTF-16LE. Never changed in place. */
  data: Uint8Array
}

/** A key and all below it. Codecs take any iterable, so that a large tree need not be in memory as objects. */
export interface HiveKey {
  /** UTF-16 without '\' and not '', case as written. That of a hive's root is not looked at. */
  name: string
  written: FileTimeStamp
  className: string | null
  /** A symbolic link: its value `SymbolicLinkValue` (REG.LINK, no terminator) says where to. */
  link: boolean
  /** In the order found; no two with the same name but for case. */
  values: Iterable<RegistryValue>
  /** In any order; no two with the same name but for case. */
  keys: Iterable<HiveKey>
}

/** What readers make. */
export interface PlainKey extends HiveKey {
  values: RegistryValue[]
  keys: PlainKey[]
}

/** A key without anything in it. */
export function plainKey(name: string, written: FileTimeStamp = 0n): PlainKey {
  return { name, written, className: null, link: false, values: [], keys: [] }
}

/** What is kept at most. Windows' own limits, but for the size of a value and the number of entries. */
export const REGISTRY_LIMITS = {
  /** UTF-16 units. */
  keyName: 255,
  valueName: 16_383,
  className: 255,
  /** A whole path that is changed, UTF-16 units. */
  path: 32_767,
  /** Keys within keys. */
  depth: 512,
  /** Bytes. */
  value: 64 << 20,
  /** Keys and values of one hive file. */
  entries: 20_000_000,
} as const

/** 1970-01-01 in FILETIME. */
const UNIX_EPOCH = 116_444_736_000_000_000n

export function stampOfMs(ms: number): FileTimeStamp {
  return UNIX_EPOCH + BigInt(Math.trunc(ms * 10_000))
}

/** Milliseconds since 1970, rounded down. */
export function msOfStamp(stamp: FileTimeStamp): number {
  return Number((stamp - UNIX_EPOCH) / 10_000n)
}
