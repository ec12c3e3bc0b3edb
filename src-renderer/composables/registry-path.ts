/** Paths of keys, as people type and copy them. */

const LONG_ROOTS: Readonly<Record<string, string>> = {
  HKEY_LOCAL_MACHINE: 'HKLM',
  HKEY_USERS: 'HKU',
  HKEY_CURRENT_USER: 'HKCU',
  HKEY_CLASSES_ROOT: 'HKCR',
}
/** Of a name of one key, characters. */
const NAME_LENGTH = 255

/** Case never matters in the registry; this is how two paths are compared. */
export const folded = (path: string): string => path.toUpperCase()

export const lastName = (path: string): string => path.slice(path.lastIndexOf('\\') + 1)
export const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('\\')))
export const below = (path: string, name: string): string => (path === '' ? name : `${path}\\${name}`)

/** Whether `path` is `top`, or lies below it. Everything lies below ''. */
export const isWithin = (path: string, top: string): boolean =>
  top === '' || folded(path) === folded(top) || folded(path).startsWith(`${folded(top)}\\`)

/** A key as it was typed or pasted, also out of another program: '[HKEY_LOCAL_MACHINE\Software\]' is HKLM\Software. */
export function typedPath(text: string): string {
  const bare = text.trim().replace(/^\[-?(.*)\]$/, '$1')
  const [first = '', ...names] = bare.split(/\\+/).filter((name) => name !== '')
  // as it stands in the address line of regedit
  if (folded(first) === 'COMPUTER' && names.length > 0) return typedPath(names.join('\\'))
  return [LONG_ROOTS[folded(first)] ?? folded(first), ...names].filter(Boolean).join('\\')
}

/** What is wrong with the name of a key, or ''. */
export function keyNameFault(name: string): string {
  if (name === '') return 'Give the key a name.'
  if (name.length > NAME_LENGTH) return `The name of a key has at most ${NAME_LENGTH} characters.`
  return /[\\\0]/.test(name) ? 'The name of a key holds no backslash.' : ''
}

/** Where the hives of Windows usually lie. */
export const HIVE_PLACES = [
  'HKLM\\SOFTWARE',
  'HKLM\\SYSTEM',
  'HKLM\\SAM',
  'HKLM\\SECURITY',
  'HKCU',
  'HKU\\.Default',
] as const
