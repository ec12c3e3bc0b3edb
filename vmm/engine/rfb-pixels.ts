import type { Framebuffer, Rectangle } from './framebuffer'
import type { PixelFormat } from './rfb-messages'

/** The framebuffer's own format: bytes R, G, B and one that is not used. */
export const OWN_FORMAT: PixelFormat = {
  bitsPerPixel: 32,
  bigEndian: false,
  redMax: 255,
  greenMax: 255,
  blueMax: 255,
  redShift: 0,
  greenShift: 8,
  blueShift: 16,
}

/** Writes pixels of the framebuffer (0xffBBGGRR) as a viewer wants them. */
export class PixelWriter {
  /** Bytes of a pixel in the Raw encoding. */
  readonly bytes: number
  /** Bytes of a pixel in ZRLE: the byte that 24 bits of colour leave unused is not sent. */
  readonly compactBytes: number
  /** Where those bytes begin within the pixel. */
  readonly #compactFrom: number
  readonly #own: boolean

  constructor(readonly format: PixelFormat) {
    this.bytes = format.bitsPerPixel / 8
    this.#own = JSON.stringify(format) === JSON.stringify(OWN_FORMAT)
    const used = usedBits(format)
    const low = used < 2 ** 24
    const high = format.bitsPerPixel === 32 && used % 256 === 0
    const compact = format.bitsPerPixel === 32 && (low || high)
    this.compactBytes = compact ? 3 : this.bytes
    // RFC 6143, 7.7.5: the least significant three bytes, or the most significant, whichever hold the colours
    this.#compactFrom = compact && low === format.bigEndian ? 1 : 0
  }

  /** Writes `pixel` at `at`; returns the place after it. */
  write(target: Uint8Array, at: number, pixel: number): number {
    return this.#put(target, at, pixel, 0, this.bytes)
  }

  /** The same in ZRLE's compact form. */
  writeCompact(target: Uint8Array, at: number, pixel: number): number {
    return this.#put(target, at, pixel, this.#compactFrom, this.compactBytes)
  }

  #put(target: Uint8Array, at: number, pixel: number, from: number, count: number): number {
    const value = this.#own ? pixel : this.#converted(pixel)
    const { bigEndian, bitsPerPixel } = this.format
    for (let byte = from; byte < from + count; byte++) {
      target[at++] = value >>> (bigEndian ? bitsPerPixel - 8 - 8 * byte : 8 * byte)
    }
    return at
  }

  #converted(pixel: number): number {
    const { redMax, greenMax, blueMax, redShift, greenShift, blueShift } = this.format
    const red = Math.round(((pixel & 0xff) * redMax) / 255)
    const green = Math.round((((pixel >>> 8) & 0xff) * greenMax) / 255)
    const blue = Math.round((((pixel >>> 16) & 0xff) * blueMax) / 255)
    return ((red << redShift) | (green << greenShift) | (blue << blueShift)) >>> 0
  }
}

function usedBits({ redMax, greenMax, blueMax, redShift, greenShift, blueShift }: PixelFormat): number {
  return ((redMax << redShift) | (greenMax << greenShift) | (blueMax << blueShift)) >>> 0
}

/** A rectangle in the Raw encoding (RFC 6143, 7.7.1). */
export function encodeRaw(framebuffer: Framebuffer, area: Rectangle, writer: PixelWriter): Uint8Array {
  const data = new Uint8Array(area.width * area.height * writer.bytes)
  let at = 0
  for (let y = area.y; y < area.y + area.height; y++) {
    const row = y * framebuffer.width
    for (let x = area.x; x < area.x + area.width; x++) {
      at = writer.write(data, at, framebuffer.pixels[row + x] as number)
    }
  }
  return data
}
