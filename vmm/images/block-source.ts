/**
 * A block device as QEMU describes it (QEMU's QAPI reference, `BlockdevOptions`): every node names its driver, and every
 * format its `backing`. Nothing is left for QEMU to find out from content that somebody else has written: a raw disk
 * whose first sector looks like a qcow2 header stays a raw disk.
 */
export type BlockSource = Readonly<Record<string, unknown>>

/** The formats that QEMU's drivers read and write here, by QEMU's names; `vpc` is Microsoft's VHD. */
export const DISK_FORMATS = ['raw', 'qcow2', 'vmdk', 'vdi', 'vhdx', 'vpc'] as const
export type DiskFormat = (typeof DISK_FORMATS)[number]

/** The bytes of the file at `path` (absolute), as they are. */
export function fileSource(path: string): BlockSource {
  return { driver: 'file', filename: path }
}

/** A raw disk in the bytes of `file`, or in a part of them; `offset` and `bytes` are multiples of 512. */
export function rawSource(file: BlockSource, part?: { offset: number; bytes: number }): BlockSource {
  return { driver: 'raw', ...(part && { offset: part.offset, size: part.bytes }), file }
}

/** A disk of `format` in the bytes of `file`; `backing` is what a qcow2 lies upon. */
export function diskSource(format: DiskFormat, file: BlockSource, backing: BlockSource | null = null): BlockSource {
  if (format === 'raw') return rawSource(file)
  // the size that a VHD states, not the smaller one of its cylinders, heads and sectors
  if (format === 'vpc') return { driver: 'vpc', force_size_calc: 'current_size', file }
  const overlays = format === 'qcow2' || format === 'vmdk'
  return { driver: format, file, ...(overlays && { backing }) }
}
