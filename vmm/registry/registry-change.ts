import type { FileTimeStamp, RegistryValue } from './hive'

/**
 * One change of a registry. Paths are like `HKLM\Software\Example`; where one is kept (in a layer, a journal) it is
 * canonical: it begins with HKLM or HKU and goes through no symbolic link.
 */
export type RegistryChange =
  /** The key above must be there. */
  | { kind: 'create-key'; path: string; className: string | null; link: boolean; at: FileTimeStamp }
  /** With all below it. */
  | { kind: 'delete-key'; path: string; at: FileTimeStamp }
  /** With all below it; nothing may be at `to`, the key above it must be there. */
  | { kind: 'move-key'; path: string; to: string; at: FileTimeStamp }
  | { kind: 'set-value'; path: string; value: RegistryValue; at: FileTimeStamp }
  | { kind: 'delete-value'; path: string; name: string; at: FileTimeStamp }
  /** Sets the time a key was last written. */
  | { kind: 'touch-key'; path: string; at: FileTimeStamp }
