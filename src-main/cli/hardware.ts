import { type Command, InvalidArgumentError, Option } from 'commander'
import {
  ACCELERATOR_CHOICES,
  BOOT_DEVICES,
  CPUS,
  DISK_BUSES,
  FIRMWARES,
  MACHINE_TYPES,
  NIC_MODELS,
  type AcceleratorChoice,
  type BootDevice,
  type DiskBus,
  type Firmware,
  type MachineType,
  type NicModel,
} from '../../vmm/model/hardware'
import { given, wholeNumber } from './options'

export interface HardwareOptions {
  cpus?: number
  firmware?: Firmware
  machine?: MachineType
  accelerator?: AcceleratorChoice
  diskBus?: DiskBus
  bootOrder?: BootDevice[]
  nic?: (NicModel | 'none')[]
  template?: boolean
}

/** What `new` and `set` say of the virtual PC. */
export function addHardwareOptions(command: Command): Command {
  return command
    .option('--cpus <count>', 'processors', wholeNumber(CPUS.least, CPUS.most))
    .addOption(new Option('--firmware <kind>', 'what starts the PC').choices(FIRMWARES))
    .addOption(new Option('--machine <type>', 'kind of PC').choices(MACHINE_TYPES))
    .addOption(new Option('--accelerator <name>', 'what makes it fast').choices(ACCELERATOR_CHOICES))
    .addOption(new Option('--disk-bus <bus>', 'how disks are attached').choices(DISK_BUSES))
    .option('--boot-order <devices>', `what it boots from, best first: ${BOOT_DEVICES.join(',')}`, bootOrder)
    .option('--nic <model>', `a network card, ${NIC_MODELS.join(' or ')}; again for another, none for none`, nextNic)
    .option('--template', 'only to be cloned, never started')
    .option('--no-template', 'an ordinary domain')
}

/** The fields of a spec or patch that were given. */
export function hardwareOf({
  cpus,
  firmware,
  machine,
  accelerator,
  diskBus,
  bootOrder,
  nic,
  template,
}: HardwareOptions) {
  const nics = nic?.flatMap((model) => (model === 'none' ? [] : [{ model }]))
  return given({ cpus, firmware, machineType: machine, accelerator, diskBus, bootOrder, nics, template })
}

function bootOrder(text: string): BootDevice[] {
  return text.split(',').map((word) => {
    const device = BOOT_DEVICES.find((known) => known === word.trim())
    if (device) return device
    throw new InvalidArgumentError(`Name some of ${BOOT_DEVICES.join(', ')}, with commas.`)
  })
}

function nextNic(text: string, before: (NicModel | 'none')[] = []): (NicModel | 'none')[] {
  const model = ([...NIC_MODELS, 'none'] as const).find((known) => known === text)
  if (model) return [...before, model]
  throw new InvalidArgumentError(`Name one of ${NIC_MODELS.join(', ')}, or none.`)
}
