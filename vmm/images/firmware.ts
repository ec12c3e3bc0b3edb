import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { VmmError } from '../model/errors'

/** Where systems that have SeaBIOS installed keep it. */
const SYSTEM_FOLDERS = [
  '/usr/share/seabios',
  '/usr/share/qemu',
  '/usr/share/kvm',
  '/usr/local/share/qemu',
  '/opt/homebrew/share/qemu',
  'C:\\Program Files\\qemu\\share',
]

export interface Firmware {
  bios: string
  vgaBios: string
}

/** The BIOS files: those kept with the starter image, else the system's. Kind `not-found` when there are none. */
export async function firmwareFiles(ownFolder: string): Promise<Firmware> {
  const own = { bios: join(ownFolder, 'bios.bin'), vgaBios: join(ownFolder, 'vgabios.bin') }
  const system = SYSTEM_FOLDERS.map((folder) => ({
    bios: join(folder, 'bios.bin'),
    vgaBios: join(folder, 'vgabios-stdvga.bin'),
  }))
  for (const candidate of [own, ...system]) {
    if ((await exists(candidate.bios)) && (await exists(candidate.vgaBios))) return candidate
  }
  throw new VmmError('not-found', 'No BIOS for the guest was found on this host.', {
    hint: 'Prepare the starter image, which brings one, or install SeaBIOS (it comes with QEMU).',
  })
}

async function exists(file: string): Promise<boolean> {
  return await access(file).then(
    () => true,
    () => false,
  )
}
