import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { VmmError } from '../model/errors'
import { writeWhole, writeWholeSync } from './whole-writes'

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
const BLOCK = 4096
const COPY_STEP = 256 * BLOCK
/** Far above any disk that v86 can address. */
const DISK_LIMIT = 2 * 1024 ** 4

interface Layout {
  bytes: number
  bitmapBytes: number
  dataAt: number
}

function layoutOf(bytes: number): Layout {
  const bitmapBytes = Math.ceil(Math.ceil(bytes / BLOCK) / 8)
  return { bytes, bitmapBytes, dataAt: BLOCK + Math.ceil(bitmapBytes / BLOCK) * BLOCK }
}

function header(bytes: number): Buffer {
  const block = Buffer.alloc(BLOCK)
  block.write(MAGIC, 0, 'latin1')
  block.writeUInt32LE(VERSION, 8)
  block.writeBigUInt64LE(BigInt(bytes), 16)
  return block
}

function checkHeader(block: Buffer, bytes: number | null, file: string): number {
  const size = Number(block.readBigUInt64LE(16))
  const fits = block.toString('latin1', 0, 8) === MAGIC && block.readUInt32LE(8) === VERSION && size <= DISK_LIMIT
  if (!fits || (bytes !== null && size !== bytes)) throw damaged(file)
  return size
}

/** Every block that the bitmap names must be inside the file. */
function checkLength(fileBytes: number, layout: Layout, bitmap: Buffer, file: string): void {
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

/** The disk as v86 wants it: synchronous reads and writes, in the guest's own process. */
export class LayeredDisk {
  readonly byteLength: number
  /** Path of the layer's file. */
  readonly layer: string
  onload: ((event: object) => void) | undefined
  readBytes = 0
  writeBytes = 0
  readonly #layout: Layout
  readonly #bitmap: Buffer
  readonly #base: number | null
  readonly #layer: number
  readonly #refused: (() => void)[] = []

  /** Opens or makes the layer. `onFailure` hears of every write that the host refused. */
  constructor(
    spec: { base: string | null; bytes: number; layer: string },
    private readonly onFailure: (error: Error) => void,
  ) {
    this.byteLength = spec.bytes
    this.layer = spec.layer
    this.#layout = layoutOf(spec.bytes)
    this.#base = spec.base === null ? null : openSync(spec.base, 'r')
    if (this.#base !== null && fstatSync(this.#base).size < spec.bytes) {
      throw new VmmError('damaged', 'The disk image is shorter than it was when it was imported.', {
        hint: 'Import the image again.',
        context: { file: spec.base },
      })
    }
    this.#layer = openSync(spec.layer, constants.O_RDWR | constants.O_CREAT, 0o600)
    this.#bitmap = Buffer.alloc(this.#layout.bitmapBytes)
    const { size } = fstatSync(this.#layer)
    if (size < BLOCK) {
      // new, or cut off before it held anything
      writeWholeSync(this.#layer, header(spec.bytes), 0, BLOCK, 0)
      return
    }
    const first = Buffer.alloc(BLOCK)
    readSync(this.#layer, first, 0, BLOCK, 0)
    checkHeader(first, spec.bytes, spec.layer)
    readSync(this.#layer, this.#bitmap, 0, this.#bitmap.length, BLOCK)
    checkLength(size, this.#layout, this.#bitmap, spec.layer)
  }

  /** Whether a write that the host refused waits to be tried again. */
  get stalled(): boolean {
    return this.#refused.length > 0
  }

  load(): void {
    this.onload?.({})
  }

  get(offset: number, length: number, done: (data: Uint8Array) => void): void {
    this.readBytes += length
    done(this.#read(offset, length))
  }

  get_from_cache(offset: number, length: number): Uint8Array {
    return this.#read(offset, length)
  }

  get_and_cache(offset: number, length: number, done: (data: Uint8Array) => void): void {
    done(this.#read(offset, length))
  }

  set(offset: number, data: Uint8Array, done: () => void): void {
    try {
      this.#write(offset, data)
      this.writeBytes += data.byteLength
      done()
    } catch (error) {
      // not confirmed: the guest waits rather than believing in data that is not there
      const kept = Uint8Array.from(data)
      this.#refused.push(() => this.set(offset, kept, done))
      this.onFailure(error as Error)
    }
  }

  /** Tries again what the host refused. */
  retry(): void {
    for (const write of this.#refused.splice(0)) write()
  }

  /** The content is in the layer's file, not in the machine's state. */
  get_state(): unknown[] {
    return [this.byteLength]
  }

  set_state(): void {}

  /** Makes what was written outlive a failure of the host. */
  flush(): void {
    fsyncSync(this.#layer)
  }

  close(): void {
    closeSync(this.#layer)
    if (this.#base !== null) closeSync(this.#base)
  }

  #has(block: number): boolean {
    return ((this.#bitmap[block >> 3] ?? 0) & (1 << (block & 7))) !== 0
  }

  #read(offset: number, length: number): Uint8Array {
    const data = Buffer.alloc(length)
    for (let at = 0; at < length;) {
      const position = offset + at
      const own = this.#has(Math.floor(position / BLOCK))
      const part = Math.min(length - at, this.#runFrom(position, own, length - at))
      if (own) readSync(this.#layer, data, at, part, this.#layout.dataAt + position)
      else if (this.#base !== null) readSync(this.#base, data, at, part, position)
      at += part
    }
    return data
  }

  /** Bytes from `position` on that come from the same file, at least to the end of the block. */
  #runFrom(position: number, own: boolean, wanted: number): number {
    let block = Math.floor(position / BLOCK) + 1
    while (block * BLOCK - position < wanted && this.#has(block) === own) block++
    return block * BLOCK - position
  }

  #write(offset: number, data: Uint8Array): void {
    for (let at = 0; at < data.byteLength;) {
      const position = offset + at
      const part = Math.min(data.byteLength - at, BLOCK - (position % BLOCK))
      const block = Math.floor(position / BLOCK)
      if (part < BLOCK && !this.#has(block)) this.#copyUp(block)
      writeWholeSync(this.#layer, data, at, part, this.#layout.dataAt + position)
      this.#mark(block)
      at += part
    }
  }

  /** Brings the whole block into the layer before a part of it is written. */
  #copyUp(block: number): void {
    const length = Math.min(BLOCK, this.byteLength - block * BLOCK)
    writeWholeSync(this.#layer, this.#read(block * BLOCK, length), 0, length, this.#layout.dataAt + block * BLOCK)
  }

  #mark(block: number): void {
    if (this.#has(block)) return
    const byte = block >> 3
    const bits = (this.#bitmap[byte] ?? 0) | (1 << (block & 7))
    writeWholeSync(this.#layer, Uint8Array.of(bits), 0, 1, BLOCK + byte)
    this.#bitmap[byte] = bits
  }
}

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
