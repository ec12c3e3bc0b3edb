import type {
  ACCELERATOR_CHOICES,
  BootDevice,
  DISK_BUSES,
  EngineView,
  FIRMWARES,
  MACHINE_TYPES,
  NIC_MODELS,
} from '../src-main/contract'
import { plural } from './format'

/** The words and sentences in which the parts of a virtual PC are told. */

interface Words {
  word: string
  /** What it is good for. */
  note: string
}

export const FIRMWARE_WORDS: Record<(typeof FIRMWARES)[number], Words> = {
  bios: { word: 'BIOS', note: 'Starts everything that does not insist on UEFI.' },
  uefi: {
    word: 'UEFI',
    note: 'What current systems are installed with; it keeps variables of its own for this domain.',
  },
}

export const MACHINE_WORDS: Record<(typeof MACHINE_TYPES)[number], Words> = {
  auto: { word: 'Automatic', note: 'A current PC, or what suits the image best.' },
  q35: { word: 'Q35', note: 'A current PC with PCI Express.' },
  pc: { word: 'i440FX', note: 'A PC of the nineties, for old systems.' },
  microvm: { word: 'microvm', note: 'Virtio devices and little else: starts fast, boots only a kernel image.' },
}

export const ACCELERATOR_WORDS: Record<(typeof ACCELERATOR_CHOICES)[number], Words> = {
  auto: { word: 'Automatic', note: 'The fastest that works on this host.' },
  kvm: { word: 'KVM', note: 'The processor’s virtualization under Linux.' },
  hvf: { word: 'HVF', note: 'The processor’s virtualization under macOS.' },
  whpx: { word: 'WHPX', note: 'The processor’s virtualization under Windows.' },
  tcg: { word: 'TCG', note: 'Translates the guest’s code: works everywhere, is slow, and promises no isolation.' },
}

export const BUS_WORDS: Record<(typeof DISK_BUSES)[number], Words> = {
  auto: { word: 'Automatic', note: 'What suits the image best.' },
  virtio: { word: 'Virtio', note: 'The fastest; the guest needs a driver, which Linux has.' },
  sata: { word: 'SATA', note: 'What every system knows, Windows included.' },
}

export const NIC_WORDS: Record<(typeof NIC_MODELS)[number], string> = {
  virtio: 'Virtio (fastest; needs a driver)',
  e1000: 'Intel e1000 (every system knows it)',
}

export const BOOT_WORDS: Record<BootDevice, string> = { disk: 'Disk', cdrom: 'CD drive', network: 'Network' }

/** What tells an engine from the others, one sentence. */
export function engineSentence({ capabilities, accelerators }: EngineView): string {
  if (capabilities.mostCpus === 1)
    return 'Nothing to install. 32-bit systems with one processor, slowly but well kept apart.'
  const fast = accelerators.some(({ id, works }) => works && id !== 'tcg')
  const speed = fast ? 'nearly as fast as this host' : 'without hardware acceleration on this host'
  return `64-bit systems with up to ${plural(capabilities.mostCpus, 'processor')}, disks and UEFI; ${speed}.`
}

/** 'QEMU 7.2 · TCG': what runs a domain, as far as it is known. */
export function engineWords(engine: EngineView | undefined, fallback: string, runningOn: string): string {
  const name = engine?.version.replace(/(\d+\.\d+)(\.\d+)+/, '$1') || engine?.name || fallback
  const accelerator = Object.entries(ACCELERATOR_WORDS).find(([id]) => id === runningOn)?.[1].word ?? runningOn
  return accelerator ? `${name} · ${accelerator}` : name
}
