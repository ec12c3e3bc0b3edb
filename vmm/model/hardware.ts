import * as v from 'valibot'
import { IdSchema } from './id'

/** What a virtual PC is made of. 'auto' leaves the choice to the engine. */

export const FIRMWARES = ['bios', 'uefi'] as const
export type Firmware = (typeof FIRMWARES)[number]

/** QEMU's machine types: a current PC, an old one, and one with virtio devices and little else for direct kernel boots. */
export const MACHINE_TYPES = ['auto', 'q35', 'pc', 'microvm'] as const
export type MachineType = (typeof MACHINE_TYPES)[number]

export const ACCELERATORS = ['kvm', 'hvf', 'whpx', 'tcg'] as const
export type Accelerator = (typeof ACCELERATORS)[number]
export const ACCELERATOR_CHOICES = ['auto', ...ACCELERATORS] as const
export type AcceleratorChoice = (typeof ACCELERATOR_CHOICES)[number]

/** 'virtio' is fastest and needs a driver in the guest; 'sata' is what every system knows. */
export const DISK_BUSES = ['auto', 'virtio', 'sata'] as const
export type DiskBus = (typeof DISK_BUSES)[number]

export const NIC_MODELS = ['virtio', 'e1000'] as const
export type NicModel = (typeof NIC_MODELS)[number]

export const BOOT_DEVICES = ['disk', 'cdrom', 'network'] as const
export type BootDevice = (typeof BOOT_DEVICES)[number]

export const CPUS = { least: 1, most: 64 } as const
export const DISK_MIB = { least: 1, most: 8 * 1024 * 1024 } as const
/** Further disks and CD drives, beside the one that the image or `diskMiB` gives. */
export const FURTHER_DISKS = 7
export const NICS_MOST = 8

const whole = (what: string) => v.pipe(v.number(`${what} is a number.`), v.integer(`${what} is a whole number.`))

export const CpusSchema = v.pipe(
  whole('The number of processors'),
  v.minValue(CPUS.least, 'A guest needs a processor.'),
  v.maxValue(CPUS.most, `A guest can have at most ${CPUS.most} processors.`),
)

/** 0 is for no disk, or for one that is as large as its image. */
export const DiskMibSchema = v.pipe(
  whole('A disk size in MiB'),
  v.minValue(0, 'A disk cannot be smaller than nothing.'),
  v.maxValue(DISK_MIB.most, `A disk has at most ${DISK_MIB.most} MiB.`),
)

/** The disk that the image or `diskMiB` gives. */
export const FIRST_DISK = 'disk'
export const DiskIdSchema = v.pipe(v.string(), v.regex(/^disk[0-9]{0,2}$/, 'There is no such disk.'))

/** A disk or CD drive that was added. */
export const FurtherDiskSchema = v.strictObject({
  id: DiskIdSchema,
  kind: v.picklist(['disk', 'cdrom']),
  /** Size in MiB; 0 for a CD drive, and for a disk that is as large as its image. */
  mib: DiskMibSchema,
  /** What is below the disk or in the drive; '' for an empty one. */
  imageId: v.union([v.literal(''), IdSchema]),
  /** A detached disk keeps its content and is not seen by the guest. */
  attached: v.boolean(),
})
export type FurtherDisk = v.InferOutput<typeof FurtherDiskSchema>

const rate = v.pipe(
  whole('A limit'),
  v.minValue(0, 'A limit cannot be negative; 0 is none.'),
  v.maxValue(1e12, 'A limit this high is none.'),
)

/** What all disks of a domain together may move in a second; 0 is no limit. */
export const DiskLimitsSchema = v.strictObject({
  readBytes: v.optional(rate, 0),
  writeBytes: v.optional(rate, 0),
  readOps: v.optional(rate, 0),
  writeOps: v.optional(rate, 0),
  /** How many times the limit a short burst may reach; 1 for no bursts. */
  burstTimes: v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(100)), 1),
  /** How long a burst may last, seconds. */
  burstSeconds: v.optional(v.pipe(whole('The length of a burst'), v.minValue(1), v.maxValue(3600)), 1),
})
export type DiskLimits = v.InferOutput<typeof DiskLimitsSchema>
export const NO_LIMITS: Readonly<DiskLimits> = {
  readBytes: 0,
  writeBytes: 0,
  readOps: 0,
  writeOps: 0,
  burstTimes: 1,
  burstSeconds: 1,
}

export const NicSchema = v.strictObject({ model: v.picklist(NIC_MODELS) })

const BootOrderSchema = v.pipe(
  v.array(v.picklist(BOOT_DEVICES)),
  v.maxLength(BOOT_DEVICES.length),
  v.check((order) => new Set(order).size === order.length, 'The boot order names a device twice.'),
)

const DisksSchema = v.pipe(
  v.array(FurtherDiskSchema),
  v.maxLength(FURTHER_DISKS, `A domain has at most ${FURTHER_DISKS} further disks.`),
  v.check(
    (disks) => new Set([FIRST_DISK, ...disks.map((disk) => disk.id)]).size === disks.length + 1,
    'Two disks have the same id.',
  ),
)

/** The part of a spec that cannot change under a live or saved machine. */
export const HARDWARE_ENTRIES = {
  /** Size of an empty disk of its own in MiB; 0 for none. On a disk image: what it is grown to; 0 leaves it as it is. */
  diskMiB: v.optional(DiskMibSchema, 0),
  cpus: v.optional(CpusSchema, 1),
  firmware: v.optional(v.picklist(FIRMWARES), 'bios'),
  machineType: v.optional(v.picklist(MACHINE_TYPES), 'auto'),
  accelerator: v.optional(v.picklist(ACCELERATOR_CHOICES), 'auto'),
  diskBus: v.optional(v.picklist(DISK_BUSES), 'auto'),
  bootOrder: v.optional(BootOrderSchema, ['disk', 'cdrom']),
  disks: v.optional(DisksSchema, []),
  /** Whether the guest has a card for its files, where its engine needs one; it gets one with its first share. */
  filesCard: v.optional(v.boolean(), false),
  nics: v.optional(v.pipe(v.array(NicSchema), v.maxLength(NICS_MOST)), [{ model: 'virtio' }]),
}

const HardwareSchema = v.object(HARDWARE_ENTRIES)
export type Hardware = v.InferOutput<typeof HardwareSchema>
/** The hardware for which nothing was chosen. */
export const PLAIN_HARDWARE: Readonly<Hardware> = v.parse(HardwareSchema, {})
export const HARDWARE_FIELDS = Object.keys(HARDWARE_ENTRIES) as readonly (keyof Hardware)[]
