import { NO_LIMITS, unsupported, type CapabilitiesView, type DomainView, type ImageKind } from '../../src-main/contract'

/** The hardware of a domain that a form edits; its disks have calls of their own. */
export const HARDWARE_KEYS = [
  'cpus',
  'firmware',
  'machineType',
  'accelerator',
  'diskBus',
  'bootOrder',
  'nics',
] as const satisfies readonly (keyof DomainView)[]
export type HardwareDraft = Pick<DomainView, (typeof HARDWARE_KEYS)[number]>

export const plainHardware = (): HardwareDraft => ({
  cpus: 1,
  firmware: 'bios',
  machineType: 'auto',
  accelerator: 'auto',
  diskBus: 'auto',
  bootOrder: ['disk', 'cdrom'],
  nics: [{ model: 'virtio' }],
})

/** The hardware as an engine of these capabilities can give it: what it cannot is left to the engine. */
export function fitted(hardware: HardwareDraft, can: CapabilitiesView): HardwareDraft {
  const keep = <T extends string>(value: T, known: readonly string[], otherwise: T): T =>
    known.includes(value) ? value : otherwise
  return {
    ...hardware,
    cpus: Math.min(hardware.cpus, can.mostCpus),
    firmware: keep(hardware.firmware, can.firmwares, 'bios'),
    machineType: keep(hardware.machineType, can.machineTypes, 'auto'),
    accelerator: keep(hardware.accelerator, can.accelerators, 'auto'),
    diskBus: keep(hardware.diskBus, can.diskBuses, 'auto'),
    nics: hardware.nics.slice(0, can.mostNics),
  }
}

export interface Wished {
  hardware: HardwareDraft
  memoryMiB: number
  disks: DomainView['disks']
  imageKind: ImageKind | null | undefined
}

/** The first wish that cannot be fulfilled, as a sentence for people, or ''. */
export function hardwareFault({ hardware, memoryMiB, disks, imageKind }: Wished, can: CapabilitiesView): string {
  if (!Number.isInteger(hardware.cpus) || hardware.cpus < 1) return 'A guest needs a processor.'
  const fault = unsupported({ ...hardware, filesCard: false, memoryMiB, disks, diskLimits: NO_LIMITS }, can)
  if (fault) return `This engine: ${fault}`
  const direct = imageKind === 'starter' || imageKind === 'kernel'
  return hardware.machineType === 'microvm' && !direct ? 'A microvm boots only a kernel image.' : ''
}
