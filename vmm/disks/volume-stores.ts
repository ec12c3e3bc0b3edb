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
    const store = this.#stores.get(folder) ?? new VolumeStore(folder, StoreKey.of(key, STORE_ID), this.#pool)
    this.#stores.set(folder, store)
    return store
  }
}
