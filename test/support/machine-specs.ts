import { join } from 'node:path'
import type { DiskSpec, MachineSpec } from '../../vmm/engine/machine-spec'
import { NO_LIMITS } from '../../vmm/model/hardware'

const MIB = 1024 * 1024

/** An empty disk of one MiB with its layer in `folder`. */
export function diskSpec(folder: string, change: Partial<DiskSpec> = {}): DiskSpec {
  const id = change.id ?? 'disk'
  return { id, base: null, baseBytes: 0, bytes: MIB, layer: join(folder, `${id}.layer`), served: null, ...change }
}

/** A machine with little memory that boots from its disk, of which there is none. */
export function machineSpec(change: Partial<MachineSpec> = {}): MachineSpec {
  return {
    domainId: 'domain-1',
    name: 'Domain 1',
    memoryMiB: 32,
    cpus: 1,
    boot: { kind: 'disk' },
    disks: [],
    cds: [],
    nics: [],
    filesCard: false,
    firmware: 'bios',
    bios: { bios: '', vgaBios: '' },
    uefiVariables: '',
    machineType: 'auto',
    accelerator: 'tcg',
    diskBus: 'auto',
    bootOrder: ['disk', 'cdrom'],
    diskLimits: NO_LIMITS,
    agent: 'serial',
    resumeFrom: null,
    ...change,
  }
}
