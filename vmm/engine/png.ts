import { deflate } from 'node:zlib'
import { promisify } from 'node:util'
import type { Framebuffer } from './framebuffer'

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)
const RGB = 2
/** Filter type 1: each byte less the one a pixel before it, which makes flat areas zeros. */
const SUB = 1
const deflated = promisify(deflate)

/** The picture as a PNG file, 8 bits a channel, without alpha (ISO/IEC 15948, W3C PNG 3rd edition). */
export async function encodePng(framebuffer: Framebuffer): Promise<Uint8Array> {
  const { width, height } = framebuffer
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header[8] = 8
  header[9] = RGB
  const data = await deflated(filteredRows(framebuffer))
  return Buffer.concat([SIGNATURE, chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', new Uint8Array())])
}

function filteredRows({ pixels, width, height }: Framebuffer): Uint8Array {
  const rows = new Uint8Array(height * (1 + width * 3))
  let at = 0
  for (let y = 0; y < height; y++) {
    rows[at++] = SUB
    let before = 0
    for (let x = 0; x < width; x++) {
      const pixel = pixels[y * width + x] as number
      rows[at++] = (pixel & 0xff) - (before & 0xff)
      rows[at++] = ((pixel >>> 8) & 0xff) - ((before >>> 8) & 0xff)
      rows[at++] = ((pixel >>> 16) & 0xff) - ((before >>> 16) & 0xff)
      before = pixel
    }
  }
  return rows
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const whole = Buffer.alloc(12 + data.byteLength)
  whole.writeUInt32BE(data.byteLength, 0)
  whole.write(type, 4, 'latin1')
  whole.set(data, 8)
  whole.writeUInt32BE(crc32(whole.subarray(4, 8 + data.byteLength)), 8 + data.byteLength)
  return whole
}

/** CRC-32 as in annex D of the format; Node has one of its own only from version 22.2 on. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (CRC_TABLE[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index
  for (let bit = 0; bit < 8; bit++) value = (value & 1) === 0 ? value >>> 1 : 0xedb88320 ^ (value >>> 1)
  return value
})
