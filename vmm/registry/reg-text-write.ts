import { REG, type HiveKey, type RegistryValue } from './hive'
import { writeHexLines } from './hex-lines'
import { longPath } from './reg-text'
import type { RegistryChange } from './registry-change'

const LINE_BREAK = /[\r\n\0]/

/**
 * Changes as a `.reg` file of version 5, as regedit writes and imports it: UTF-16LE with a byte order mark, CRLF. What it
 * has no words for: times, classes, symbolic links (their value is written), and keys with a line break or NUL in their
 * names, which are left out with all in them. Those characters in the name of a value are written as `\r`, `\n`, `\0`.
 */
export function writeRegText(changes: Iterable<RegistryChange>): Buffer {
  const parts = ['\ufeffWindows Registry Editor Version 5.00\r\n']
  let section: string | null = null
  const enter = (path: string) => {
    if (section !== path) parts.push(`\r\n[${longPath(path)}]\r\n`)
    section = path
  }
  for (const change of changes) {
    const { path } = change
    if (LINE_BREAK.test(path) || change.kind === 'touch-key') continue
    if (change.kind === 'delete-key') {
      parts.push(`\r\n[-${longPath(path)}]\r\n`)
      section = null
    } else if (change.kind === 'create-key') enter(path)
    else if (change.kind === 'set-value') {
      enter(path)
      parts.push(valueLine(change.value))
    } else if (change.kind === 'delete-value') {
      enter(path)
      parts.push(`${quotedName(change.name)}=-\r\n`)
    } else throw new RangeError('A .reg file cannot move a key.')
  }
  return Buffer.from(`${parts.join('')}\r\n`, 'utf16le')
}

/** A key and all below it, as what makes it. */
export function* branchChanges(path: string, key: HiveKey): Generator<RegistryChange> {
  const { className, link, written: at } = key
  yield { kind: 'create-key', path, className, link, at }
  for (const value of key.values) yield { kind: 'set-value', path, value, at }
  for (const child of key.keys) yield* branchChanges(`${path}\\${child.name}`, child)
}

function valueLine({ name, type, data }: RegistryValue): string {
  const begun = `${quotedName(name)}=`
  if (type === REG.SZ) {
    const text = plainText(data)
    if (text !== null) return `${begun}"${escaped(text)}"\r\n`
  }
  if (type === REG.DWORD && data.length === 4) {
    const number = new DataView(data.buffer, data.byteOffset).getUint32(0, true)
    return `${begun}dword:${number.toString(16).padStart(8, '0')}\r\n`
  }
  const prefix = `${begun}${type === REG.BINARY ? 'hex:' : `hex(${type.toString(16)}):`}`
  return `${prefix}${writeHexLines(data, prefix.length, '\r\n')}\r\n`
}

/** What can stand between quotation marks: it has one NUL, at its end, and stays on the line. */
function plainText(data: Uint8Array): string | null {
  if (data.length < 2 || data.length % 2 === 1) return null
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf16le')
  const end = text.length - 1
  return text[end] === '\0' && !LINE_BREAK.test(text.slice(0, end)) ? text.slice(0, end) : null
}

const escaped = (text: string) => text.replace(/["\\]/g, '\\$&')

function quotedName(name: string): string {
  if (name === '') return '@'
  return `"${escaped(name).replace(/\r/g, '\\r').replace(/\n/g, '\\n').replace(/\0/g, '\\0')}"`
}
