/** Values as hexadecimal bytes in text: `hex(7):61,00,\` and so on, alike in `.reg` files and in those of Wine. */

/** A line is continued once it is this long. */
const LINE_ENOUGH = 76
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** `begun`: characters that are on the line already. */
export function writeHexLines(data: Uint8Array, begun: number, lineEnd: string): string {
  const parts: string[] = []
  let count = begun
  for (let at = 0; at < data.length; at++) {
    parts.push(HEX[data[at]!]!)
    if (at === data.length - 1) break
    parts.push(',')
    count += 3
    if (count <= LINE_ENOUGH) continue
    parts.push(`\\${lineEnd}  `)
    count = 2
  }
  return parts.join('')
}

/** The bytes; null for what is none. A comma at the end does not matter. */
export function readHex(text: string): Uint8Array | null {
  const bytes = new Uint8Array((text.length >> 1) + 1)
  let [count, at] = [0, 0]
  while (at < text.length) {
    const high = digit(text.charCodeAt(at++))
    if (high === -1) return null
    const low = digit(text.charCodeAt(at))
    bytes[count++] = low === -1 ? high : high * 16 + low
    if (low !== -1) at++
    if (at < text.length && text[at++] !== ',') return null
  }
  return bytes.slice(0, count)
}

function digit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
