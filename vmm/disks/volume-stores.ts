import { existsSync } from 'node:fs'
import { BlobPool } from '../sealed/blob-pool'
import { StoreKey } from '../sealed/store-key'
import type { VolumePlace } from './volume-calls'
import { VolumeStore } from './volume-store'

/** Derives the key of volumes from the master key. */
const STORE_ID = 'volumes'

/** The volumes of the whole file process: one store for each folder, open files and memory shared. */
export class VolumeStores {
  readonly #pool = new BlobPool()
  readonly #stores = new Map<string, VolumeStore>()

  at({ folder, key }: VolumePlace): VolumeStore {
    const known = this.#stores.get(folder)
    if (known) return known
    const store = new VolumeStore(folder, StoreKey.of(key, STORE_ID), this.#pool)
    this.#stores.set(folder, store)
    // where nothing is yet, all that there is is known; its turn is before that of anything else
    if (!existsSync(folder)) void store.sweep([])
    return store
  }
}
