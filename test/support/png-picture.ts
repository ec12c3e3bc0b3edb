import { inflateSync } from 'node:zlib'

const SIGNATURE = Buffer.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)
/** Bytes of a pixel by colour type: RGB, RGBA. */
const PIXEL_BYTES: Readonly<Record<number, number>> = { 2: 3, 6: 4 }

/** The pixels of a picture, three bytes each: red, green, blue. */
export interface Pixels {
  width: number
  height: number
  rgb: Buffer
}

/** Reads a PNG file of 8 bits a channel that is not interlaced (ISO/IEC 15948). Throws on any other. */
export function decodePng(file: Uint8Array): Pixels {
  const bytes = Buffer.from(file)
  if (!bytes.subarray(0, 8).equals(SIGNATURE)) throw new Error('not a PNG file')
  const data: Buffer[] = []
  let header = Buffer.alloc(0)
  for (let at = 8; at < bytes.length;) {
    const length = bytes.readUInt32BE(at)
    const type = bytes.toString('latin1', at + 4, at + 8)
    const content = bytes.subarray(at + 8, at + 8 + length)
    if (type === 'IHDR') header = content
    if (type === 'IDAT') data.push(content)
    at += 12 + length
  }
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)]
  const pixelBytes = PIXEL_BYTES[header[9] ?? -1]
  if (header[8] !== 8 || pixelBytes === undefined || header[12] !== 0) throw new Error('a kind of PNG not known here')
  const rows = unfilter(inflateSync(Buffer.concat(data)), width * pixelBytes, height, pixelBytes)
  const rgb = Buffer.alloc(width * height * 3)
  for (let pixel = 0; pixel < width * height; pixel++) {
    rows.copy(rgb, pixel * 3, pixel * pixelBytes, pixel * pixelBytes + 3)
  }
  return { width, height, rgb }
}

/** Undoes the filter that each row names in its first byte. */
function unfilter(raw: Buffer, rowBytes: number, height: number, pixelBytes: number): Buffer {
  const rows = Buffer.alloc(rowBytes * height)
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (rowBytes + 1)] ?? 0
    for (let x = 0; x < rowBytes; x++) {
      const at = y * rowBytes + x
      const left = x < pixelBytes ? 0 : (rows[at - pixelBytes] ?? 0)
      const above = y === 0 ? 0 : (rows[at - rowBytes] ?? 0)
      const corner = x < pixelBytes || y === 0 ? 0 : (rows[at - rowBytes - pixelBytes] ?? 0)
      const predicted = [0, left, above, (left + above) >> 1, paeth(left, above, corner)][filter]
      if (predicted === undefined) throw new Error(`no such filter: ${filter}`)
      rows[at] = (raw[y * (rowBytes + 1) + 1 + x] ?? 0) + predicted
    }
  }
  return rows
}

function paeth(left: number, above: number, corner: number): number {
  const estimate = left + above - corner
  const [a, b, c] = [Math.abs(estimate - left), Math.abs(estimate - above), Math.abs(estimate - corner)]
  return a <= b && a <= c ? left : b <= c ? above : corner
}

/** Share of the pixels for which `is` holds, 0 to 1. */
export function share({ rgb }: Pixels, is: (red: number, green: number, blue: number) => boolean): number {
  let count = 0
  for (let at = 0; at < rgb.length; at += 3) if (is(rgb[at] ?? 0, rgb[at + 1] ?? 0, rgb[at + 2] ?? 0)) count++
  return (count * 3) / rgb.length
}
