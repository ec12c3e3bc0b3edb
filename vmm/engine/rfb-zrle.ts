import { createDeflate, constants, type Deflate } from 'node:zlib'
import { TILE, type Framebuffer, type Rectangle } from './framebuffer'
import type { PixelWriter } from './rfb-pixels'

/** More colours than this in a tile, and it is sent as it is. */
const PALETTE_LIMIT = 16
/** How a tile of ZRLE is told: raw, or one colour; a palette is told by its size. */
const RAW = 0
const SOLID = 1

/**
 * A rectangle in ZRLE before its compression (RFC 6143, 7.7.6): tiles of 64 x 64, each one colour, a small palette
 * with packed indices, or plain pixels. Of its six kinds of tiles these three do for screens; runs are left to zlib.
 */
export function zrleTiles(framebuffer: Framebuffer, area: Rectangle, writer: PixelWriter): Uint8Array {
  const tiles = Math.ceil(area.width / TILE) * Math.ceil(area.height / TILE)
  const target = new Uint8Array(area.width * area.height * writer.compactBytes + tiles)
  let at = 0
  for (let y = area.y; y < area.y + area.height; y += TILE) {
    for (let x = area.x; x < area.x + area.width; x += TILE) {
      const width = Math.min(TILE, area.x + area.width - x)
      const height = Math.min(TILE, area.y + area.height - y)
      at = writeTile(framebuffer, { x, y, width, height }, writer, target, at)
    }
  }
  return target.subarray(0, at)
}

function writeTile(
  framebuffer: Framebuffer,
  tile: Rectangle,
  writer: PixelWriter,
  target: Uint8Array,
  start: number,
): number {
  const pixels = pixelsOf(framebuffer, tile)
  const palette = paletteOf(pixels)
  let at = start
  if (palette === null) {
    target[at++] = RAW
    for (const pixel of pixels) at = writer.writeCompact(target, at, pixel)
    return at
  }
  target[at++] = palette.size === 1 ? SOLID : palette.size
  for (const pixel of palette.keys()) at = writer.writeCompact(target, at, pixel)
  return palette.size === 1 ? at : writeIndices(pixels, tile.width, palette, target, at)
}

/** Indices are packed from the highest bit on; every row begins with a new byte. */
function writeIndices(
  pixels: Uint32Array,
  width: number,
  palette: ReadonlyMap<number, number>,
  target: Uint8Array,
  start: number,
): number {
  const bits = palette.size === 2 ? 1 : palette.size <= 4 ? 2 : 4
  let at = start
  let packed = 0
  let filled = 0
  let column = 0
  for (const pixel of pixels) {
    packed = (packed << bits) | (palette.get(pixel) ?? 0)
    filled += bits
    column++
    if (filled < 8 && column < width) continue
    target[at++] = packed << (8 - filled)
    packed = filled = 0
    if (column === width) column = 0
  }
  return at
}

/** The colours with their indices, or null when they are too many. */
function paletteOf(pixels: Uint32Array): Map<number, number> | null {
  const palette = new Map<number, number>()
  let last = -1
  for (const pixel of pixels) {
    if (pixel === last) continue
    last = pixel
    if (palette.has(pixel)) continue
    if (palette.size === PALETTE_LIMIT) return null
    palette.set(pixel, palette.size)
  }
  return palette
}

function pixelsOf({ pixels, width }: Framebuffer, tile: Rectangle): Uint32Array {
  const taken = new Uint32Array(tile.width * tile.height)
  for (let row = 0; row < tile.height; row++) {
    const from = (tile.y + row) * width + tile.x
    taken.set(pixels.subarray(from, from + tile.width), row * tile.width)
  }
  return taken
}

/** The one zlib stream that runs through all ZRLE rectangles of a viewer. It works outside of this thread. */
export class ZlibRun {
  readonly #deflate: Deflate = createDeflate({ level: constants.Z_BEST_SPEED })
  #chunks: Buffer[] = []

  constructor() {
    this.#deflate.on('data', (chunk: Buffer) => this.#chunks.push(chunk))
  }

  /** `data` compressed, flushed to a byte. One call at a time. */
  compress(data: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#deflate.once('error', reject)
      this.#deflate.write(data)
      this.#deflate.flush(constants.Z_SYNC_FLUSH, () => {
        this.#deflate.off('error', reject)
        const compressed = Buffer.concat(this.#chunks)
        this.#chunks = []
        resolve(compressed)
      })
    })
  }

  close(): void {
    this.#deflate.close()
  }
}
