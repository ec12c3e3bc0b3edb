import { VmmError } from '../../vmm/model/errors'
import { safeText, VALUE_TYPES } from '../contract'

const NAMES = VALUE_TYPES.map((name) => name.replace(/^REG_/, '').toLowerCase().replaceAll('_', '-'))
export const SETTABLE_TYPES = ['sz', 'expand-sz', 'multi-sz', 'dword', 'qword', 'binary', 'none'] as const
export type SettableType = (typeof SETTABLE_TYPES)[number]

/** The number of a type. */
export const typeNumber = (type: SettableType): number => NAMES.indexOf(type)

/** The bytes of a value, of words as a person types them. */
export function dataOf(type: SettableType, words: readonly string[]): Buffer {
  if (type === 'multi-sz') return utf16(`${words.map((word) => `${word}\0`).join('')}\0`)
  const [word = '', ...others] = words
  if (type === 'binary' || type === 'none') return hexData(words.join(''))
  if (others.length > 0) throw wrong('One value is needed, and there are several.', 'Put text with spaces into quotes.')
  if (type === 'sz' || type === 'expand-sz') return utf16(`${word}\0`)
  return numberData(word, type === 'dword' ? 4 : 8)
}

/** A value as a person reads it; several lines for a list of texts. */
export function dataText(type: number, data: Uint8Array): string {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  switch (NAMES[type]) {
    case 'sz':
    case 'expand-sz':
    case 'link':
      return safeText(bytes.toString('utf16le').replace(/\0+$/, ''), Infinity)
    case 'multi-sz':
      return bytes
        .toString('utf16le')
        .split('\0')
        .filter(Boolean)
        .map((text) => safeText(text, Infinity))
        .join('\n')
    case 'dword':
      return bytes.length === 4 ? String(bytes.readUInt32LE()) : bytes.toString('hex')
    case 'qword':
      return bytes.length === 8 ? String(bytes.readBigUInt64LE()) : bytes.toString('hex')
    default:
      return bytes.toString('hex')
  }
}

const utf16 = (text: string): Buffer => Buffer.from(text, 'utf16le')

function hexData(text: string): Buffer {
  const digits = text.replace(/[\s,]/g, '')
  if (/^([0-9a-f]{2})*$/i.test(digits)) return Buffer.from(digits, 'hex')
  throw wrong('These are no bytes.', 'Give pairs of hexadecimal digits, such as 00 ff, or use --file.')
}

function numberData(word: string, size: 4 | 8): Buffer {
  const value = /^(\d+|0x[0-9a-f]+)$/i.test(word) ? BigInt(word) : -1n
  if (value < 0n || value >= 1n << BigInt(8 * size)) {
    throw wrong(`'${word}' is no number of ${8 * size} bits.`, 'Give one such as 10 or 0xa.')
  }
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes.subarray(0, size)
}

function wrong(message: string, hint: string): VmmError {
  return new VmmError('invalid', message, { hint })
}
