import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import type { CheckedArgs } from '../contract'
import { VmmError } from '../../vmm/model/errors'
import type { ImageFile, ImageKind, ImageRecord, ImageRole } from '../../vmm/model/image'
import { safeText } from '../../vmm/model/safe-text'
import type { ForeignFormat } from '../../vmm/images/file-facts'
import { foreignDisks, importDisk } from '../../vmm/images/import-disk'
import { inspectImage } from '../../vmm/images/inspect'
import { importImage } from '../../vmm/images/store'
import type { Folders } from './folders'
import type { TaskContext } from './tasks'

type ImportedKind = Exclude<ImageKind, 'starter'>

/** Serial console first, for a kernel that brings no command line of its own. */
const IMPORTED_CMDLINE = 'console=ttyS0 tsc=reliable mitigations=off'
const NAME_LIMIT = 80

/**
 * Checks the files at `paths` and takes them in as one image, or as one for each disk of an appliance. All of them, or
 * none: what fails or is cancelled leaves no folder.
 */
export async function importFiles(
  context: TaskContext,
  folders: Folders,
  name: string,
  paths: string[],
  args: CheckedArgs<'images.import'>,
): Promise<ImageRecord[]> {
  context.progress('Checking the file')
  const inspected = await Promise.all(paths.map(async (file) => ({ ...(await inspectImage(file)), path: file })))
  const roles = inspected.map((file) => file.role)
  const kind = kindOf(roles, args.kind)
  const [first] = inspected
  if (first?.format !== undefined) return await convertDisks(context, folders, name, first.path, first.format)
  const id = randomUUID()
  const folder = folders.image(id)
  try {
    const files = await importImage({
      sources: inspected.map((file) => ({ role: inspected.length === 1 ? kind : file.role, path: file.path })),
      folder,
      signal: context.signal,
      onProgress: (report) => context.progress('Copying', report.done, report.total, 'bytes'),
    })
    return [record(id, name, kind, files, kind === 'kernel' ? (args.cmdline ?? IMPORTED_CMDLINE) : '')]
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

async function convertDisks(
  { signal, progress }: TaskContext,
  folders: Folders,
  name: string,
  file: string,
  format: ForeignFormat,
): Promise<ImageRecord[]> {
  const images: ImageRecord[] = []
  try {
    const disks = await foreignDisks(file, format, signal)
    for (const [index, { source, virtualBytes }] of disks.entries()) {
      const step = disks.length === 1 ? 'Converting' : `Converting disk ${index + 1} of ${disks.length}`
      const id = randomUUID()
      const report = (share: number) => progress(step, Math.round(share * virtualBytes), virtualBytes, 'bytes')
      const made = await importDisk(source, folders.image(id), signal, report)
      images.push(record(id, index === 0 ? name : `${name.slice(0, NAME_LIMIT)} disk ${index + 1}`, 'disk', [made], ''))
    }
    return images
  } catch (error) {
    for (const { id } of images) await rm(folders.image(id), { recursive: true, force: true })
    throw error
  }
}

function record(id: string, name: string, kind: ImageKind, files: ImageFile[], cmdline: string): ImageRecord {
  return { id, name, kind, files, cmdline, agent: false, createdAt: Date.now() }
}

/** What the files make together. A choice of the person's wins where the content allows both. */
function kindOf(roles: ImageRole[], chosen: ImportedKind | undefined): ImportedKind {
  const [first] = roles
  const pair = roles.length === 2
  if (pair && !(roles.includes('kernel') && roles.includes('initrd'))) {
    throw new VmmError('invalid', 'Two files make an image only when they are a kernel and its initrd.', {
      hint: 'Import the files one by one; what belongs to a disk is found beside it.',
    })
  }
  if (first === 'initrd' && !pair) {
    throw new VmmError('invalid', 'An initrd alone cannot be booted.', { hint: 'Choose its kernel together with it.' })
  }
  const found = pair ? 'kernel' : (first as ImportedKind)
  if (chosen === undefined || chosen === found) return found
  // a hybrid ISO is a disk as well, and a floppy may be meant as a small disk
  if (chosen === 'disk' && (found === 'cdrom' || found === 'floppy')) return chosen
  throw new VmmError('invalid', `The file is not a ${chosen}; it looks like a ${found}.`, {
    hint: 'Leave the kind out, or choose another file.',
  })
}

/** A name for an image from the name of its file. */
export function nameFrom(file: string): string {
  const base = path.basename(file).replace(/\.(iso|img|raw|ima|flp|qcow2?|vmdk|vdi|vhdx?|ova)$/i, '')
  return safeText(base, NAME_LIMIT).trim() || 'Imported image'
}
