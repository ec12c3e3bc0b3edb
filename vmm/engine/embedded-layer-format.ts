import { VmmError } from '../model/errors'

/**
 * A copy-on-write layer over a raw image, one file:
 *
 *     0     8  magic "VIVLAYER"
 *     8     4  version, u32 little-endian
 *    16     8  size of the disk in bytes, u64
 *    4096   …  one bit a block of 4 KiB: set when the layer holds the block (padded to 4 KiB)
 *    then      the blocks, each at its own place (the file is sparse)
 *
 * A block is written before its bit, so that a process killed in between leaves the base's block.
 */
const MAGIC = 'VIVLAYER'
const VERSION = 1
export const BLOCK = 4096
/** Far above any disk that v86 can address. */
const DISK_LIMIT = 2 * 1024 ** 4

export interface Layout {
  bytes: number
  bitmapBytes: number
  dataAt: number
}

export function layoutOf(bytes: number): Layout {
  const bitmapBytes = Math.ceil(Math.ceil(bytes / BLOCK) / 8)
  return { bytes, bitmapBytes, dataAt: BLOCK + Math.ceil(bitmapBytes / BLOCK) * BLOCK }
}

export function header(bytes: number): Buffer {
  const block = Buffer.alloc(BLOCK)
  block.write(MAGIC, 0, 'latin1')
  block.writeUInt32LE(VERSION, 8)
  block.writeBigUInt64LE(BigInt(bytes), 16)
  return block
}

/** The size that a layer's first block tells. Throws kind `damaged` when it is none, or not of `bytes`. */
export function checkHeader(block: Buffer, bytes: number | null, file: string): number {
  const size = Number(block.readBigUInt64LE(16))
  const fits = block.toString('latin1', 0, 8) === MAGIC && block.readUInt32LE(8) === VERSION && size <= DISK_LIMIT
  if (!fits || (bytes !== null && size !== bytes)) throw damaged(file)
  return size
}

/** Every block that the bitmap names must be inside the file. */
export function checkLength(fileBytes: number, layout: Layout, bitmap: Buffer, file: string): void {
  const byte = bitmap.findLastIndex((bits) => bits !== 0)
  if (byte === -1) return
  const last = byte * 8 + 31 - Math.clz32(bitmap[byte] ?? 0)
  if (fileBytes < layout.dataAt + Math.min((last + 1) * BLOCK, layout.bytes)) throw damaged(file)
}

function damaged(file: string): VmmError {
  return new VmmError('damaged', "The domain's disk layer cannot be read.", {
    hint: 'Revert to a snapshot, or create the domain anew.',
    context: { file },
  })
}
