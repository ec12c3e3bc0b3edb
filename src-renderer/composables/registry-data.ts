import { VALUE_TYPES } from '../../src-main/contract'
import { hexText, parseHex } from './hex-text'

/** Data of registry values, as a person edits it, and as bytes. Text is UTF-16LE with a terminating NUL. (winnt.h) */

export type Editor = 'text' | 'lines' | 'number' | 'hex'
export type Notation = 'hex' | 'decimal'

const typeNumber = (name: (typeof VALUE_TYPES)[number]): number => VALUE_TYPES.indexOf(name)
export const REG = {
  NONE: typeNumber('REG_NONE'),
  SZ: typeNumber('REG_SZ'),
  EXPAND_SZ: typeNumber('REG_EXPAND_SZ'),
  BINARY: typeNumber('REG_BINARY'),
  DWORD: typeNumber('REG_DWORD'),
  DWORD_BIG_ENDIAN: typeNumber('REG_DWORD_BIG_ENDIAN'),
  MULTI_SZ: typeNumber('REG_MULTI_SZ'),
  QWORD: typeNumber('REG_QWORD'),
} as const

/** Types that a new value is offered as, the usual first. */
export const OFFERED_TYPES = [
  REG.SZ,
  REG.EXPAND_SZ,
  REG.MULTI_SZ,
  REG.DWORD,
  REG.QWORD,
  REG.BINARY,
  REG.DWORD_BIG_ENDIAN,
  REG.NONE,
] as const

const EDITORS: ReadonlyMap<number, Editor> = new Map([
  [REG.SZ, 'text'],
  [REG.EXPAND_SZ, 'text'],
  [REG.MULTI_SZ, 'lines'],
  [REG.DWORD, 'number'],
  [REG.DWORD_BIG_ENDIAN, 'number'],
  [REG.QWORD, 'number'],
])
export const editorOf = (type: number): Editor => EDITORS.get(type) ?? 'hex'

const numberBytes = (type: number): number => (type === REG.QWORD ? 8 : 4)

/** What is in the fields of an editor. */
export interface DataDraft {
  editor: Editor
  text: string
  notation: Notation
  /** Why the bytes are edited as such although their type has an editor of its own; '' otherwise. */
  why: string
}

type Encoded = { bytes: Uint8Array<ArrayBuffer> } | { fault: string }

/** The data of a value for its editor: that of its type where this loses nothing, else the bytes. */
export function draftOf(type: number, bytes: Uint8Array): DataDraft {
  const editor = editorOf(type)
  const draft = (text: string, notation: Notation = 'hex'): DataDraft => ({ editor, text, notation, why: '' })
  const asBytes = (why: string): DataDraft => ({ editor: 'hex', text: hexText(bytes), notation: 'hex', why })
  if (editor === 'hex') return asBytes('')
  if (editor === 'number') {
    if (bytes.length === 0) return draft('0')
    if (bytes.length !== numberBytes(type)) return asBytes(`A number of this type has ${numberBytes(type)} bytes.`)
    return draft(numberText(numberOf(type, bytes), 'hex'))
  }
  if (bytes.length % 2 !== 0) return asBytes('It has half a character at its end.')
  const text = utf16Text(bytes)
  if (text.includes('\r')) return asBytes('It has characters that a field of text would change.')
  return editor === 'text' ? textDraft(text) : linesDraft(text)

  function textDraft(whole: string): DataDraft {
    const ended = whole.replace(/\0$/, '')
    return ended.includes('\0') ? asBytes('It goes on after the end of its text.') : draft(ended)
  }
  function linesDraft(whole: string): DataDraft {
    if (/^\0?$/.test(whole)) return draft('')
    const lines = whole.replace(/\0\0$/, '').split('\0')
    if (whole.includes('\n') || lines.includes('')) return asBytes('It holds texts that lines cannot stand for.')
    return draft(lines.join('\n'))
  }
}

/** The bytes that an editor's fields stand for, or what is wrong with them. */
export function bytesOf(type: number, { editor, text, notation }: Omit<DataDraft, 'why'>): Encoded {
  if (editor === 'hex') return parseHex(text)
  if (editor === 'number') return numberBytesOf(type, text, notation)
  if (text.includes('\0')) return { fault: 'Text holds no NUL character.' }
  if (editor === 'text') return { bytes: utf16Bytes(`${text}\0`) }
  // a line break at the end is no further text
  const lines = text.replace(/\n$/, '').split('\n')
  if (text === '') return { bytes: utf16Bytes('\0') }
  if (lines.includes('')) return { fault: 'A line is empty; an empty text would end the list.' }
  return { bytes: utf16Bytes(`${lines.join('\0')}\0\0`) }
}

/** The same number in the other notation; what is no number stays. */
export function renotated(text: string, from: Notation, to: Notation): string {
  const number = parseNumber(text, from)
  return number === null ? text : numberText(number, to)
}

export function utf16Bytes(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length * 2)
  const view = new DataView(bytes.buffer)
  for (let at = 0; at < text.length; at++) view.setUint16(at * 2, text.charCodeAt(at), true)
  return bytes
}

function utf16Text(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const units = Array.from({ length: bytes.length >> 1 }, (_, at) => String.fromCharCode(view.getUint16(at * 2, true)))
  return units.join('')
}

function numberOf(type: number, bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (type === REG.QWORD) return view.getBigUint64(0, true)
  return BigInt(view.getUint32(0, type === REG.DWORD))
}

const numberText = (number: bigint, notation: Notation): string => number.toString(notation === 'hex' ? 16 : 10)

function parseNumber(text: string, notation: Notation): bigint | null {
  const digits = text.trim().replace(/^0x/i, '')
  const hex = notation === 'hex' || /^\s*0x/i.test(text)
  if (!(hex ? /^[0-9a-f]{1,64}$/i : /^\d{1,64}$/).test(digits)) return null
  return BigInt(hex ? `0x${digits}` : digits)
}

function numberBytesOf(type: number, text: string, notation: Notation): Encoded {
  const number = parseNumber(text, notation)
  const size = numberBytes(type)
  if (number === null) return { fault: notation === 'hex' ? 'Write digits from 0 to f.' : 'Write digits from 0 to 9.' }
  if (number >= 1n << BigInt(size * 8)) return { fault: `It does not fit into ${size * 8} bits.` }
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  if (size === 8) view.setBigUint64(0, number, true)
  else view.setUint32(0, Number(number), type === REG.DWORD)
  return { bytes }
}
