import type { EngineCapabilities } from '../model/capabilities'
import type { EngineId, Isolation } from '../model/domain'
import type { BlockSource } from '../images/block-source'
import type { Accelerator } from '../model/hardware'
import type { Machine, MachineEnd } from './machine'
import type { DiskSpec, MachineSpec } from './machine-spec'

export interface EngineVerdict {
  works: boolean
  /** Why not, and what would help; empty when it works. */
  reason: string
  /** What it runs on, such as 'QEMU 7.2.22'; empty for an engine that is part of Vivarium. */
  version: string
  /** What was tried to make guests fast, best first; empty where there is no choice. */
  accelerators: readonly AcceleratorVerdict[]
}

export interface AcceleratorVerdict {
  id: Accelerator
  works: boolean
  /** Why not; empty when it works. */
  reason: string
}

/** Folders that engines keep things in; absolute paths. */
export interface EngineFolders {
  /** Disk content that layers share. */
  layers: string
  /** Sockets, logs and records of machines that outlive main. */
  run: string
  /** What can be found out again. */
  cache: string
}

/** Long work on files. */
export interface FileWork {
  signal?: AbortSignal
  /** Bytes done of `total`. */
  onProgress?: (done: number, total: number) => void
}

/** What a look at a disk's own content found. */
export interface DiskCondition {
  /** What is wrong, one sentence; empty for a sound disk. */
  damage: string
  /** Whether `repairDisk` can do something about it. */
  repairable: boolean
}

export interface Engine {
  readonly id: EngineId
  readonly name: string
  /** As far as it is known: it may depend on what `probe` found. */
  readonly isolation: Isolation
  readonly capabilities: EngineCapabilities
  /** Part of a state file's identity: states of one version are not restored by another. */
  stateVersion(): Promise<string>
  /** Tries whether the engine works on this host; remembers the answer unless asked to try `anew`. */
  probe(anew?: boolean): Promise<EngineVerdict>
  /** What is wrong with a state file as far as a quick look can tell, one sentence, or ''. */
  checkState(file: string): Promise<string>

  /**
   * Gives `to` the content that the disk layer `from` has now; the two then go their own ways. No machine may be using
   * `from`. The copy is whole or absent. An engine with linked clones copies nothing but a reference.
   */
  copyLayer(from: string, to: string): Promise<void>
  /** Gives the layer `to` the content of `disk`, its base included, shared with nobody. */
  flattenLayer(disk: DiskSpec, to: string, work: FileWork): Promise<void>
  /** Removes a layer and what only it used. */
  removeLayer(file: string): Promise<void>
  /** Bytes on the host that only this layer takes up; 0 when there is none. */
  layerBytes(file: string): Promise<number>
  /** The content of a disk, for QEMU's tools; an engine with a format of its own writes it to `scratch` first. */
  diskSource(disk: DiskSpec, scratch: string, work: FileWork): Promise<BlockSource>
  checkDisk(disk: DiskSpec): Promise<DiskCondition>
  /** Mends a copy of the layer and puts it in place; what was there before is kept beside it. */
  repairDisk(disk: DiskSpec, work: FileWork): Promise<void>

  /** The words of the command that would start `spec`; none where there is no such command. */
  commandLine(spec: MachineSpec): Promise<string[]>
  /**
   * Starts a machine, running. Fails with a `VmmError` that says what is wrong with the spec or the files, or, when
   * `signal` fires before it runs, with kind `cancelled`.
   */
  start(spec: MachineSpec, signal?: AbortSignal): Promise<Machine>
  /**
   * The machine of a domain that an earlier main started and that still lives, or how it has ended.
   * What that main had begun with it is ended; it goes on running unless it is to stay paused.
   */
  adopt(domainId: string, options: { paused: boolean }): Promise<Machine | MachineEnd>
  /** After a start of Vivarium: ends machines that were not adopted, removes content that nothing names. All there is, is named. */
  sweep(known: { domainIds: ReadonlySet<string>; layers: readonly string[] }): Promise<void>
}
