import { REG, REGISTRY_LIMITS, type RegistryValue } from './hive'
import { readHex } from './hex-lines'
import { checkKeyName, checkValue } from './key-names'
import type { RegistryChange } from './registry-change'
import { LONG_ROOTS, parseKeyPath } from './registry-path'
import { TextLines } from './text-lines'

const HEADERS = { 'Windows Registry Editor Version 5.00': 5, REGEDIT4: 4 } as const
/** What the one root stands for that is no root of ours. */
const CURRENT_CONFIG = /^HKEY_CURRENT_CONFIG(?=\\|$)/i
const CURRENT_CONFIG_KEY = 'HKEY_LOCAL_MACHINE\\System\\CurrentControlSet\\Hardware Profiles\\Current'
/** Types whose bytes are characters, which REGEDIT4 writes in one byte each. */
const NARROW: readonly number[] = [REG.EXPAND_SZ, REG.MULTI_SZ]

/**
 * Reads a `.reg` file, version 5 or REGEDIT4, in UTF-16LE, UTF-8 or (neither) Windows-1252. The changes are in the order
 * of the file; a key that is created may lack the keys above it. `file` is for messages. Throws `invalid` with the line.
 */
export function readRegText(content: Uint8Array, file = 'The .reg file'): RegistryChange[] {
  return new Reading(decode(content), file).read()
}

function decode(content: Uint8Array): string {
  const [first, second, third] = content
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
  // unlike a TextDecoder, this keeps halves of surrogate pairs
  if (first === 0xff && second === 0xfe) return bytes.toString('utf16le', 2)
  if (first === 0xef && second === 0xbb && third === 0xbf) return new TextDecoder('utf-8').decode(content)
  if (second === 0) return bytes.toString('utf16le')
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content)
  } catch {
    return new TextDecoder('windows-1252').decode(content)
  }
}

class Reading {
  readonly #lines: TextLines
  readonly #changes: RegistryChange[] = []
  #version: 4 | 5 = 5
  /** Of the section; null in one that deletes its key. */
  #path: string | null = null

  constructor(text: string, file: string) {
    this.#lines = new TextLines(text, file)
  }

  read(): RegistryChange[] {
    const header = this.#lines.next()?.trim() ?? ''
    if (!(header in HEADERS)) throw this.#lines.wrong('it does not begin with the name of a registry editor.')
    this.#version = HEADERS[header as keyof typeof HEADERS]
    let section = false
    for (let raw = this.#lines.next(); raw !== null; raw = this.#lines.next()) {
      const line = raw.trimStart()
      if (line === '' || line.startsWith(';')) continue
      if (line.startsWith('[')) {
        this.#section(line)
        section = true
      } else if (!line.startsWith('"') && !line.startsWith('@'))
        throw this.#lines.wrong('this is neither a key nor a value.')
      else if (!section) throw this.#lines.wrong('this value is in no key.')
      else this.#value(line)
    }
    return this.#changes
  }

  #section(line: string): void {
    const end = line.lastIndexOf(']')
    if (end === -1) throw this.#lines.wrong('] is missing.')
    const deleted = line[1] === '-'
    const path = this.#checked(() => {
      const text = line.slice(deleted ? 2 : 1, end).replace(CURRENT_CONFIG, CURRENT_CONFIG_KEY)
      const [root, ...names] = parseKeyPath(text)
      names.forEach(checkKeyName)
      return [root, ...names].join('\\')
    })
    this.#path = deleted ? null : path
    if (deleted) this.#add({ kind: 'delete-key', path, at: 0n })
    else this.#add({ kind: 'create-key', path, className: null, link: false, at: 0n })
  }

  #value(line: string): void {
    const named = line.startsWith('@') ? { text: '', rest: line.slice(1) } : this.#quoted(line.slice(1))
    const rest = named.rest.trimStart()
    if (!rest.startsWith('=')) throw this.#lines.wrong('a value is "name"=data.')
    const data = rest.slice(1).trim()
    const [path, name] = [this.#path, named.text]
    if (data === '-') {
      if (path !== null) this.#add({ kind: 'delete-value', path, name, at: 0n })
      return
    }
    const value = { name, ...(data.startsWith('"') ? this.#string(rest.slice(1).trimStart()) : this.#coded(data)) }
    this.#checked(() => checkValue(name, value.type, value.data.length))
    if (path !== null) this.#add({ kind: 'set-value', path, value, at: 0n })
  }

  #string(line: string): Omit<RegistryValue, 'name'> {
    const { text, rest } = this.#quoted(line.slice(1))
    if (rest.trim() !== '' && !rest.trimStart().startsWith(';')) throw this.#lines.wrong('something follows the text.')
    return { type: REG.SZ, data: Buffer.from(`${text}\0`, 'utf16le') }
  }

  #coded(text: string): Omit<RegistryValue, 'name'> {
    const dword = /^dword:\s*([0-9a-f]{1,8})\s*(;.*)?$/i.exec(text)
    if (dword) {
      const data = Buffer.alloc(4)
      data.writeUInt32LE(parseInt(dword[1]!, 16))
      return { type: REG.DWORD, data }
    }
    const hex = /^hex(?:\(([0-9a-f]{1,8})\))?:/i.exec(text)
    const digits = hex ? this.#lines.continued(text.slice(hex[0].length)) : ''
    const data = hex ? readHex(digits.replace(/;.*$/, '').replace(/\s+/g, '')) : null
    if (!hex || !data) throw this.#lines.wrong('the data of this value cannot be read.')
    const type = hex[1] === undefined ? REG.BINARY : parseInt(hex[1], 16)
    if (this.#version === 5 || !NARROW.includes(type)) return { type, data }
    return { type, data: Buffer.from(new TextDecoder('windows-1252').decode(data), 'utf16le') }
  }

  /** Text up to a quotation mark, which may be some lines below, and what follows it. */
  #quoted(line: string): { text: string; rest: string } {
    const parts: string[] = []
    for (let length = 0; ;) {
      const end = closing(line)
      const part = end === -1 ? line : line.slice(0, end)
      parts.push(part.replace(/\\(.)/gs, (_, escape: string) => ESCAPED[escape] ?? escape))
      if (end !== -1) return { text: parts.join(''), rest: line.slice(end + 1) }
      length += line.length
      const next = this.#lines.next()
      if (next === null || length > REGISTRY_LIMITS.value) throw this.#lines.wrong('" is missing.')
      parts.push('\r\n')
      line = next
    }
  }

  #add(change: RegistryChange): void {
    if (this.#changes.length >= REGISTRY_LIMITS.entries) throw this.#lines.wrong('there are too many keys and values.')
    this.#changes.push(change)
  }

  #checked<Result>(work: () => Result): Result {
    try {
      return work()
    } catch (error) {
      throw this.#lines.wrong(error instanceof Error ? error.message : String(error), error)
    }
  }
}

const ESCAPED: Record<string, string> = { n: '\n', r: '\r', 0: '\0' }

/** Where a quotation mark is that no '\' is before; -1 for nowhere. */
function closing(line: string): number {
  for (let at = 0; at < line.length; at++) {
    if (line[at] === '\\') at++
    else if (line[at] === '"') return at
  }
  return -1
}

/** A path as it stands in a `.reg` file: with the long name of its root. */
export function longPath(path: string): string {
  const [root, ...names] = parseKeyPath(path)
  return [LONG_ROOTS[root], ...names].join('\\')
}
