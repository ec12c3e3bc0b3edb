import { buildBaseHive } from './base-hive-build'
import { plainKey, type HiveKey } from './hive'
import { folded } from './key-names'
import { noKey, type MountedHive } from './layered-tree'
import { diffRegistries, type RegistryDifference } from './registry-diff'
import type { MergedKey } from './registry-layer'
import { Registry } from './registry-tree'
import { readWineText } from './wine-text'
import { writeWineText } from './wine-text-write'

/** The files of a Wine prefix that hold its registry, by what they are called there. */
export interface WineFiles {
  'system.reg': Uint8Array
  'user.reg': Uint8Array
  'userdef.reg': Uint8Array
}
export const WINE_FILES = ['system.reg', 'user.reg', 'userdef.reg'] as const
type WineFileName = keyof WineFiles

/** Who a prefix' user is; wineserver looks at no other. */
export const WINE_USER = 'S-1-5-21-0-0-0-1000'

export interface WinePrefix {
  hives: MountedHive[]
  arch: 'win32' | 'win64' | null
}

const places = (user: string): Record<WineFileName, string> => ({
  'system.reg': 'HKLM',
  'user.reg': `HKU\\${user}`,
  'userdef.reg': 'HKU\\.Default',
})

/** Reads a prefix' files into hives: HKLM whole, the user, and `.Default`. Throws `invalid` with the file and line. */
export function readWinePrefix(files: WineFiles, user = WINE_USER): WinePrefix {
  let arch: WinePrefix['arch'] = null
  const hives = WINE_FILES.map((name) => {
    const file = readWineText(files[name], name)
    arch ??= file.arch
    return { at: places(user)[name], hive: buildBaseHive(file.root) }
  })
  return { hives, arch }
}

/** The files that make Wine see this registry; its HKCU is the prefix' user. */
export function writeWinePrefix(registry: Registry, arch: WinePrefix['arch'] = 'win64'): WineFiles {
  const relative: Record<WineFileName, string> = {
    'system.reg': 'REGISTRY\\Machine',
    'user.reg': `REGISTRY\\User\\${WINE_USER}`,
    'userdef.reg': 'REGISTRY\\User\\.Default',
  }
  const write = (name: WineFileName) => {
    const key = registry.tree.find(places(registry.user)[name].split('\\'))
    return writeWineText({ relativeTo: relative[name], arch, root: key ? mergedHiveKey(key) : plainKey('') })
  }
  return {
    'system.reg': write('system.reg'),
    'user.reg': write('user.reg'),
    'userdef.reg': write('userdef.reg'),
  }
}

/**
 * What a prefix has otherwise than the registry that it was written from. Exact for keys and values; times of keys matter
 * only when asked for, as Wine keeps none for keys that hold nothing but keys.
 */
export function diffWinePrefix(registry: Registry, files: WineFiles, times = false): RegistryDifference[] {
  const { user } = registry
  const { hives } = readWinePrefix(files, user)
  const after = new Registry({ hives, user })
  return Object.values(places(user)).flatMap((under) => diffRegistries(registry, after, { under, times }).differences)
}

/** A key as its domain sees it, for codecs. */
export function mergedHiveKey(key: MergedKey): HiveKey {
  const { name, written, className, link } = key
  return {
    name,
    written,
    className,
    link,
    values: { [Symbol.iterator]: () => key.values() },
    keys: { [Symbol.iterator]: () => mergedHiveKeys(key) },
  }
}

function* mergedHiveKeys(key: MergedKey): Generator<HiveKey> {
  for (const child of key.children()) yield mergedHiveKey(child)
}

/** A key of a registry for codecs, such as `HKLM\SOFTWARE`, canonical. */
export function hiveKeyOf(registry: Registry, path: string): HiveKey {
  const key = registry.tree.find(path.split('\\').map(folded))
  if (!key) throw noKey([path])
  return mergedHiveKey(key)
}
