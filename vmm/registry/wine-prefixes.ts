import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { VmmError } from '../model/errors'
import type { WinePrefix as PrefixPlace } from '../model/registry'
import type { StoreKey } from '../sealed/store-key'
import type { BaseHives } from './base-hives'
import type { RegistryChange } from './registry-change'
import { changesOf } from './registry-diff'
import { importChanges } from './registry-import'
import { RegistryStore } from './registry-store'
import type { Registry } from './registry-tree'
import { diffWinePrefix, readWinePrefix, writeWinePrefix, type WineFiles } from './wine-prefix'

interface WinePrefixesParts {
  /** A private folder of the registry's; made when it is needed. */
  folder: string
  key: StoreKey
  bases: BaseHives
  store: RegistryStore
  /** Throws `not-found` where no prefix is. */
  read(place: PrefixPlace): WineFiles
  write(place: PrefixPlace, files: WineFiles): void
}

/**
 * A domain's registry as the live one of Wine prefixes: written before their programs run, and what those changed comes
 * back. What a prefix had when it was written is kept until then, so that changes of the domain's registry meanwhile are
 * told from those of programs and stay.
 */
export class WinePrefixes {
  constructor(private readonly parts: WinePrefixesParts) {}

  /**
   * What programs changed since an earlier time, and nobody has taken, is taken first. Throws `state` when the registry
   * has no machine's part: a prefix would lose all that Wine needs.
   */
  async write(place: PrefixPlace): Promise<void> {
    const { store } = this.parts
    if (existsSync(this.#folder(place))) await this.take(place, false)
    const machine = store.registry.tree.find(['hklm'])
    if (!machine || machine.keyCount === 0) {
      throw new VmmError('state', 'The registry of this domain has nothing below HKLM.', {
        hint: 'Import the prefix as base hives first, so that Wine finds in it what it needs.',
      })
    }
    this.parts.write(place, writeWinePrefix(store.registry, this.#arch(place)))
    this.#keep(place)
  }

  /**
   * Tells how many entries programs changed. `live`: they may go on, and what they change from now on is taken another
   * time.
   */
  async take(place: PrefixPlace, live: boolean): Promise<number> {
    const { store, key, bases } = this.parts
    const folder = this.#folder(place)
    const files = this.parts.read(place)
    const written = existsSync(folder) ? RegistryStore.open({ folder, key, bases, base: store.base }) : null
    try {
      const differences = diffWinePrefix(written?.registry ?? store.registry, files)
      const changes = changesOf(differences, store.registry.now())
      for (const change of changes) merge(store.registry, change)
      await store.commit()
      if (written && live) {
        for (const change of changes) written.registry.change(change)
        await written.commit()
      }
      return differences.length
    } finally {
      written?.close()
      if (!live) rmSync(folder, { recursive: true, force: true })
    }
  }

  #folder({ share, path: at }: PrefixPlace): string {
    const name = createHash('sha256').update(`${share}\0${at}`).digest('hex').slice(0, 16)
    return path.join(this.parts.folder, `prefix-${name}`)
  }

  #keep(place: PrefixPlace): void {
    const folder = this.#folder(place)
    const partial = `${folder}.partial`
    rmSync(partial, { recursive: true, force: true })
    mkdirSync(partial, { recursive: true, mode: 0o700 })
    this.parts.store.snapshot(partial)
    renameSync(partial, folder)
  }

  /** A prefix stays what it is; a new one is of 64 bits. */
  #arch(place: PrefixPlace): 'win32' | 'win64' {
    try {
      return readWinePrefix(this.parts.read(place)).arch ?? 'win64'
    } catch (error) {
      if (error instanceof VmmError && error.kind === 'not-found') return 'win64'
      throw error
    }
  }
}

/** A change that a program made, where the domain's registry may have been changed meanwhile too. */
function merge(registry: Registry, change: RegistryChange): void {
  try {
    registry.change(change)
  } catch (error) {
    if (!(error instanceof VmmError)) throw error
    if (change.kind !== 'touch-key') importChanges(registry, [change])
  }
}
