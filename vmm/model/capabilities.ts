import { VmmError } from './errors'
import type { Accelerator, DiskBus, DiskLimits, Firmware, Hardware, MachineType } from './hardware'

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
  /** Guests reach their files over a network card for nothing else, which a machine has from its start or not at all. */
  filesCard: boolean
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
  filesCard: false,
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

/** Throws kind `unsupported` for the first wish that the engine cannot fulfil. */
export function refuseUnsupported(
  spec: Omit<Hardware, 'diskMiB'> & { memoryMiB: number; diskLimits: DiskLimits },
  engine: { name: string; capabilities: EngineCapabilities },
): void {
  const fault = unsupported(spec, engine.capabilities)
  if (fault) throw new VmmError('unsupported', `${engine.name}: ${fault}`, { hint: 'Choose another engine or value.' })
}

/** The first wish that an engine of these capabilities cannot fulfil, as a sentence, or ''. */
export function unsupported(
  spec: Omit<Hardware, 'diskMiB'> & { memoryMiB: number; diskLimits: DiskLimits },
  can: EngineCapabilities,
): string {
  const { cpus, memoryMiB, firmware, machineType, accelerator, diskBus, disks } = spec
  const attached = disks.filter((disk) => disk.attached).length
  const limited = Object.entries(spec.diskLimits).some(([key, value]) => !key.startsWith('burst') && value > 0)
  if (cpus > can.mostCpus)
    return `a guest can have at most ${can.mostCpus} ${can.mostCpus === 1 ? 'processor' : 'processors'}.`
  if (memoryMiB > can.mostMemoryMiB) return `a guest can have at most ${can.mostMemoryMiB} MiB of memory.`
  if (!can.firmwares.includes(firmware)) return `there is no ${firmware.toUpperCase()} firmware.`
  if (machineType !== 'auto' && !can.machineTypes.includes(machineType))
    return `there is no machine type '${machineType}'.`
  if (accelerator !== 'auto' && !can.accelerators.includes(accelerator))
    return `there is no accelerator '${accelerator}'.`
  if (diskBus !== 'auto' && !can.diskBuses.includes(diskBus)) return `there is no disk bus '${diskBus}'.`
  if (attached > can.furtherDisks) return 'it cannot attach so many further disks.'
  if (spec.nics.length > can.mostNics) return `a guest can have at most ${can.mostNics} network cards.`
  if (limited && !can.diskLimits) return 'it cannot limit how fast disks are.'
  if (machineType === 'microvm') return unsupportedByMicrovm(spec)
  return ''
}

/** It has no PCI. */
function unsupportedByMicrovm({ firmware, diskBus, nics }: Pick<Hardware, 'firmware' | 'diskBus' | 'nics'>): string {
  if (firmware === 'uefi') return 'a microvm boots a kernel directly, without UEFI.'
  if (diskBus === 'sata') return 'a microvm has virtio disks only.'
  if (nics.some(({ model }) => model !== 'virtio')) return 'a microvm has virtio network cards only.'
  return ''
}
