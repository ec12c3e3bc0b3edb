import { mkdir, stat } from 'node:fs/promises'
import { asVmmError, VmmError } from '../model/errors'
import { diskSource, fileSource, rawSource, type BlockSource } from '../images/block-source'
import { checkDisk, convertDisk, repairCopy } from '../images/qemu-img'
import type { DiskCondition, FileWork } from './engine'
import type { DiskSpec } from './machine-spec'
import { KEPT_MOST, newId, newLayerRecord, readLayerRecord, type LayerRecord } from './qemu-layer-record'
import type { OpenLayer } from './qemu-layer-record'
import { chainOf, contentFile } from './qemu-overlay'

/** Stands for the file that a start would make. */
const NEW_FILE = '(a new file)'

/** What disks hold while no machine uses them. */
export class LayerContent {
  constructor(private readonly folder: string) {}

  /** What the disk reads as, for QEMU's tools. */
  async source(disk: DiskSpec): Promise<BlockSource> {
    await requireBase(disk)
    const record = await readLayerRecord(disk.layer)
    const base = disk.base === null ? null : rawSource(fileSource(disk.base))
    const top = record && (record.top ?? record.parent)
    if (!record || top === null) {
      if (base) return base
      throw new VmmError('state', 'The disk is still empty.', {
        hint: 'Start the domain once, and write something to it.',
      })
    }
    const files = await chainOf(this.folder, top)
    return files.reduceRight<BlockSource | null>(
      (backing, file) => diskSource('qcow2', fileSource(contentFile(this.folder, file)), backing),
      record.overBase ? base : null,
    ) as BlockSource
  }

  /** The disk as a machine would open it now; a file that there is not yet has no name. */
  async opened(disk: DiskSpec): Promise<OpenLayer> {
    const record = await readLayerRecord(disk.layer)
    const top = record && (record.top ?? record.parent)
    const files = top ? (await chainOf(this.folder, top)).map((file) => contentFile(this.folder, file)) : []
    const own = record?.top ? [] : [NEW_FILE]
    return { files: [...own, ...files], base: record?.overBase === false ? null : disk.base }
  }

  /** What the newest content file of a layer takes up. */
  async bytes(layer: string): Promise<number> {
    const record = await readLayerRecord(layer).catch(() => null) // a damaged one takes up nothing that can be told
    const newest = record && (record.top ?? record.parent)
    if (!newest) return 0
    return await stat(contentFile(this.folder, newest)).then(
      ({ blocks }) => blocks * 512,
      () => 0,
    )
  }

  /** Whether the last machine that wrote to it died. */
  async isUnclean(layer: string): Promise<boolean> {
    return (await readLayerRecord(layer))?.unclean ?? false
  }

  async check(disk: DiskSpec): Promise<DiskCondition> {
    try {
      return await this.#check(disk)
    } catch (error) {
      const { kind, message } = asVmmError(error, 'look at the disk')
      if (kind !== 'damaged') throw error
      return { damage: message, repairable: false }
    }
  }

  async #check(disk: DiskSpec): Promise<DiskCondition> {
    const record = await readLayerRecord(disk.layer)
    const top = record && (record.top ?? record.parent)
    if (!top) return { damage: '', repairable: false }
    for (const file of await chainOf(this.folder, top)) {
      const { errors, repairable, message } = await checkDisk(contentFile(this.folder, file), 'qcow2')
      if (errors > 0) return { damage: message, repairable: repairable && file === top }
    }
    return { damage: '', repairable: false }
  }

  /** Mends a copy of the newest file; returns the record of it, in which the damaged one stays. */
  async repair(disk: DiskSpec, { signal }: FileWork): Promise<LayerRecord> {
    const record = await readLayerRecord(disk.layer)
    const damaged = record && (record.top ?? record.parent)
    if (!record || damaged === null) throw new VmmError('state', 'The disk is still empty.')
    const mended = newId()
    await repairCopy(contentFile(this.folder, damaged), 'qcow2', contentFile(this.folder, mended), signal)
    const kept = [...record.kept, damaged].slice(-KEPT_MOST)
    return { ...record, id: newId(), top: mended, parent: null, kept, unclean: false }
  }

  /** Writes the whole content of a disk to one new file; returns the record of it. */
  async flatten(disk: DiskSpec, { signal, onProgress }: FileWork): Promise<LayerRecord> {
    const id = newId()
    const source = await this.source(disk)
    await mkdir(this.folder, { recursive: true, mode: 0o700 })
    await convertDisk({
      source,
      format: 'qcow2',
      to: contentFile(this.folder, id),
      signal,
      onProgress: (share) => onProgress?.(Math.round(share * disk.bytes), disk.bytes),
    })
    return { ...newLayerRecord(disk), overBase: false, top: id }
  }
}

/** Throws kind `damaged` for an image that is not what was imported. */
export async function requireBase({ base, baseBytes }: DiskSpec): Promise<void> {
  if (base === null) return
  const { size } = await stat(base)
  if (size >= baseBytes) return
  throw new VmmError('damaged', 'The disk image is shorter than it was when it was imported.', {
    hint: 'Import the image again.',
    context: { file: base },
  })
}
