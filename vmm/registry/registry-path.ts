import { VmmError } from '../model/errors'
import type { RegistryRoot } from '../model/policy-registry'
import { REG, REGISTRY_LIMITS, type RegistryValue } from './hive'
import { folded, keyPath } from './key-names'

/** Roots as people and files write them. */
const ROOTS: Record<string, RegistryRoot> = {
  HKLM: 'HKLM',
  HKEY_LOCAL_MACHINE: 'HKLM',
  HKU: 'HKU',
  HKEY_USERS: 'HKU',
  HKCU: 'HKCU',
  HKEY_CURRENT_USER: 'HKCU',
  HKCR: 'HKCR',
  HKEY_CLASSES_ROOT: 'HKCR',
}
/** The long names, as Windows writes them into files. */
export const LONG_ROOTS: Record<RegistryRoot, string> = {
  HKLM: 'HKEY_LOCAL_MACHINE',
  HKU: 'HKEY_USERS',
  HKCU: 'HKEY_CURRENT_USER',
  HKCR: 'HKEY_CLASSES_ROOT',
}

/** The value of a symbolic link that says where it leads, folded. */
export const LINK_VALUE = 'SYMBOLICLINKVALUE'

/** Splits `HKLM\Software` (or with the root's long name) into its names. Throws `invalid`. */
export function parseKeyPath(path: string): [RegistryRoot, ...string[]] {
  const [first = '', ...names] = keyPath(path)
  const root = ROOTS[first.toUpperCase()]
  if (!root)
    throw new VmmError('invalid', `"${path.slice(0, 200)}" is no key.`, {
      hint: 'A key begins with HKLM, HKU, HKCU or HKCR.',
    })
  if (names.length > REGISTRY_LIMITS.depth)
    throw new VmmError('invalid', `A key lies ${names.length} deep.`, {
      hint: `At most ${REGISTRY_LIMITS.depth} are possible.`,
    })
  return [root, ...names]
}

/** Where a symbolic link leads, canonical; null when that is no place of the registry. */
export function linkTarget(value: RegistryValue | null): string[] | null {
  if (value?.type !== REG.LINK || value.data.length > 32_767 * 2) return null
  const names = keyPath(Buffer.from(value.data).toString('utf16le').replace(/\0+$/, ''))
  if (names.length < 2 || names.length > REGISTRY_LIMITS.depth || folded(names[0]!) !== 'REGISTRY') return null
  const root = { MACHINE: 'HKLM', USER: 'HKU' }[folded(names[1]!)]
  return root === undefined ? null : [root, ...names.slice(2)]
}

/**
 * The places that a path may stand for, canonical but for symbolic links, the one that goes first first: HKCU is a key of
 * HKU; HKCR is the user's classes over the machine's.
 */
export function canonicalPlaces([root, ...names]: [RegistryRoot, ...string[]], user: string): string[][] {
  if (root === 'HKCU') return [['HKU', user, ...names]]
  if (root !== 'HKCR') return [[root, ...names]]
  return [
    ['HKU', user, 'Software', 'Classes', ...names],
    ['HKLM', 'Software', 'Classes', ...names],
  ]
}
