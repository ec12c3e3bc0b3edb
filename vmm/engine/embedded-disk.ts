import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync } from 'node:fs'
import { VmmError } from '../model/errors'
import type { DiskSpec } from './machine-spec'
import { BLOCK, checkHeader, checkLength, header, layoutOf, type Layout } from './embedded-layer-format'
import { writeWholeSync } from './whole-writes'

/** The disk as v86 wants it: synchronous reads and writes, in the guest's own process. */
export class LayeredDisk {
  readonly byteLength: number
  /** Path of the layer's file. */
  readonly layer: string
  onload: ((event: object) => void) | undefined
  readBytes = 0
  writeBytes = 0
  readOps = 0
  writeOps = 0
  readonly #layout: Layout
  readonly #bitmap: Buffer
  readonly #base: number | null
  readonly #layer: number
  readonly #refused: (() => void)[] = []

  /** Opens or makes the layer. `onFailure` hears of every write that the host refused. */
  constructor(
    spec: Omit<DiskSpec, 'id' | 'served'>,
    private readonly onFailure: (error: Error) => void,
  ) {
    this.byteLength = spec.bytes
    this.layer = spec.layer
    this.#layout = layoutOf(spec.bytes)
    this.#base = spec.base === null ? null : openSync(spec.base, 'r')
    // a disk that is larger than its image reads as zeros beyond it
    if (this.#base !== null && fstatSync(this.#base).size < Math.min(spec.baseBytes, spec.bytes)) {
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
    this.readOps++
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
      this.writeOps++
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
