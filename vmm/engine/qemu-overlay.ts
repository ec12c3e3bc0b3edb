import { rm, stat } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { withDiskFile } from '../images/disk-file'
import { readQcow2 } from '../images/qcow2'
import { runQemuImg } from '../images/qemu-img'
import { chainOfKind, type LayerKind } from './layer-kind'
import { LAYER_FILE } from './qemu-layer-record'

/**
 * Content files and what they lie upon. Their headers name it, by plain name for another content file and by a path
 * relative to their folder for a raw image, so that a data folder can be moved. Machines never read that: they are
 * given the whole graph.
 */
export async function createOverlay(
  file: string,
  { bytes, backing, format }: { bytes: number; backing?: string; format?: 'qcow2' | 'raw' },
): Promise<void> {
  // -u: what lies below is ours, and is not opened to find out how large it is
  const below = backing !== undefined && format !== undefined ? ['-u', '-b', backing, '-F', format] : []
  const args = ['create', '-q', '-f', 'qcow2', '-o', 'lazy_refcounts=off', ...below, file, String(bytes)]
  try {
    await runQemuImg(args, 'make the disk', { cwd: dirname(file) })
  } catch (error) {
    await rm(file, { force: true }) // a part of it may be there
    throw error
  }
}

/** Makes a disk that no machine has open larger. */
export async function growOverlay(file: string, bytes: number): Promise<void> {
  await runQemuImg(['resize', '-q', '-f', 'qcow2', file, String(bytes)], 'grow the disk', {})
}

/**
 * Brings what `lower` holds into `upper`, which lies upon it, and lays that upon what `lower` lies upon. Until its
 * header is changed at the very end `upper` reads the same as before, and afterwards too.
 */
export async function rebaseOverlay(upper: string, lower: string): Promise<void> {
  const { backing } = await headerOf(lower)
  const below = backing ? ['-b', backing.name, '-F', backing.format] : ['-b', '']
  await runQemuImg(['rebase', '-q', '-f', 'qcow2', ...below, basename(upper)], 'merge the disk', {
    cwd: dirname(upper),
    scratch: `${upper}.merging`, // there is none: that it ends with main is all that is wanted
  })
}

/** The id of the content file that `file` lies upon, or null. */
export async function parentOf(file: string): Promise<string | null> {
  const { backing } = await headerOf(file)
  return (backing && LAYER_FILE.exec(backing.name)?.[1]) ?? null
}

function headerOf(file: string) {
  return withDiskFile(file, dirname(file), readQcow2)
}

/** The path of a content file. */
export function contentFile(folder: string, id: string): string {
  return join(folder, `${id}.qcow2`)
}

/** The ids of the content files from `top` down, each lying upon the next. */
export function chainOf(folder: string, top: string): Promise<string[]> {
  return chainOfKind(new Qcow2Layers(folder), top)
}

/** Layers of QEMU's engine. */
export class Qcow2Layers implements LayerKind {
  constructor(private readonly folder: string) {}

  /** Also of what was not finished. */
  idOf(name: string): string | null {
    return LAYER_FILE.exec(name.replace(/\.partial$/, ''))?.[1] ?? null
  }

  path(id: string): string {
    return contentFile(this.folder, id)
  }

  create(id: string, { bytes, parent, base }: { bytes: number; parent: string | null; base: string | null }) {
    const below =
      parent !== null
        ? { backing: `${parent}.qcow2`, format: 'qcow2' as const }
        : base !== null
          ? { backing: relative(this.folder, base), format: 'raw' as const }
          : {}
    return createOverlay(this.path(id), { bytes, ...below })
  }

  grow(id: string, bytes: number): Promise<void> {
    return growOverlay(this.path(id), bytes)
  }

  parentOf(id: string): Promise<string | null> {
    return parentOf(this.path(id))
  }

  merge(upper: string, lower: string): Promise<void> {
    return rebaseOverlay(this.path(upper), this.path(lower))
  }

  async bytes(id: string): Promise<number> {
    return (await stat(this.path(id))).blocks * 512
  }

  async remove(id: string): Promise<void> {
    await rm(this.path(id), { force: true })
    await rm(`${this.path(id)}.partial`, { force: true })
  }
}
