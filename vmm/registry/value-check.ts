import { FileError } from '../files/file-error'
import { REG } from './hive'

const NAMES = Object.entries(REG).map(([name, type]) => [`REG_${name}`, type] as const)
/** Bytes of a value of a fixed size. */
const SIZES: Record<number, number> = { [REG.DWORD]: 4, [REG.DWORD_BIG_ENDIAN]: 4, [REG.QWORD]: 8 }
const TEXTS: readonly number[] = [REG.SZ, REG.EXPAND_SZ, REG.MULTI_SZ, REG.LINK]

/** What a guest reads as the type of a value: `REG_SZ`, or a number in decimal. */
export const typeText = (type: number): string => NAMES.find(([, number]) => number === type)?.[0] ?? String(type)

/** The reverse. Throws EINVAL. */
export function parseType(text: string): number {
  const word = text.replace(/[\0\n]+$/, '')
  const named = NAMES.find(([name]) => name === word.toUpperCase())?.[1]
  const type = named ?? (/^\d{1,10}$/.test(word) ? Number(word) : NaN)
  if (!(type <= 0xffffffff)) throw new FileError('EINVAL', 'this is no type of a value')
  return type
}

/**
 * Refuses data that its type cannot have (EINVAL), while a guest writes it and not later: numbers of a wrong size, text
 * that is no UTF-16. Nothing at all goes with every type, as a file is emptied before it is written; half a pair may end
 * text that goes on.
 */
export function checkData(type: number, data: Uint8Array): void {
  if (data.length === 0) return
  const size = SIZES[type]
  if (size !== undefined && data.length !== size)
    throw new FileError('EINVAL', `${typeText(type)} has ${size} bytes, not ${data.length}`)
  if (!TEXTS.includes(type)) return
  if (data.length % 2 === 1) throw new FileError('EINVAL', `${typeText(type)} has an even number of bytes`)
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf16le')
  const whole = text.replace(/[\ud800-\udbff]$/, '')
  if (/\p{Cs}/u.test(whole)) throw new FileError('EINVAL', `${typeText(type)} is not UTF-16`)
}
