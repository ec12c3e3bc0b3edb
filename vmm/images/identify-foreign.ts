import { VmmError } from '../model/errors'
import type { FileFacts, ForeignFormat, Identity } from './file-facts'

interface Signature {
  at: number
  /** Bytes at `at`, hexadecimal. */
  magic: string
  end?: 'tail'
}

/** Formats that are converted when they are taken in. */
const TAKEN: readonly (Signature & { format: ForeignFormat; detail: string })[] = [
  { format: 'qcow2', detail: 'QEMU disk (qcow2)', at: 0, magic: '514649fb' },
  { format: 'vmdk', detail: 'VMware disk (VMDK)', at: 0, magic: text('KDMV') },
  { format: 'vmdk', detail: 'VMware disk (VMDK)', at: 0, magic: text('COWD') },
  {
    format: 'vmdk',
    detail: 'VMware disk (VMDK) with its description apart',
    at: 0,
    magic: text('# Disk DescriptorFile'),
  },
  { format: 'vdi', detail: 'VirtualBox disk (VDI)', at: 64, magic: '7f10dabe' },
  { format: 'vhdx', detail: 'Hyper-V disk (VHDX)', at: 0, magic: text('vhdxfile') },
  { format: 'vpc', detail: 'Virtual PC disk (VHD)', at: 0, magic: text('conectix') },
  { format: 'vpc', detail: 'Virtual PC disk (VHD)', at: 0, end: 'tail', magic: text('conectix') },
  { format: 'ova', detail: 'appliance (OVA)', at: 257, magic: text('ustar') },
]

const UNPACK = 'Unpack it first and import what is inside.'

/** Formats that are known and not taken; the name has its article, for 'x is …'. */
const REFUSED: readonly (Signature & { name: string; hint: string })[] = [
  {
    name: 'a macOS disk image (DMG)',
    at: 0,
    magic: text('koly'),
    end: 'tail',
    hint: 'Convert it to a raw disk first: qemu-img convert -f dmg -O raw FROM TO.',
  },
  { name: 'a Windows image (WIM)', at: 0, magic: text('MSWIM'), hint: 'Import the installation ISO instead.' },
  { name: 'a zip archive', at: 0, magic: '504b0304', hint: UNPACK },
  { name: 'a 7-Zip archive', at: 0, magic: '377abcaf271c', hint: UNPACK },
  { name: 'a RAR archive', at: 0, magic: text('Rar!'), hint: UNPACK },
  {
    name: 'an ELF file, such as an uncompressed kernel (vmlinux)',
    at: 0,
    magic: '7f454c46',
    hint: 'Choose the bzImage instead, often called vmlinuz.',
  },
  { name: 'a kernel for ARM', at: 56, magic: '41524d64', hint: 'Choose a kernel for x86.' },
  {
    name: 'a Windows or UEFI program',
    at: 0,
    magic: text('MZ'),
    hint: 'Choose a kernel, an ISO, a raw disk or a floppy image.',
  },
  { name: 'a web page', at: 0, magic: text('<!DOCTYPE'), hint: 'The download went wrong: fetch the file itself.' },
  { name: 'a web page', at: 0, magic: text('<html'), hint: 'The download went wrong: fetch the file itself.' },
]

/** A disk or appliance of another program, by its content. Throws for the formats that are known but not taken. */
export function identifyForeign(facts: FileFacts): Identity | undefined {
  const taken = TAKEN.find((signature) => matches(facts, signature))
  if (taken) return { role: 'disk', detail: taken.detail, format: taken.format }
  const refused = REFUSED.find((signature) => matches(facts, signature))
  if (!refused) return undefined
  throw new VmmError('unsupported', `'${facts.name}' is ${refused.name}, which is not taken as an image.`, {
    hint: refused.hint,
  })
}

function matches({ head, tail }: FileFacts, { at, magic, end }: Signature): boolean {
  return (end === 'tail' ? tail : head).toString('hex', at, at + magic.length / 2) === magic
}

function text(magic: string): string {
  return Buffer.from(magic).toString('hex')
}
