import type { Accelerator, DiskBus, Firmware, MachineType } from './hardware'

/** What an engine's machines can do. Callers ask this, never the engine's name. */
export interface EngineCapabilities {
  pause: boolean
  save: boolean
  /** Snapshots of a running machine: memory and disks together. */
  liveSnapshot: boolean
  /** Snapshots of the disks of a running machine, without its memory. */
  diskSnapshot: boolean
  /** Starting from a boot snapshot of the image. */
  instantStart: boolean
  /** Clones that share unchanged disk content with their source. */
  linkedClone: boolean
  /** Asking a guest without an agent to power off, by ACPI. */
  powerButton: boolean
  /** A port for the agent of any guest that runs one, not only of ours. */
  agentPort: boolean
  /** Taking memory from a running guest and giving it back. */
  balloon: boolean
  /** Limits on how fast disks are, changed at any time. */
  diskLimits: boolean
  /** Growing a disk that has content. */
  growDisk: boolean
  /** Machines go on when Vivarium ends, and are found again. */
  outlivesMain: boolean
  mostCpus: number
  mostMemoryMiB: number
  /** Attached disks and CD drives beside the first disk. */
  furtherDisks: number
  mostNics: number
  firmwares: readonly Firmware[]
  /** Named choices beside 'auto'; none where the engine has but one machine. */
  machineTypes: readonly MachineType[]
  accelerators: readonly Accelerator[]
  diskBuses: readonly DiskBus[]
}

export const NO_CAPABILITIES: Readonly<EngineCapabilities> = {
  pause: false,
  save: false,
  liveSnapshot: false,
  diskSnapshot: false,
  instantStart: false,
  linkedClone: false,
  powerButton: false,
  agentPort: false,
  balloon: false,
  diskLimits: false,
  growDisk: false,
  outlivesMain: false,
  mostCpus: 1,
  mostMemoryMiB: 0,
  furtherDisks: 0,
  mostNics: 0,
  firmwares: [],
  machineTypes: [],
  accelerators: [],
  diskBuses: [],
}
