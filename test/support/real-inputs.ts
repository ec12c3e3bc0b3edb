import { existsSync } from 'node:fs'
import type { DomainSpecInput, EngineId } from '../../src-main/contract'
import { finish, type Call } from './vivarium'

/** Systems that others made, from the packages that `npm test` installs. */

const INSTALLERS = '/usr/lib/debian-installer/images/12'
const installer = (cpu: string) =>
  ['linux', 'initrd.gz'].map((file) => `${INSTALLERS}/${cpu}/text/debian-installer/${cpu}/${file}`)

export const REAL_INPUTS = {
  installer64: { files: installer('amd64'), package: 'debian-installer-12-netboot-amd64' },
  installer32: { files: installer('i386'), package: 'debian-installer-12-netboot-i386' },
  memtest64: { files: ['/boot/memtest86+x64.bin'], package: 'memtest86+' },
  memtest32: { files: ['/boot/memtest86+ia32.bin'], package: 'memtest86+' },
  grubCd: { files: ['/usr/lib/grub-rescue/grub-rescue-cdrom.iso'], package: 'grub-rescue-pc' },
  grubDisk: { files: ['/usr/lib/grub-rescue/grub-rescue-usb.img'], package: 'grub-rescue-pc' },
} as const
export type RealInput = keyof typeof REAL_INPUTS

/** Why an input is not here, for the title of a skipped test; '' when it is. */
export function missing(name: RealInput): string {
  const input = REAL_INPUTS[name]
  return input.files.every((file) => existsSync(file)) ? '' : `(needs the package ${input.package})`
}

/** Takes the files in as an image; its id. */
export async function importFiles(call: Call, files: readonly string[], cmdline?: string): Promise<string> {
  const sources = files.map((path) => ({ path }))
  const more = cmdline === undefined ? {} : { cmdline }
  return (await finish(call, call('images.import', { sources, ...more }))).resultId
}

/** Makes a domain of the image and starts it; its id. */
export async function startReal(
  call: Call,
  engine: EngineId,
  imageId: string,
  more: Partial<DomainSpecInput> = {},
): Promise<string> {
  const { id } = await call('domains.create', { spec: { name: `${engine} guest`, engine, imageId, ...more } })
  await finish(call, call('domains.start', { id }))
  return id
}

/** Ends and removes every domain, also after a test that failed: machines of QEMU would run on. */
export async function removeDomains(call: Call): Promise<void> {
  for (const { id, state } of await call('domains.list', {})) {
    if (state === 'running' || state === 'paused') await call('domains.forceOff', { id })
    await call('domains.delete', { id })
  }
}
