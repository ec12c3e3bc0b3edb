import { REG, stampOfMs, type HiveKey, type RegistryValue } from './hive'
import { writeHexLines } from './hex-lines'
import type { WineFile } from './wine-text'

/** By code, what wineserver writes after a '\'. */
const ESCAPES = '.......abtnvfr.............e....'
const ESCAPED: Record<'path' | 'string', RegExp> = {
  // the escapes of server/registry.c: all but printable ASCII, and what would end the text
  path: /[^ -Z^-\x7f]/g,
  string: /[^ !#-[\]-\x7f]/g,
}
const UNIX_SECOND = 10_000_000n

/** The file exactly as wineserver writes it: names in its order, keys without values only where nothing is below them. */
export function writeWineText({ relativeTo, arch, root }: Omit<WineFile, 'root'> & { root: HiveKey }): Buffer {
  const parts = [`WINE REGISTRY Version 2\n;; All keys relative to ${relativeTo.replaceAll('\\', '\\\\')}\n`]
  if (arch) parts.push(`\n#arch=${arch}\n`)
  writeKey(root, '', parts)
  return Buffer.from(parts.join(''), 'latin1')
}

function writeKey(key: HiveKey, path: string, parts: string[]): void {
  const values = inOrder(key.values)
  const keys = inOrder(key.keys)
  if (values.length > 0 || keys.length === 0 || key.className !== null || key.link) {
    const seconds = Number(BigInt.asUintN(32, (key.written - stampOfMs(0)) / UNIX_SECOND))
    parts.push(`\n[${path}] ${seconds}\n#time=${key.written.toString(16)}\n`)
    if (key.className !== null) parts.push(`#class="${escaped(key.className, 'string')}"\n`)
    if (key.link) parts.push('#link\n')
    for (const value of values) parts.push(writeValue(value))
  }
  for (const child of keys) {
    const name = escaped(child.name, 'path')
    writeKey(child, path === '' ? name : `${path}\\\\${name}`, parts)
  }
}

function writeValue({ name, type, data }: RegistryValue): string {
  const begun = name === '' ? '@=' : `"${escaped(name, 'string')}"=`
  const text = type === REG.SZ || type === REG.EXPAND_SZ || type === REG.MULTI_SZ
  if (text && data.length >= 2 && data.length % 2 === 0 && data.at(-1) === 0 && data.at(-2) === 0) {
    const string = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf16le')
    return `${begun}${type === REG.SZ ? '' : `str(${type}):`}"${escaped(string, 'string')}"\n`
  }
  if (type === REG.DWORD && data.length === 4) {
    const number = new DataView(data.buffer, data.byteOffset).getUint32(0, true)
    return `${begun}dword:${number.toString(16).padStart(8, '0')}\n`
  }
  const prefix = `${begun}${type === REG.BINARY ? 'hex:' : `hex(${type.toString(16)}):`}`
  return `${prefix}${writeHexLines(data, prefix.length, '\n')}\n`
}

/** A NUL at the very end is not written. */
function escaped(text: string, as: 'path' | 'string'): string {
  return text.replace(ESCAPED[as], (character, at: number) => {
    const code = character.charCodeAt(0)
    const next = text[at + 1] ?? ''
    if (code > 127) return `\\x${code.toString(16).padStart(/[0-9a-fA-F]/.test(next) ? 4 : 0, '0')}`
    if (code >= 32) return `\\${character}`
    if (code === 0 && at === text.length - 1) return ''
    if (ESCAPES[code] !== '.') return `\\${ESCAPES[code] ?? ''}`
    return `\\${code.toString(8).padStart(/[0-7]/.test(next) ? 3 : 0, '0')}`
  })
}

/** In wineserver's order: unit by unit in lower case. */
function inOrder<Named extends { name: string }>(items: Iterable<Named>): Named[] {
  const named = Array.from(items, (item) => ({ item, name: item.name.toLowerCase() }))
  named.sort((one, other) => (one.name < other.name ? -1 : one.name > other.name ? 1 : 0))
  return named.map(({ item }) => item)
}
