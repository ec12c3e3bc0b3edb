/** Bytes as text in hexadecimal, and back. */

export const HEX_ROW = 16

const hexOf = (byte: number): string => byte.toString(16).padStart(2, '0')

/** '0a ff 10', with `HEX_ROW` bytes on a line. */
export function hexText(bytes: Uint8Array): string {
  const lines: string[] = []
  for (let at = 0; at < bytes.length; at += HEX_ROW) {
    lines.push(Array.from(bytes.subarray(at, at + HEX_ROW), hexOf).join(' '))
  }
  return lines.join('\n')
}

/** The bytes that a text in hexadecimal stands for, or what is wrong with it. Spaces, commas and line breaks part bytes. */
export function parseHex(text: string): { bytes: Uint8Array<ArrayBuffer> } | { fault: string } {
  const parts = text.split(/[\s,]+/).filter(Boolean)
  const bytes: number[] = []
  for (const part of parts) {
    const stray = /[^0-9a-f]/i.exec(part)
    if (stray) return { fault: `“${stray[0]}” is no hexadecimal digit.` }
    if (part.length % 2 !== 0) return { fault: `“${part.slice(0, 20)}” has half a byte: each byte has two digits.` }
    for (let at = 0; at < part.length; at += 2) bytes.push(parseInt(part.slice(at, at + 2), 16))
  }
  return { bytes: Uint8Array.from(bytes) }
}

export interface HexRow {
  /** Of its first byte, in hexadecimal. */
  offset: string
  hex: string
  /** A dot for what is no printable ASCII. */
  ascii: string
}

/** Rows of a hex view; `start` is the offset of the first byte. */
export function hexRows(bytes: Uint8Array, start = 0): HexRow[] {
  const rows: HexRow[] = []
  for (let at = 0; at < bytes.length; at += HEX_ROW) {
    const row = [...bytes.subarray(at, at + HEX_ROW)]
    rows.push({
      offset: (start + at).toString(16).padStart(8, '0'),
      hex: row.map(hexOf).join(' '),
      ascii: row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join(''),
    })
  }
  return rows
}
