import type { ServedVolumes, VolumeCalls, VolumePlace } from '../disks/volume-calls'
import type { DiskSpec } from '../engine/machine-spec'
import type { Failure } from '../model/errors'
import type { FileRule } from '../model/policy-files'
import type { IoLimit, IoRates } from '../model/policy-io'
import type { RegistryRule } from '../model/policy-registry'
import type { ShareMode } from '../model/share'
import type { RegistryCalls, RegistryConfig } from '../registry/registry-calls'

/** What main and the file process tell each other; see DESIGN's 'Processes'. Everything is told whole and may be told again. */

export interface ShareConfig {
  id: string
  name: string
  mode: ShareMode
  /** Absolute path of the host's folder. */
  folder: string
  /** Where the changes of a copy-on-write share are kept: a private folder of this share. */
  overlay: string
}

/** How a running guest reaches its files. */
export interface GuestDoors {
  /** The file process listens here for 9P. */
  listen: string
  /** The file process dials the guest's files card here; null for none. */
  card: string | null
}

export interface DomainFilesConfig {
  domainId: string
  /** Seals what is kept; null for plain. */
  key: Uint8Array | null
  shares: readonly ShareConfig[]
  rules: readonly FileRule[]
  registryRules: readonly RegistryRule[]
  /** Allowed until the machine ends; before all others. */
  once: { files: readonly FileRule[]; registry: readonly RegistryRule[] }
  limits: readonly IoLimit[]
  /** The budget shared with the other domains of the group; null for none. */
  group: { name: string; rates: IoRates } | null
  registry: RegistryConfig | null
  /** Null while the machine does not run. */
  doors: GuestDoors | null
  /** Disks that are kept here, told before their machine starts and until it has ended; null for none. */
  volumes: ServedVolumes | null
}

/** What became of a share: '' when it is served, else why not. */
export type ShareTroubles = Record<string, string>

export interface IoCount {
  readBytes: number
  writeBytes: number
  readOps: number
  writeOps: number
  /** Milliseconds that something waited for a limit. */
  waitedMs: number
}

export interface MeterReport {
  domainId: string
  /** As in the policy; '' for all of the domain together. */
  device: string
  /** Since the domain was told of first. */
  count: IoCount
}

/** A use that a rule refused or noted. */
export interface AccessNote {
  domainId: string
  kind: 'file' | 'registry'
  /** '' for the registry. */
  share: string
  path: string
  operation: string
  action: 'deny' | 'log'
  rule: string
  index: number
  /** How often since it was told last. */
  count: number
  /** Unix milliseconds. */
  at: number
}

export interface FilesReport {
  meters: MeterReport[]
  groups: { name: string; count: IoCount }[]
  notes: AccessNote[]
  /** Notes that were too many to tell, by domain. */
  untold: [domainId: string, count: number][]
}

export interface FileChange {
  path: string
  key: string
  kind: 'added' | 'changed' | 'deleted' | 'attributes' | 'renamed'
  type: 'file' | 'folder' | 'link' | 'other'
  bytesBefore: number | null
  bytesAfter: number | null
  /** Its path on the host, of what was renamed; '' otherwise. */
  from: string
  conflict: boolean
}

export interface FileChanges {
  changes: FileChange[]
  total: number
  added: number
  changed: number
  deleted: number
}

export interface FileSides {
  before: Uint8Array | null
  after: Uint8Array | null
  bytesBefore: number
  bytesAfter: number
}

/** What became of changes that were applied or discarded. */
export interface ChangesOutcome {
  done: number
  /** Left alone, with the reason; at most 100. */
  refused: { path: string; reason: string }[]
}

/** Where what is kept of a domain is. */
export interface KeptFolders {
  shares: readonly { id: string; overlay: string }[]
  registry: string
}

export interface FilesCalls {
  /** Also for a domain that is known already: what changed holds at once, also for what the guest has open. */
  setDomain(config: DomainFilesConfig): Promise<ShareTroubles>
  /** Closes all that is open of a domain; everything acknowledged is durable when it resolves. */
  closeDomain(domainId: string): Promise<void>
  /** Copies what is kept of a domain that is known, of one moment, into `folder`, one folder for each share. */
  snapshot(domainId: string, folder: string): Promise<void>
  /** Puts copies of `snapshot` in the place of what is kept; nothing of the domain is open. */
  restore(kept: KeptFolders, folder: string): Promise<void>
  /** Bytes on the host that is kept of each share. */
  keptBytes(domainId: string): Promise<Record<string, number>>
  changes(domainId: string, shareId: string, under: string, limit: number): Promise<FileChanges>
  sides(domainId: string, shareId: string, key: string, limit: number): Promise<FileSides>
  /** `job` names the work for `cancel` and `progress`. */
  apply(
    job: string,
    domainId: string,
    shareId: string,
    keys: readonly string[],
    force: boolean,
  ): Promise<ChangesOutcome>
  discard(job: string, domainId: string, shareId: string, keys: readonly string[]): Promise<ChangesOutcome>
  cancel(job: string): Promise<void>
  /** Works on volumes that no machine uses, but for `copyLayer`, `grow` and `sweep`. */
  volumes<K extends keyof VolumeCalls>(
    place: VolumePlace,
    name: K,
    args: Parameters<VolumeCalls[K]>,
  ): Promise<Awaited<ReturnType<VolumeCalls[K]>>>
  /** Copies layers of disks that are served, of one moment, by the disks' ids; the machine stands still. */
  copyVolumes(domainId: string, copies: Readonly<Record<string, string>>): Promise<void>
  /** Writes what a volume that is not in use reads as to a raw file, or to a layer that shares nothing. */
  flattenVolume(job: string, place: VolumePlace, disk: DiskSpec, to: string, kind: 'file' | 'layer'): Promise<void>
  /** Asks the registry of a domain that is known. */
  registry<K extends keyof RegistryCalls>(
    domainId: string,
    name: K,
    args: Parameters<RegistryCalls[K]>,
  ): Promise<Awaited<ReturnType<RegistryCalls[K]>>>
  /** Flushes and ends. */
  close(): Promise<void>
}

export type FilesReply<T> = { ok: true; value: T } | { ok: false; failure: Failure }
/** As they travel: a thrown error would lose its kind on the way. */
export type FilesCommands = {
  [K in keyof FilesCalls]: (
    ...args: Parameters<FilesCalls[K]>
  ) => Promise<FilesReply<Awaited<ReturnType<FilesCalls[K]>>>>
}

/** What the file process tells by itself. */
export interface FilesEvents {
  report(report: FilesReport): void
  progress(job: string, done: number, total: number): void
}
