import type {
  AcceleratorChoice,
  BootDevice,
  DiskBus,
  DiskLimits,
  Firmware,
  MachineType,
  NicModel,
} from '../model/hardware'

/** What a machine boots; every path is absolute. */
export type Boot =
  | { kind: 'kernel'; kernel: string; initrd: string | null; cmdline: string }
  | { kind: 'cdrom'; path: string }
  | { kind: 'floppy'; path: string }
  | { kind: 'disk' }

/** A copy-on-write disk: `base` is never written. */
export interface DiskSpec {
  /** Names the disk within its machine: `disk`, `disk1` … */
  id: string
  /** Raw image below the layer; null for an empty disk. */
  base: string | null
  /** Size that the base has had since it was imported, bytes; 0 without one. */
  baseBytes: number
  /** Size in bytes, a multiple of 512; a layer that is smaller is grown. */
  bytes: number
  /** File of the domain's own layer, made when missing. */
  layer: string
  /** Socket where it is served over NBD under its id, by somebody who keeps its layer; null for an engine to keep it. */
  served: string | null
}

export interface CdSpec {
  /** Names the drive within its machine. */
  id: string
  /** Path of the ISO image; null for an empty drive. */
  path: string | null
}

export interface MachineSpec {
  domainId: string
  /** For people, as in a process list. */
  name: string
  memoryMiB: number
  cpus: number
  boot: Boot
  disks: readonly DiskSpec[]
  /** CD drives beside the one that is booted from. */
  cds: readonly CdSpec[]
  nics: readonly { mac: string; model: NicModel }[]
  /** Whether the guest has a card for its files; an engine that reaches the guest's files otherwise has no use for it. */
  filesCard: boolean
  firmware: Firmware
  /** Files of SeaBIOS, for an engine that brings none. */
  bios: { bios: string; vgaBios: string }
  /** What the guest's UEFI remembers; made when missing, used with that firmware only. */
  uefiVariables: string
  machineType: MachineType
  accelerator: AcceleratorChoice
  diskBus: DiskBus
  bootOrder: readonly BootDevice[]
  diskLimits: DiskLimits
  /** `serial`: on the second serial port; `virtio`: on the port named org.qemu.guest_agent.0, if the guest has one. */
  agent: 'serial' | 'virtio'
  /** State file to resume from instead of booting. */
  resumeFrom: string | null
}
