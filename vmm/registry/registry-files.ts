import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { VmmError } from '../model/errors'
import type { BaseHive } from './base-hive'
import { buildBaseHive } from './base-hive-build'
import { branchChanges, writeRegText } from './reg-text-write'
import { readRegText } from './reg-text'
import { readRegf } from './regf-read'
import { writeRegf } from './regf-write'
import type { ImportedHive } from './registry-calls'
import { importChanges } from './registry-import'
import type { RegistryChange } from './registry-change'
import { Registry } from './registry-tree'
import { hiveKeyOf, readWinePrefix, WINE_FILES, WINE_USER, type WineFiles } from './wine-prefix'

/** Largest file that is read as a registry, bytes. */
const FILE_MOST = 512 * 1024 * 1024
const REGF = Buffer.from('regf', 'latin1')

/** A registry as it was found in a file or a folder. */
export interface FoundRegistry {
  source: ImportedHive['source']
  /** As changes of a registry, in their order. */
  changes(): RegistryChange[]
  /** As base hives with their places. */
  hives(): { at: string; hive: BaseHive }[]
}

/**
 * Reads a .reg file, a hive of Windows (with the logs that lie beside it), or the folder of a Wine prefix. `key` is
 * where a hive belongs; the others say it themselves.
 */
export function readRegistryFile(file: string, key: string): FoundRegistry {
  const found = statSync(file)
  if (found.isDirectory()) return wineFolder(file)
  if (found.size > FILE_MOST) {
    throw new VmmError('invalid', 'The file is larger than any registry.', { hint: 'Choose another one.' })
  }
  const content = readFileSync(file)
  if (content.subarray(0, 4).equals(REGF)) return windowsHive(file, content, key)
  const name = path.basename(file)
  if ((WINE_FILES as readonly string[]).includes(name) && content.subarray(0, 4).toString('latin1') === 'WINE') {
    return wineFolder(path.dirname(file))
  }
  const changes = () => readRegText(content, name)
  return { source: 'reg', changes, hives: () => hivesOfChanges(changes()) }
}

/** A key and all below it, as a new file. */
export function writeBranch(registry: Registry, key: string, format: 'reg' | 'regf', file: string): void {
  const { path: canonical } = registry.key(key)
  const branch = hiveKeyOf(registry, canonical)
  writeFileSync(file, format === 'regf' ? writeRegf(branch) : writeRegText(branchChanges(key, branch)), { mode: 0o600 })
}

/** Changes as a new .reg file. */
export function writeDiff(changes: Iterable<RegistryChange>, file: string): void {
  writeFileSync(file, writeRegText(changes), { mode: 0o600 })
}

function windowsHive(file: string, content: Buffer, key: string): FoundRegistry {
  if (key === '') {
    throw new VmmError('invalid', 'A hive does not say where it belongs.', {
      hint: 'Name its key, such as HKLM\\SOFTWARE.',
    })
  }
  const { root } = readRegf(content, { log1: log(file, ['.LOG1', '.LOG']), log2: log(file, ['.LOG2']) })
  return {
    source: 'regf',
    changes: () => [...branchChanges(key, root)],
    hives: () => [{ at: key, hive: buildBaseHive(root) }],
  }
}

function log(file: string, endings: readonly string[]): Uint8Array | undefined {
  const found = endings.map((ending) => file + ending).find((each) => existsSync(each))
  return found !== undefined && statSync(found).size <= FILE_MOST ? readFileSync(found) : undefined
}

function wineFolder(folder: string): FoundRegistry {
  const files = Object.fromEntries(WINE_FILES.map((name) => [name, readWineFile(path.join(folder, name))]))
  const { hives } = readWinePrefix(files as unknown as WineFiles)
  return {
    source: 'wine',
    changes: () => {
      const registry = new Registry({ hives, user: WINE_USER })
      return hives.flatMap(({ at }) => [...branchChanges(at, hiveKeyOf(registry, at))])
    },
    hives: () => hives.map(({ at, hive }) => ({ at, hive })),
  }
}

function readWineFile(file: string): Uint8Array {
  if (!existsSync(file) || statSync(file).size > FILE_MOST) {
    throw new VmmError('invalid', 'This folder is no Wine prefix.', {
      hint: `A prefix holds ${WINE_FILES.join(', ')}.`,
      context: { file },
    })
  }
  return readFileSync(file)
}

/** What a .reg file makes of an empty registry. */
function hivesOfChanges(changes: readonly RegistryChange[]): { at: string; hive: BaseHive }[] {
  const registry = new Registry({ hives: [], user: WINE_USER })
  importChanges(registry, changes)
  return ['HKLM', `HKU\\${WINE_USER}`].flatMap((at) => {
    const key = registry.tree.find(at.split('\\').map((name) => name.toUpperCase()))
    return key && key.keyCount + key.valueCount > 0 ? [{ at, hive: buildBaseHive(hiveKeyOf(registry, at)) }] : []
  })
}
