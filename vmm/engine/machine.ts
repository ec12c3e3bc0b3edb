import type { Counters } from '../model/counters'
import type { DiskLimits } from '../model/hardware'
import type { Display } from './display'

/** Bytes both ways on a serial port. */
export interface SerialPort {
  write(bytes: Uint8Array): void
  /** Calls `receive` for output; returns the function that ends it. */
  onData(receive: (bytes: Uint8Array) => void): () => void
}

/**
 * How a machine ended.
 * - `powered-off`: the guest halted for good
 * - `reset`: the guest rebooted and its engine cannot reset in place; whoever runs it starts it anew
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

/** What is done while a machine stands still. */
export type AtMoment = () => Promise<void>

/** Where to put what a disk's layer holds at one moment, by the disk's id. */
export type LayerCopies = Readonly<Record<string, string>>

export function isMachine(outcome: Machine | MachineEnd): outcome is Machine {
  return 'ended' in outcome
}

/** The live run of a domain. Every method fails with kind `engine` once the machine has ended. */
export interface Machine {
  readonly pid: number | undefined
  /** Milliseconds since the Unix epoch; an adopted machine has kept its own. */
  readonly startedAt: number
  /** How it is made fast, such as 'kvm' or 'tcg'; empty where there is no choice. */
  readonly accelerator: string
  /** Root shell or boot console. */
  readonly console: SerialPort
  /** Where a guest agent listens, if the image runs one. */
  readonly agentPort: SerialPort
  /** Null for a machine without a screen. */
  readonly display: Display | null
  /** Where each network card listens for the switch: a socket that carries frames with their lengths before them. */
  readonly frameLinks: readonly string[]
  /** Where the card for its files listens for the file process, in the same way; null for a machine that has none. */
  readonly filesCard: string | null
  pause(): Promise<void>
  resume(): Promise<void>
  /**
   * Writes the machine's state to `file` (whole or not at all) and copies of the disk layers of the same moment. The
   * machine is as running or paused afterwards as before. `compress` trades time to restore for size, where the engine
   * has that choice. While it stands still for this, `atMoment` may copy what else belongs to the same moment; if that
   * fails, so does all.
   */
  saveState(
    file: string,
    options: { compress: boolean; layerCopies: LayerCopies; atMoment?: AtMoment },
  ): Promise<SavedState>
  /** Copies the disk layers of one moment, without the memory. */
  copyLayers(copies: LayerCopies, atMoment?: AtMoment): Promise<void>
  counters(): Promise<Counters>
  /** Calls `listener` about once a second while the machine runs. */
  onCounters(listener: (counters: Counters) => void): () => void
  /** Calls `listener` when the host refused a write and the guest was halted for it; `resume` tries again. */
  onStall(listener: (reason: string) => void): () => void
  /** Calls `listener` when the guest rebooted and goes on in the same machine. */
  onReset(listener: () => void): () => void

  /** As somebody who presses the power button; the guest may heed it. */
  pressPower(): Promise<void>
  setDiskLimits(limits: DiskLimits): Promise<void>
  /** Leaves the guest this much memory; resolves when it has been asked, not when it has obeyed. */
  setMemory(memoryMiB: number): Promise<void>
  /** Memory that the guest has been left, MiB; null where it always has all. */
  memoryNow(): Promise<number | null>
  /** Tells the guest whether the cable of a network card is in. */
  setLink(nic: number, up: boolean): Promise<void>
  /** Grows a disk under the running guest. */
  resizeDisk(id: string, bytes: number): Promise<void>
  /** Puts another CD into a drive, or none. */
  changeCd(id: string, path: string | null): Promise<void>

  /** Ends the machine at once. Resolves when it is gone. */
  kill(): Promise<void>
  /** Lets go of a machine that outlives main: it runs on, and `Engine.adopt` finds it again. */
  release(): Promise<void>
  /** Resolves when the machine has ended, however; never after `release`. */
  readonly ended: Promise<MachineEnd>
}
