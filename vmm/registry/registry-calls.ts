import type { RegistryRule } from '../model/policy-registry'
import type { WinePrefix as PrefixPlace } from '../model/registry'
import type { RegistryVerdict } from './registry-rules'

/** What main asks of the registry of a domain in the file process. Keys are paths such as `HKLM\Software\Example`. */

export interface RegistryConfig {
  /** Where the domain's own changes are kept: a private folder. */
  folder: string
  /** Where base hives are kept, all sealed with the domain's key. */
  hivesFolder: string
  hives: readonly { id: string; at: string }[]
  /** Whether the guest can mount it. */
  served: boolean
}

export interface ListedValue {
  name: string
  type: number
  text: string
  size: number
  own: boolean
}

export interface ListedKey {
  key: string
  canonical: string
  subkeys: { name: string; hasSubkeys: boolean; own: boolean }[]
  subkeyTotal: number
  values: ListedValue[]
  valueTotal: number
  writtenAt: number | null
}

export interface SearchQuestion {
  text: string
  under: string
  keys: boolean
  names: boolean
  data: boolean
  /** As `next` of the answer before; '' at first. */
  after: string
  limit: number
}

export interface SearchAnswer {
  hits: { key: string; value: string | null; text: string }[]
  next: string
}

/** With what a registry is compared: its base hives, the copy in a folder, or that of another domain that is open. */
export type Since = { base: true } | { folder: string } | { domainId: string }

interface Side {
  type: number
  text: string
  size: number
}

export interface DiffEntry {
  kind: 'added' | 'changed' | 'deleted'
  key: string
  value: string | null
  before: Side | null
  after: Side | null
}

export interface RegistryDiff {
  entries: DiffEntry[]
  total: number
  added: number
  changed: number
  deleted: number
}

/** What a file holds, and how much of it. */
export interface ImportedHive {
  id: string
  source: 'regf' | 'wine' | 'reg'
  /** Where it belongs, one for each hive of a Wine prefix. */
  at: string
  keys: number
  values: number
  bytes: number
}

export interface RegistryCalls {
  /** How many entries the domain's own changes are. */
  count(): number
  list(key: string, offset: number, limit: number): ListedKey
  /** A part of a value's data. */
  value(key: string, name: string, offset: number, limit: number): { type: number; size: number; bytes: Uint8Array }
  setValue(key: string, name: string, type: number, data: Uint8Array): Promise<void>
  deleteValue(key: string, name: string): Promise<void>
  renameValue(key: string, name: string, to: string): Promise<void>
  createKey(key: string): Promise<void>
  deleteKey(key: string): Promise<void>
  renameKey(key: string, to: string): Promise<void>
  search(question: SearchQuestion): SearchAnswer
  diff(since: Since, offset: number, limit: number): RegistryDiff
  /** Puts entries back to what they were; all without any. */
  revert(since: Since, entries: readonly { key: string; value: string | null }[]): Promise<void>
  /** Writes a branch, or a diff, to a new file. */
  exportTo(what: { branch: string } | { since: Since }, format: 'reg' | 'regf', path: string): void
  /** Reads a file, or the folder of a Wine prefix, as changes; tells how many. */
  importChanges(path: string, key: string): Promise<number>
  /** Reads it as base hives, which are kept. */
  importHives(path: string, key: string): ImportedHive[]
  /** What would happen to a key by some rules. */
  explain(key: string, rules: readonly RegistryRule[], once: readonly RegistryRule[]): RegistryVerdict
  /** Writes the registry into a prefix of a share. Throws `state` when it has nothing that Wine needs. */
  writePrefix(place: PrefixPlace): Promise<void>
  /** Takes back what programs of the prefix changed, and tells how many entries; `live`: they may go on. */
  takePrefix(place: PrefixPlace, live: boolean): Promise<number>
}
