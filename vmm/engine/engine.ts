import type { Counters } from '../model/counters'
import type { EngineId, Isolation } from '../model/domain'
import type { Display } from './display'

/** What an engine's machines can do. Callers ask this, never the engine's name. */
export interface EngineCapabilities {
  pause: boolean
  save: boolean
  /** Snapshots of a running machine: memory and disks together. */
  liveSnapshot: boolean
  /** Starting from a boot snapshot of the image. */
  instantStart: boolean
}

/** What a machine boots; every path is absolute. */
export type Boot =
  | { kind: 'kernel'; kernel: string; initrd: string | null; cmdline: string }
  | { kind: 'cdrom'; path: string }
  | { kind: 'floppy'; path: string }
  | { kind: 'disk' }

/** A copy-on-write disk: `base` is never written. */
export interface DiskSpec {
  /** Raw image below the layer; null for an empty disk. */
  base: string | null
  /** Size in bytes, a multiple of 512. */
  bytes: number
  /** File of the domain's own layer, made when missing. */
  layer: string
}

export interface MachineSpec {
  domainId: string
  memoryMiB: number
  boot: Boot
  disk: DiskSpec | null
  /** BIOS and VGA BIOS files. */
  firmware: { bios: string; vgaBios: string }
  /** State file to resume from instead of booting. */
  resumeFrom: string | null
}

/** Bytes both ways on a serial port. */
export interface SerialPort {
  write(bytes: Uint8Array): void
  /** Calls `receive` for output; returns the function that ends it. */
  onData(receive: (bytes: Uint8Array) => void): () => void
}

/**
 * How a machine ended.
 * - `powered-off`: the guest halted for good
 * - `reset`: the guest rebooted; whoever runs it starts it anew
 * - `killed`: Vivarium ended it
 * - `crashed`: the engine's process died or failed
 */
export interface MachineEnd {
  how: 'powered-off' | 'reset' | 'killed' | 'crashed'
  /** For people; empty unless crashed. */
  reason: string
}

export interface SavedState {
  /** Size of the state file, bytes. */
  bytes: number
}

/** The live run of a domain. Every method fails with kind `engine` once the machine has ended. */
export interface Machine {
  readonly pid: number | undefined
  /** Root shell or boot console. */
  readonly console: SerialPort
  /** Where a guest agent listens, if the image runs one. */
  readonly agentPort: SerialPort
  /** Null for a machine without a screen. */
  readonly display: Display | null
  pause(): Promise<void>
  resume(): Promise<void>
  /**
   * Writes the machine's state to `file` (whole or not at all) and, when `layerCopy` is given, a copy of the
   * disk layer of the same moment. The machine is as running or paused afterwards as before.
   * `compress` trades time to restore for size.
   */
  saveState(file: string, options: { compress: boolean; layerCopy: string | null }): Promise<SavedState>
  counters(): Promise<Counters>
  /** Calls `listener` about once a second while the machine runs. */
  onCounters(listener: (counters: Counters) => void): () => void
  /** Calls `listener` when the host refused a write and the guest was halted for it; `resume` tries again. */
  onStall(listener: (reason: string) => void): () => void
  /** Ends the machine at once. Resolves when it is gone. */
  kill(): Promise<void>
  /** Resolves when the machine has ended, however. */
  readonly ended: Promise<MachineEnd>
}

export interface EngineVerdict {
  works: boolean
  /** Why not, and what would help; empty when it works. */
  reason: string
}

export interface Engine {
  readonly id: EngineId
  readonly name: string
  readonly isolation: Isolation
  readonly capabilities: EngineCapabilities
  /** Part of a state file's identity: states of one version are not restored by another. */
  readonly stateVersion: string
  /** Tries whether the engine works on this host. */
  probe(): Promise<EngineVerdict>
  /** What is wrong with a state file as far as a quick look can tell, one sentence, or ''. */
  checkState(file: string): Promise<string>
  /** Copies a disk layer that no machine is using; the copy is whole or absent. */
  copyLayer(from: string, to: string): Promise<void>
  /**
   * Starts a machine, running. Fails with a `VmmError` that says what is wrong with the spec or the files, or, when
   * `signal` fires before it runs, with kind `cancelled`.
   */
  start(spec: MachineSpec, signal?: AbortSignal): Promise<Machine>
}
