import type { FileTimeStamp, RegistryValue } from './hive'

/** What is known of a key besides what is in it. */
export interface KeyInfo {
  /** As it is written, without the path. */
  name: string
  /** Where it really lies: HKCU, HKCR and symbolic links are resolved. */
  path: string
  written: FileTimeStamp
  className: string | null
  /** A symbolic link; only seen when asked for the link itself. */
  link: boolean
  keys: number
  values: number
}

/** A key in a list. */
export type KeyListing = Omit<KeyInfo, 'path'>

export interface Page<Item> {
  total: number
  items: Item[]
}

/**
 * A registry as somebody sees it. Keys are named by paths such as `HKLM\Software\Example`, without regard to case. Throws
 * VmmErrors: `not-found`, `invalid` (a name or a size), `conflict` (it is there, or not empty), `denied`, `disk-full`.
 */
export interface RegistryView {
  /** `itself`: a symbolic link is not followed. */
  key(path: string, itself?: boolean): KeyInfo
  /** In the order of their names in upper case. */
  keys(path: string, offset: number, limit: number): Page<KeyListing>
  values(path: string, offset: number, limit: number): Page<RegistryValue>
  /** null when the key has no such value. */
  value(path: string, name: string, itself?: boolean): RegistryValue | null
  /** The type and size do not follow from each other here: any data goes with any type, as in Windows. */
  setValue(path: string, value: RegistryValue): void
  deleteValue(path: string, name: string): void
  /** With the keys above it that are missing. False when it was there. */
  createKey(path: string, className?: string | null): boolean
  /** `tree`: with all below it; else a key that has keys is refused. A symbolic link goes, not what it leads to. */
  deleteKey(path: string, tree: boolean): void
  /** Also to another place. Costs nothing, however much is below it. */
  moveKey(path: string, to: string): void
}
