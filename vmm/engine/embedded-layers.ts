import { open, rename, rm, type FileHandle } from 'node:fs/promises'
import { errorCode, VmmError } from '../model/errors'
import { LayeredDisk } from './embedded-disk'
import { BLOCK, checkHeader, checkLength, layoutOf } from './embedded-layer-format'
import type { FileWork } from './engine'
import type { DiskSpec } from './machine-spec'
import { writeWhole } from './whole-writes'

const COPY_STEP = 256 * BLOCK

/** Copies a layer, only the blocks it holds, by way of a temporary name. Nobody may write to it meanwhile. */
export async function copyLayer(from: string, to: string): Promise<void> {
  const temporary = `${to}.partial`
  const source = await open(from, 'r')
  try {
    const target = await open(temporary, 'w', 0o600)
    try {
      const first = Buffer.alloc(BLOCK)
      await source.read(first, 0, BLOCK, 0)
      const layout = layoutOf(checkHeader(first, null, from))
      const bitmap = Buffer.alloc(layout.bitmapBytes)
      await source.read(bitmap, 0, bitmap.length, BLOCK)
      checkLength((await source.stat()).size, layout, bitmap, from)
      await writeWhole(target, first, BLOCK, 0)
      await writeWhole(target, bitmap, bitmap.length, BLOCK)
      const buffer = Buffer.alloc(COPY_STEP)
      for (const run of runsOf(bitmap)) {
        const at = layout.dataAt + run.at
        const { bytesRead } = await source.read(buffer, 0, run.length, at)
        await writeWhole(target, buffer, bytesRead, at)
      }
      await target.sync()
      await rename(temporary, to)
    } finally {
      await target.close()
    }
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  } finally {
    await source.close()
  }
}

/** Runs of blocks that are present, in bytes of the disk, none longer than one copy step. */
function* runsOf(bitmap: Buffer): Generator<{ at: number; length: number }> {
  const blocks = bitmap.length * 8
  for (let block = 0; block < blocks; block++) {
    const byte = bitmap[block >> 3] ?? 0
    if (byte === 0) {
      block |= 7
      continue
    }
    if ((byte & (1 << (block & 7))) === 0) continue
    let end = block + 1
    const limit = Math.min(blocks, block + COPY_STEP / BLOCK)
    while (end < limit && ((bitmap[end >> 3] ?? 0) & (1 << (end & 7))) !== 0) end++
    yield { at: block * BLOCK, length: (end - block) * BLOCK }
    block = end - 1
  }
}

/** Writes what a disk reads as to the raw, sparse file `to`. No machine may be using the disk. */
export async function flattenDisk(disk: DiskSpec, to: string, { signal, onProgress }: FileWork): Promise<void> {
  const source = new LayeredDisk(disk, () => undefined)
  try {
    const target = await open(to, 'w', 0o600)
    try {
      for (let at = 0; at < disk.bytes; at += COPY_STEP) {
        if (signal?.aborted) throw new VmmError('cancelled', 'Reading the disk was cancelled.')
        const data = source.get_from_cache(at, Math.min(COPY_STEP, disk.bytes - at))
        if (data.some((byte) => byte !== 0)) await writeWhole(target, data, data.byteLength, at)
        onProgress?.(at, disk.bytes)
        await new Promise(setImmediate) // reads are synchronous: main must get its turn
      }
      await target.truncate(disk.bytes)
    } finally {
      await target.close()
    }
  } catch (error) {
    await rm(to, { force: true })
    throw error
  } finally {
    source.close()
  }
}

/** Size of the disk in a layer, bytes; null when there is none. Throws kind `damaged` for what is no layer. */
export async function layerSize(file: string): Promise<number | null> {
  const handle = await open(file, 'r').catch((error: unknown): FileHandle | null => {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  })
  if (!handle) return null
  try {
    const first = Buffer.alloc(BLOCK)
    await handle.read(first, 0, BLOCK, 0)
    return checkHeader(first, null, file)
  } finally {
    await handle.close()
  }
}
