import { VmmError } from '../model/errors'
import type { FileFacts } from './file-facts'

interface ForeignFormat {
  /** With its article, for 'x is …'. */
  name: string
  at: number
  /** Bytes at `at`, hexadecimal. */
  magic: string
  end?: 'tail'
  hint: string
}

const CONVERT =
  'Convert it to a raw disk first: qemu-img convert -O raw FROM TO. Only the qemu engine could use it as it is.'
const UNPACK = 'Unpack it first and import what is inside.'

const FORMATS: readonly ForeignFormat[] = [
  { name: 'a QEMU disk (qcow2)', at: 0, magic: '514649fb', hint: CONVERT },
  { name: 'a VMware disk (VMDK)', at: 0, magic: '4b444d56', hint: CONVERT },
  { name: 'a VMware disk (VMDK)', at: 0, magic: '434f5744', hint: CONVERT },
  { name: 'the description of a VMware disk (VMDK)', at: 0, magic: text('# Disk DescriptorFile'), hint: CONVERT },
  { name: 'a VirtualBox disk (VDI)', at: 64, magic: '7f10dabe', hint: CONVERT },
  { name: 'a Hyper-V disk (VHDX)', at: 0, magic: text('vhdxfile'), hint: CONVERT },
  { name: 'a Virtual PC disk (VHD)', at: 0, magic: text('conectix'), hint: CONVERT },
  { name: 'a Virtual PC disk (VHD)', at: 0, magic: text('conectix'), end: 'tail', hint: CONVERT },
  { name: 'a macOS disk image (DMG)', at: 0, magic: text('koly'), end: 'tail', hint: CONVERT },
  { name: 'a Windows image (WIM)', at: 0, magic: text('MSWIM'), hint: 'Import the installation ISO instead.' },
  { name: 'a tar archive or an OVA appliance', at: 257, magic: text('ustar'), hint: UNPACK },
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

/** Refuses the formats that are known but not taken, each by its name. */
export function refuseForeign({ name, head, tail }: FileFacts): void {
  const format = FORMATS.find(({ at, magic, end }) => {
    const part = end === 'tail' ? tail : head
    return part.toString('hex', at, at + magic.length / 2) === magic
  })
  if (!format) return
  throw new VmmError('unsupported', `'${name}' is ${format.name}, which is not taken as an image.`, {
    hint: format.hint,
  })
}

function text(magic: string): string {
  return Buffer.from(magic).toString('hex')
}
