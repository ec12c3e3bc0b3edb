import { VmmError } from '../model/errors'
import { REGISTRY_LIMITS } from './hive'

/**
 * Names of the registry are compared unit by unit in upper case, as Windows does with its own table. Ours is Unicode's
 * simple mapping without a locale: a unit whose upper case is several units stays (U+00DF), as does one outside ASCII
 * whose upper case is within (U+0131, U+017F), and surrogates.
 */
export const UPPER = upperTable()

function upperTable(): Uint16Array {
  const table = new Uint16Array(0x10000)
  for (let unit = 0; unit < table.length; unit++) {
    const upper = unit >= 0xd800 && unit < 0xe000 ? '' : String.fromCharCode(unit).toUpperCase()
    const only = upper.length === 1 ? upper.charCodeAt(0) : unit
    table[unit] = unit > 0x7f && only <= 0x7f ? unit : only
  }
  return table
}

const ASCII = /^[^\u0080-\uffff]*$/

/** A name in the form that is compared. */
export function folded(name: string): string {
  if (ASCII.test(name)) return name.toUpperCase()
  let text = ''
  for (let at = 0; at < name.length; at++) text += String.fromCharCode(UPPER[name.charCodeAt(at)] ?? 0)
  return text
}

/** Whether two names are the same to Windows. */
export const sameName = (one: string, other: string): boolean =>
  one === other || (one.length === other.length && folded(one) === folded(other))

/** `HKLM\Software` as its names; '\' at either end and doubled ones do not matter. */
export const keyPath = (text: string): string[] => text.split('\\').filter((part) => part !== '')

/** Refuses what cannot be a key's name. */
export function checkKeyName(name: string): void {
  if (name === '' || name.includes('\\'))
    throw new VmmError('invalid', `"${name}" cannot name a key.`, { hint: 'A name is not empty and has no "\\".' })
  if (name.length > REGISTRY_LIMITS.keyName)
    throw new VmmError('invalid', `A key's name has ${name.length} characters.`, {
      hint: `At most ${REGISTRY_LIMITS.keyName} are possible.`,
    })
}

/** Refuses what no registry keeps. */
export function checkValue(name: string, type: number, size: number): void {
  if (name.length > REGISTRY_LIMITS.valueName)
    throw new VmmError('invalid', `A value's name has ${name.length} characters.`, {
      hint: `At most ${REGISTRY_LIMITS.valueName} are possible.`,
    })
  if (size > REGISTRY_LIMITS.value)
    throw new VmmError('invalid', `The value "${name}" has ${size} bytes.`, {
      hint: `At most ${REGISTRY_LIMITS.value} are kept.`,
    })
  if (!Number.isInteger(type) || type < 0 || type > 0xffffffff)
    throw new VmmError('invalid', `${type} is no type of a value.`, { hint: 'A type is a 32-bit number.' })
}
