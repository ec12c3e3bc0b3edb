import { REG, REGISTRY_LIMITS, plainKey, stampOfMs, type PlainKey, type RegistryValue } from './hive'
import { readHex } from './hex-lines'
import { checkKeyName, checkValue, folded } from './key-names'
import { TextLines } from './text-lines'

/**
 * The files of a Wine prefix, `WINE REGISTRY Version 2`, as wineserver reads and writes them (server/registry.c). What is
 * not kept: comments, unknown options, and the times of keys that are only there because of those below them.
 */
export interface WineFile {
  /** Such as `REGISTRY\Machine`. */
  relativeTo: string
  arch: 'win32' | 'win64' | null
  root: PlainKey
}

const HEADER = 'WINE REGISTRY Version 2'
const RELATIVE = ';; All keys relative to '
const UNESCAPED: Record<string, string> = {
  a: '\x07',
  b: '\b',
  t: '\t',
  n: '\n',
  v: '\v',
  f: '\f',
  r: '\r',
  e: '\x1b',
}

/** `file` is for messages. Throws `invalid` with the line. */
export function readWineText(content: Uint8Array, file = 'The Wine registry'): WineFile {
  return new Reading(
    Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('latin1'),
    file,
  ).read()
}

class Reading {
  readonly #lines: TextLines
  readonly #root = plainKey('')
  /** The keys below a key, by folded name, and its values' places. */
  readonly #below = new Map<PlainKey, Map<string, PlainKey>>()
  #values = new Map<string, number>()
  #key: PlainKey | null = null
  #entries = 0

  constructor(text: string, file: string) {
    this.#lines = new TextLines(text, file)
  }

  read(): WineFile {
    if (this.#lines.next() !== HEADER) throw this.#lines.wrong(`it does not begin with "${HEADER}".`)
    const file: WineFile = { relativeTo: '', arch: null, root: this.#root }
    for (let line = this.#lines.next(); line !== null; line = this.#lines.next()) {
      if (line === '') continue
      if (line.startsWith(RELATIVE)) file.relativeTo = line.slice(RELATIVE.length).replaceAll('\\\\', '\\')
      else if (line.startsWith('#arch=')) file.arch = line === '#arch=win64' ? 'win64' : 'win32'
      else if (line.startsWith('[')) this.#section(line)
      else if (line.startsWith('#')) this.#option(line)
      else if (line.startsWith('"') || line.startsWith('@')) this.#value(line)
      else if (!line.startsWith(';')) throw this.#lines.wrong('this is neither a key nor a value.')
    }
    return file
  }

  #section(line: string): void {
    const { text, end } = this.#quoted(line, 1, ']', true)
    const seconds = /^ *(\d{1,12})?\s*$/.exec(line.slice(end))
    if (!seconds) throw this.#lines.wrong('a key is followed by its time.')
    const written = seconds[1] === undefined ? 0n : stampOfMs(Number(seconds[1]) * 1000)
    const names = text === '' ? [] : text.split('\0\\')
    if (names.length > REGISTRY_LIMITS.depth) throw this.#lines.wrong('this key lies too deep.')
    this.#key = names.reduce((key, name) => this.#child(key, name, written), this.#root)
    this.#key.written = written
    this.#values = new Map(this.#key.values.map(({ name }, place) => [folded(name), place]))
  }

  #child(key: PlainKey, name: string, written: bigint): PlainKey {
    let below = this.#below.get(key)
    if (!below) this.#below.set(key, (below = new Map<string, PlainKey>()))
    const known = below.get(folded(name))
    if (known) return known
    this.#check(() => checkKeyName(name))
    this.#count()
    const made = plainKey(name, written)
    below.set(folded(name), made)
    key.keys.push(made)
    return made
  }

  #option(line: string): void {
    if (!this.#key) return
    const time = /^#time=([0-9a-f]{1,16})$/.exec(line)
    if (time) this.#key.written = BigInt(`0x${time[1]!}`)
    else if (line === '#link') this.#key.link = true
    else if (line.startsWith('#class="')) this.#key.className = this.#quoted(line, 8, '"').text
  }

  #value(line: string): void {
    if (!this.#key) throw this.#lines.wrong('this value is in no key.')
    const { text: name, end } = line.startsWith('@') ? { text: '', end: 1 } : this.#quoted(line, 1, '"')
    if (line[end] !== '=') throw this.#lines.wrong('a value is "name"=data.')
    const value = { name, ...this.#data(line, end + 1) }
    this.#check(() => checkValue(name, value.type, value.data.length))
    const known = this.#values.get(folded(name))
    if (known !== undefined) {
      this.#key.values[known] = value
      return
    }
    this.#count()
    this.#values.set(folded(name), this.#key.values.push(value) - 1)
  }

  #data(line: string, from: number): Omit<RegistryValue, 'name'> {
    if (line[from] === '"') return this.#string(REG.SZ, line, from + 1)
    const colon = line.indexOf(':', from)
    const [, kind, number] =
      /^(str|hex|dword)(?:\(([0-9a-f]{1,8})\))?$/.exec(line.slice(from, Math.max(from, colon))) ?? []
    const type = number === undefined ? null : parseInt(number, 16)
    if (kind === 'str' && line[colon + 1] === '"') return this.#string(type ?? REG.SZ, line, colon + 2)
    if (kind === 'dword' && /^[0-9a-fA-F]{1,8}$/.test(line.slice(colon + 1))) {
      const data = Buffer.alloc(4)
      data.writeUInt32LE(parseInt(line.slice(colon + 1), 16))
      return { type: REG.DWORD, data }
    }
    const data = kind === 'hex' ? readHex(this.#lines.continued(line.slice(colon + 1))) : null
    if (!data) throw this.#lines.wrong('the data of this value cannot be read.')
    return { type: type ?? REG.BINARY, data }
  }

  #string(type: number, line: string, from: number): Omit<RegistryValue, 'name'> {
    return { type, data: Buffer.from(`${this.#quoted(line, from, '"').text}\0`, 'utf16le') }
  }

  /** Text up to a character that ends it, and where it goes on. `path`: '\' between names is marked with a NUL before. */
  #quoted(line: string, from: number, close: string, path = false): { text: string; end: number } {
    let text = ''
    let at = from
    for (let begun = from; ;) {
      const character = line[at]
      if (character === undefined) throw this.#lines.wrong(`${close} is missing.`)
      if (character !== close && character !== '\\') {
        at++
        continue
      }
      text += line.slice(begun, at)
      if (character === close) return { text, end: at + 1 }
      const escape = unescape(line, at + 1)
      text += path && line[at + 1] === '\\' ? '\0\\' : escape.text
      begun = at = escape.end
    }
  }

  #count(): void {
    if (++this.#entries > REGISTRY_LIMITS.entries) throw this.#lines.wrong('there are too many keys and values.')
  }

  #check(work: () => void): void {
    try {
      work()
    } catch (error) {
      throw this.#lines.wrong(error instanceof Error ? error.message : String(error), error)
    }
  }
}

/** What follows a '\': a letter, up to four hexadecimal digits after x, up to three octal ones, or the character itself. */
function unescape(line: string, at: number): { text: string; end: number } {
  const coded = /^(?:x([0-9a-fA-F]{1,4})|([0-7]{1,3}))/.exec(line.slice(at, at + 5))
  if (coded) {
    const code = coded[1] === undefined ? parseInt(coded[2]!, 8) : parseInt(coded[1], 16)
    return { text: String.fromCharCode(code), end: at + coded[0].length }
  }
  const character = line[at] ?? ''
  return { text: UNESCAPED[character] ?? character, end: at + 1 }
}
