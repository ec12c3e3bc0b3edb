import { safeText } from '../model/safe-text'
import { REG } from './hive'

/** Characters of a value that are shown. */
const SHOWN = 200
const BYTES_SHOWN = 64

/** A value's data as people read it: text, numbers in both notations, bytes in hexadecimal. */
export function valueText(type: number, data: Uint8Array): string {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  switch (type) {
    case REG.SZ:
    case REG.EXPAND_SZ:
    case REG.LINK:
      return safeText(utf16(bytes).replace(/\0+$/, ''), SHOWN)
    case REG.MULTI_SZ:
      return safeText(
        utf16(bytes)
          .split('\0')
          .filter((text) => text !== '')
          .join(' | '),
        SHOWN,
      )
    case REG.DWORD:
      return bytes.length === 4 ? number(BigInt(bytes.readUInt32LE(0)), 8) : hex(bytes)
    case REG.DWORD_BIG_ENDIAN:
      return bytes.length === 4 ? number(BigInt(bytes.readUInt32BE(0)), 8) : hex(bytes)
    case REG.QWORD:
      return bytes.length === 8 ? number(bytes.readBigUInt64LE(0), 16) : hex(bytes)
    default:
      return hex(bytes)
  }
}

/** Only what can be shown is decoded: a value may have many megabytes. */
function utf16(bytes: Buffer): string {
  return bytes.toString('utf16le', 0, Math.min(bytes.length, 4 * SHOWN) & ~1)
}

function number(value: bigint, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')} (${value})`
}

function hex(bytes: Buffer): string {
  const shown = bytes
    .subarray(0, BYTES_SHOWN)
    .toString('hex')
    .replace(/(..)(?=.)/g, '$1 ')
  return bytes.length > BYTES_SHOWN ? `${shown} …` : shown
}
