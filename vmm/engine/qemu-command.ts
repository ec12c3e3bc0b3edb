import type { Accelerator } from '../model/hardware'
import { fileSource, rawSource } from '../images/block-source'
import { VmmError } from '../model/errors'
import type { MachineSpec } from './machine-spec'
import { qemuDevices } from './qemu-devices'
import { cpuOf, SANDBOX } from './qemu-host'
import type { OpenLayer } from './qemu-layer-record'
import { blockdev, machineTypeOf, RUN_FILES } from './qemu-names'

/** What a command is made of besides the spec. */
export interface CommandParts {
  binary: string
  accelerator: Accelerator
  sandbox: boolean
  /** Names the machine to itself; see `machineUuid`. */
  uuid: string
  /** How each of the spec's disks is opened, in their order; of those that are served, nothing is looked at. */
  layers: readonly OpenLayer[]
  /** Code of the UEFI, for a machine that has it. */
  uefiCode: string | null
}

/**
 * The words of the command, its program first. Nothing that was not asked for is there (-nodefaults), nothing is read
 * from the host's configuration (-no-user-config), and it waits for `cont` (-S). Throws kind `unsupported` for more
 * devices than the machine type has room for.
 */
export function qemuCommand(spec: MachineSpec, parts: CommandParts): string[] {
  if (machineTypeOf(spec) === 'microvm' && spec.boot.kind !== 'kernel') {
    throw new VmmError('unsupported', 'A microvm boots a kernel directly, and nothing else.', {
      hint: 'Choose the automatic machine type, or a kernel image.',
    })
  }
  const devices = qemuDevices(spec, parts.layers)
  if (machineTypeOf(spec) === 'microvm') refuseCrowded(devices, microSlots(parts.accelerator))
  return [
    parts.binary,
    ...['-nodefaults', '-no-user-config'],
    ...(parts.sandbox ? ['-sandbox', SANDBOX] : []),
    ...['-name', `guest=${spec.name.replaceAll(',', ',,')}`],
    ...['-uuid', parts.uuid],
    ...machine(spec, parts),
    ...memory(spec),
    ...['-smp', String(spec.cpus)],
    ...['-rtc', 'base=utc'],
    // a guest that powers off is still there to say so, also to a later main
    '-no-shutdown',
    ...['-pidfile', RUN_FILES.pid],
    ...control(),
    ...boot(spec, parts),
    ...devices,
    '-S',
  ]
}

function machine(spec: MachineSpec, { accelerator, uefiCode }: CommandParts): string[] {
  const type = machineTypeOf(spec)
  const flash = uefiCode === null ? '' : ',pflash0=uefi-code,pflash1=uefi-variables'
  const options =
    type === 'microvm' ? `,acpi=${microAcpi(accelerator)},rtc=on,pit=on,pic=on,isa-serial=off` : ',vmport=off'
  return [
    ...['-machine', `${type},memory-backend=ram${options}${flash}`],
    ...['-accel', accelerator],
    ...['-cpu', cpuOf(accelerator)],
  ]
}

/**
 * The ACPI of a microvm tells the guest that the PC's old timers are not there. A hypervisor gives it another one; under
 * TCG there is none, and Linux would wait for its first tick for ever. Without ACPI such a guest cannot power off.
 */
function microAcpi(accelerator: Accelerator): 'on' | 'off' {
  return accelerator === 'tcg' ? 'off' : 'on'
}

/** Places for virtio devices in a microvm: its ACPI brings a second interrupt controller, and 16 more. */
function microSlots(accelerator: Accelerator): number {
  return microAcpi(accelerator) === 'on' ? 24 : 8
}

function refuseCrowded(devices: readonly string[], slots: number): void {
  const needed = devices.filter((word) => /^virtio-[a-z]+-device,/.test(word)).length
  if (needed <= slots) return
  throw new VmmError(
    'unsupported',
    `A microvm has room for ${slots} virtio devices here, and this one needs ${needed}.`,
    {
      hint: 'Detach disks, remove network cards, or choose another machine type.',
    },
  )
}

/** In a file without a name, so that inspection can read it later and nobody else finds it. */
function memory({ memoryMiB }: MachineSpec): string[] {
  const kind = process.platform === 'linux' ? 'memory-backend-memfd,share=on' : 'memory-backend-ram'
  const [type, ...rest] = kind.split(',')
  return [...['-m', `size=${memoryMiB}M`], ...['-object', [type, 'id=ram', `size=${memoryMiB}M`, ...rest].join(',')]]
}

function control(): string[] {
  return [
    ...['-chardev', `socket,id=qmp,path=${RUN_FILES.qmp},server=on,wait=off`],
    ...['-mon', 'chardev=qmp,mode=control'],
    ...['-display', 'none'],
  ]
}

function boot(spec: MachineSpec, { uefiCode }: CommandParts): string[] {
  const uefi =
    uefiCode === null
      ? []
      : [
          ...blockdev('uefi-code', { ...rawSource(fileSource(uefiCode)), 'read-only': true }),
          ...blockdev('uefi-variables', rawSource(fileSource(spec.uefiVariables))),
        ]
  if (spec.boot.kind !== 'kernel') return [...uefi, '-boot', 'strict=on']
  const { kernel, initrd, cmdline } = spec.boot
  return [
    ...uefi,
    ...['-kernel', kernel],
    ...(initrd === null ? [] : ['-initrd', initrd]),
    ...(cmdline === '' ? [] : ['-append', cmdline]),
  ]
}
