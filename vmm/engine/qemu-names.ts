import { basename } from 'node:path'
import type { BlockSource } from '../images/block-source'
import type { MachineSpec } from './machine-spec'

/** Files in the folder that QEMU runs in, by plain names: socket paths have an upper length. */
export const RUN_FILES = {
  qmp: 'qmp.sock',
  console: 'console.sock',
  consoleLog: 'console.log',
  agent: 'agent.sock',
  screen: 'screen.sock',
  pid: 'pid',
  log: 'qemu.log',
} as const

/** The machine type that 'auto' stands for is a current PC. */
export function machineTypeOf({ machineType }: MachineSpec): Exclude<MachineSpec['machineType'], 'auto'> {
  return machineType === 'auto' ? 'q35' : machineType
}

/** A microvm has no PCI, and so no screen. */
export function hasScreen(spec: MachineSpec): boolean {
  return machineTypeOf(spec) !== 'microvm'
}

/** The option for one block device. */
export function blockdev(name: string, source: BlockSource): string[] {
  return ['-blockdev', JSON.stringify({ 'node-name': name, ...source })]
}

/** Names of the QEMU objects that stand for a disk or a drive, by its id in the spec. */
export const deviceOf = (id: string): string => `dev-${id}`
export const nicDevice = (index: number): string => `nic${index}`
export const nodeOf = (id: string): string => `node-${id}`
/** The name of the node for a content file that a machine is moved to while it runs; QEMU takes 31 bytes. */
export const overlayNode = (file: string): string => `over-${basename(file).slice(0, 24)}`

/** Where the throttles of a disk are set: the part of it that QEMU hangs the block device on. */
export function backendOf(id: string, spec: MachineSpec): string {
  const device = `/machine/peripheral/${deviceOf(id)}`
  return busOf(spec) === 'virtio' && machineTypeOf(spec) !== 'microvm' ? `${device}/virtio-backend` : device
}

/** Virtio where a kernel is booted that must know it anyway; what every system knows elsewhere. */
export function busOf({ diskBus, boot, machineType }: MachineSpec): 'virtio' | 'sata' {
  if (machineType === 'microvm') return 'virtio'
  if (diskBus !== 'auto') return diskBus
  return boot.kind === 'kernel' ? 'virtio' : 'sata'
}
