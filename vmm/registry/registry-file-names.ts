import { FileError } from '../files/file-error'
import type { FileName } from '../files/provider'

/**
 * Names of keys and values as names of files, in the shape of Cygwin's /proc/registry: UTF-8, and `%XX` for '%', '/' and
 * control characters, and for all of a name that is '.', '..' or '@'; half a surrogate pair is `%uXXXX`. `@` is the
 * default value. A value that is called as a key beside it has `%val` at its end. Each name is written in one way only.
 */
const DEFAULT_FILE = '@'
export const VALUE_MARK = '%val'

const NAME_BYTES = 255
const SPECIAL = /[%/\p{Cc}]/gu
const HALF_PAIR = /\p{Cs}/gu
const WHOLE = ['.', '..', '@']

const hex = (unit: number, digits: number) => unit.toString(16).toUpperCase().padStart(digits, '0')
const escapeUnit = (character: string) => `%${hex(character.charCodeAt(0), 2)}`

/** null for what has more bytes than a name of a file: it cannot be seen. */
export function fileNameOf(name: string): FileName | null {
  const text = WHOLE.includes(name)
    ? name.replace(/./g, escapeUnit)
    : name.replace(SPECIAL, escapeUnit).replace(HALF_PAIR, (half) => `%u${hex(half.charCodeAt(0), 4)}`)
  const bytes = Buffer.from(text).toString('latin1')
  return bytes.length > NAME_BYTES ? null : bytes
}

/** The name that a file name stands for. Throws EINVAL for what `fileNameOf` writes otherwise. */
export function nameOfFile(file: FileName): string {
  const text = Buffer.from(file, 'latin1').toString('utf8')
  const name = text.replace(/%(?:u([0-9A-F]{4})|([0-9A-F]{2}))/g, (_, unit?: string, byte?: string) =>
    String.fromCharCode(parseInt(unit ?? byte ?? '', 16)),
  )
  if (fileNameOf(name) !== file) throw new FileError('EINVAL', 'no name of a key or value is written so')
  return name
}

/** The name that an entry of a folder stands for. Throws EINVAL. */
export const nameOfEntry = (file: FileName): string => (file === DEFAULT_FILE ? '' : nameOfFile(file))

/** How a value's file is called; `besideKey`: a key has its name. */
export function valueFile(name: string, besideKey: boolean): FileName | null {
  if (name === '') return DEFAULT_FILE
  const file = fileNameOf(name)
  if (file === null || !besideKey) return file
  return file.length + VALUE_MARK.length > NAME_BYTES ? null : file + VALUE_MARK
}
