import { access } from 'node:fs/promises'
import { VmmError } from '../model/errors'
import { inspectImage } from '../images/inspect'
import type { Boot, MachineSpec } from './machine-spec'

/** Throws kind `not-found` for a file of the spec that is missing, `invalid` for a kernel that is none. */
export async function requireFiles(spec: MachineSpec): Promise<void> {
  await Promise.all(filesOf(spec).map(requireFile))
  if (spec.boot.kind === 'kernel' && spec.resumeFrom === null) await requireKernel(spec.boot.kernel)
}

function filesOf({ bios, boot, disks, cds, resumeFrom }: MachineSpec): string[] {
  const below = [...disks.map((disk) => disk.base), ...cds.map((cd) => cd.path), resumeFrom]
  return [bios.bios, bios.vgaBios, ...bootFiles(boot), ...below.filter((file) => file !== null)]
}

function bootFiles(boot: Boot): string[] {
  switch (boot.kind) {
    case 'kernel':
      return boot.initrd === null ? [boot.kernel] : [boot.kernel, boot.initrd]
    case 'cdrom':
    case 'floppy':
      return [boot.path]
    case 'disk':
      return []
  }
}

/** Engines boot whatever they are given: without this, a guest of a spoilt kernel just stands still. */
async function requireKernel(path: string): Promise<void> {
  const { role } = await inspectImage(path)
  if (role === 'kernel') return
  throw new VmmError('invalid', 'The file that the guest should boot is not a kernel.', {
    hint: 'Import the image again, or prepare the starter image anew.',
    context: { path },
  })
}

async function requireFile(path: string): Promise<void> {
  try {
    await access(path)
  } catch (cause) {
    throw new VmmError('not-found', 'A file that the guest needs is missing.', {
      hint: 'Import the image again, or prepare the starter image anew.',
      context: { path },
      cause,
    })
  }
}
