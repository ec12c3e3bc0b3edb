import { existsSync } from 'node:fs'
import path from 'node:path'
import { VmmError } from '../model/errors'
import { Journal } from '../sealed/journal'
import type { StoreKey } from '../sealed/store-key'
import type { BaseHives } from './base-hives'
import { ChangeReader, changeRecords } from './change-record'
import type { RegistryChange } from './registry-change'
import { changesOf, diffRegistries } from './registry-diff'
import { LAYER_LIMITS, type LayerLimits } from './registry-layer'
import { Registry } from './registry-tree'

const FILE = 'registry.journal'
/** A journal is compacted when it is this large and twice what it was after the last time. */
const COMPACT_FROM = 4 << 20
/** Bytes that wait for a commit at most. */
const PENDING_MOST = 8 << 20

/** What a registry stands on. */
export interface RegistryBase {
  /** Where each base hive is seen, and its id. */
  hives: { at: string; id: string }[]
  /** The key of HKU that is HKCU. */
  user: string
}

export interface RegistryStoreOptions {
  folder: string
  key: StoreKey
  bases: BaseHives
  /** For a store that is not there yet. */
  base: RegistryBase
  limits?: LayerLimits
}

/**
 * The registry of one domain, kept in a journal of its changes over base hives. A change is on the disk once `commit` has
 * resolved; kill the process at any moment, and what was committed is there.
 */
export class RegistryStore {
  #registry: Registry
  #base: RegistryBase
  readonly #journal: Journal
  #compacted: number
  #pending = 0

  private constructor(private readonly options: RegistryStoreOptions) {
    const read = new StoredChanges()
    this.#journal = Journal.open(file(options.folder), options.key, (record) => read.record(record))
    this.#compacted = this.#journal.bytes
    try {
      this.#base = read.base ?? options.base
      this.#registry = this.#open(read.changes)
      if (!read.base) this.#journal.append(headRecord(this.#base))
    } catch (error) {
      this.#journal.close()
      throw error
    }
  }

  /** Opens a store, or makes it in a folder that is there. Throws `damaged`, `not-found` (a base hive). */
  static open(options: RegistryStoreOptions): RegistryStore {
    return new RegistryStore(options)
  }

  /** What a snapshot's registry was, for comparing. */
  static readSnapshot(folder: string, key: StoreKey, bases: BaseHives): Registry {
    const { base, changes } = readStored(folder, key)
    return build(base, bases, changes)
  }

  /** Another one after `restore`, `discard` and `rebase`. */
  get registry(): Registry {
    return this.#registry
  }

  get base(): RegistryBase {
    return this.#base
  }

  /** Bytes on the disk. */
  get bytes(): number {
    return this.#journal.bytes
  }

  /** All changes so far outlive a failure of the host when it resolves. */
  async commit(): Promise<void> {
    this.#pending = 0
    if (this.#grown()) this.compact()
    await this.#journal.commit()
  }

  /** Puts what is different from the bases in the place of how it came about. It is on the disk then. */
  compact(): void {
    this.#journal.compact(this.#records())
    this.#compacted = this.#journal.bytes
  }

  /** Writes the registry as it is into a folder, whole and on the disk. */
  snapshot(folder: string): void {
    const journal = Journal.open(file(folder), this.options.key, () => undefined)
    try {
      journal.compact(this.#records())
    } finally {
      journal.close()
    }
  }

  /** Back to a snapshot, or to that of another store, with its key. */
  restore(folder: string, key = this.options.key): void {
    const { base, changes } = readStored(folder, key)
    this.#become(base, changes)
  }

  /** Gives up all changes. */
  discard(): void {
    this.#become(this.#base, [])
  }

  /** Stands on other hives, without any changes. */
  rebase(base: RegistryBase): void {
    this.#become(base, [])
  }

  close(): void {
    this.#journal.close()
  }

  #become(base: RegistryBase, changes: RegistryChange[]): void {
    const [oldBase, oldRegistry] = [this.#base, this.#registry]
    this.#base = base
    try {
      this.#registry = this.#open(changes)
      this.compact()
    } catch (error) {
      this.#base = oldBase
      this.#registry = oldRegistry
      throw error
    }
  }

  #open(changes: RegistryChange[]): Registry {
    const { bases, limits } = this.options
    return build(this.#base, bases, changes, limits, (change) => this.#keep(change))
  }

  /** What a guest writes without ever asking for it to be safe must not fill the memory, nor the disk. */
  #keep(change: RegistryChange): void {
    for (const record of changeRecords(change)) {
      this.#journal.append(record)
      this.#pending += record.byteLength
    }
    if (this.#pending < PENDING_MOST) return
    this.#pending = 0
    if (this.#grown()) this.compact()
    else this.#journal.commitNow()
  }

  #grown(): boolean {
    return this.#journal.bytes > COMPACT_FROM && this.#journal.bytes > 2 * this.#compacted
  }

  *#records(): Generator<Uint8Array> {
    yield headRecord(this.#base)
    const untouched = build(this.#base, this.options.bases, [])
    const { differences } = diffRegistries(untouched, this.#registry, { times: true })
    for (const change of changesOf(differences, this.#registry.now())) yield* changeRecords(change)
  }
}

const file = (folder: string) => path.join(folder, FILE)

function build(
  base: RegistryBase,
  bases: BaseHives,
  changes: RegistryChange[],
  limits = LAYER_LIMITS,
  onChange?: (change: RegistryChange) => void,
): Registry {
  const registry = new Registry({
    hives: base.hives.map(({ at, id }) => ({ at, hive: bases.get(id) })),
    user: base.user,
    // what was once kept is kept, even when it takes up more now
    limits: { bytes: Infinity, entries: Infinity },
    ...(onChange ? { onChange } : {}),
  })
  for (const change of changes) registry.tree.apply(change)
  registry.tree.use.limits = limits
  return registry
}

function readStored(folder: string, key: StoreKey): { base: RegistryBase; changes: RegistryChange[] } {
  if (!existsSync(file(folder))) throw new VmmError('not-found', `There is no registry in ${folder}.`)
  const read = new StoredChanges()
  Journal.open(file(folder), key, (record) => read.record(record)).close()
  if (!read.base) throw new VmmError('damaged', `The registry in ${folder} has no beginning.`)
  return { base: read.base, changes: read.changes }
}

function headRecord(base: RegistryBase): Uint8Array {
  return Buffer.from(JSON.stringify(base))
}

/** What a journal holds: the base first, then changes. */
class StoredChanges {
  base: RegistryBase | null = null
  readonly changes: RegistryChange[] = []
  readonly #reader = new ChangeReader()

  record(record: Uint8Array): void {
    if (!this.base) {
      this.base = JSON.parse(Buffer.from(record).toString()) as RegistryBase
      return
    }
    const change = this.#reader.read(record)
    if (change) this.changes.push(change)
  }
}
