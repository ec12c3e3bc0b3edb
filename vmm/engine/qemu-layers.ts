import { mkdir, readdir, rm, statfs } from 'node:fs/promises'
import { VmmError } from '../model/errors'
import { chainOfKind, type LayerKind } from './layer-kind'
import type { DiskSpec } from './machine-spec'
import { requireBase } from './qemu-layer-content'
import {
  newId,
  newLayerRecord,
  readLayerRecord,
  writeLayerRecord,
  type LayerRecord,
  type OpenLayer,
} from './qemu-layer-record'
import { LayerUse, type Reach } from './qemu-layer-use'
import { Qcow2Layers } from './qemu-overlay'

/**
 * Copy-on-write disks: those of the QEMU engine, and volumes. A domain's layer is a small record that names content
 * files in one folder for all domains. A file that two records have come to share is never written again: whoever goes on gets
 * a new one on top. So a snapshot or a linked clone copies nothing, and reverting or deleting one cannot harm another.
 */
export class LayerStore {
  readonly #use = new LayerUse()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly folder: string,
    private readonly kind: LayerKind = new Qcow2Layers(folder),
  ) {}

  /** Makes the layer ready to be written, creating and growing what is missing. `owner` is the machine's domain. */
  open(disk: DiskSpec, owner: string): Promise<OpenLayer> {
    return this.#inTurn(async () => {
      await requireBase(disk)
      const record = (await readLayerRecord(disk.layer)) ?? newLayerRecord(disk)
      const top = record.top ?? (await this.#newTop(record, disk))
      if (disk.bytes > record.bytes) await this.kind.grow(top, disk.bytes)
      const opened = {
        ...record,
        top,
        parent: null,
        next: null,
        bytes: Math.max(record.bytes, disk.bytes),
        unclean: true,
      }
      await this.#write(disk.layer, opened)
      const files = await chainOfKind(this.kind, top)
      this.#use.opened(owner, files)
      return { files: files.map((file) => this.kind.path(file)), base: record.overBase ? disk.base : null }
    })
  }

  /** Takes over the files that a machine of an earlier main has open. */
  async adopt(layers: readonly string[], owner: string): Promise<void> {
    for (const layer of layers) {
      const record = await readLayerRecord(layer)
      const reach = record && (await this.#reach(record))
      if (reach) this.#use.opened(owner, reach.files)
      else this.#use.lose()
    }
  }

  /** The machine is gone, however it ended; `clean` is for one that closed its files itself. */
  async closed(layers: readonly string[], owner: string, clean: boolean): Promise<void> {
    this.#use.closed(owner)
    if (clean) {
      for (const layer of layers) {
        await this.#inTurn(async () => {
          const record = await readLayerRecord(layer)
          if (record) await this.#write(layer, { ...record, unclean: false })
        }).catch(() => undefined) // as after a crash, the next start looks whether it is sound
      }
    }
    await this.#inTurn(() => this.#mergeAll())
  }

  /** Freezes what `from` holds and lets `to` name it too. Nobody may have `from` open. */
  copy(from: string, to: string): Promise<void> {
    return this.#inTurn(async () => {
      const record = await readLayerRecord(from)
      if (!record) throw missing(from)
      if (record.top !== null) await this.#write(from, { ...record, top: null, parent: record.top })
      await this.#write(to, { ...record, id: newId(), top: null, parent: record.top ?? record.parent })
    })
  }

  /**
   * For a machine that runs: a new, empty file on top of the one it writes to. Until `commit` or `settle` the record
   * names both, which is true whichever of them the machine writes to.
   */
  prepare(layer: string, owner: string): Promise<string> {
    return this.#inTurn(async () => {
      const record = await this.#require(layer)
      if (record.top === null || record.next !== null) {
        throw new VmmError('internal', 'The layer is not one that a machine writes to, or is being moved already.')
      }
      const next = newId()
      await this.kind.create(next, { bytes: record.bytes, parent: record.top, base: null })
      await this.#write(layer, { ...record, next })
      this.#use.opened(owner, [next])
      return this.kind.path(next)
    })
  }

  /** The machine writes to the new file now: `to` gets what the old one holds. */
  commit(layer: string, to: string): Promise<void> {
    return this.#inTurn(async () => {
      const record = await this.#require(layer)
      const frozen = record.top
      await this.#write(layer, { ...record, top: record.next, next: null })
      await this.#write(to, { ...record, id: newId(), top: null, parent: frozen, next: null, unclean: false })
    })
  }

  /** The machine has grown its disk. */
  grown(layer: string, bytes: number): Promise<void> {
    return this.#inTurn(async () => this.#write(layer, { ...(await this.#require(layer)), bytes }))
  }

  /** The new file of a layer whose machine may write to it or to the old one; null when nothing was begun. */
  async pending(layer: string): Promise<string | null> {
    const next = (await readLayerRecord(layer, { raw: true }))?.next ?? null
    return next === null ? null : this.kind.path(next)
  }

  /** The machine writes to the new file, as after `commit` that nobody asked for a copy by, or still to the old one. */
  settle(layer: string, moved: boolean): Promise<void> {
    return this.#inTurn(async () => {
      const record = await this.#require(layer)
      await this.#write(layer, { ...record, top: moved ? record.next : record.top, next: null })
      if (!moved && record.next !== null) await this.kind.remove(record.next)
    })
  }

  /** Puts a record in the place of the one that is there, or of none. */
  put(layer: string, record: LayerRecord): Promise<void> {
    return this.#inTurn(async () => {
      const replaced = await readLayerRecord(layer)
      await this.#write(layer, record)
      if (replaced && replaced.id !== record.id) await this.#forget(replaced)
    })
  }

  remove(layer: string): Promise<void> {
    return this.#inTurn(async () => {
      const record = await readLayerRecord(layer, { raw: true }).catch(() => null) // what cannot be read owns nothing
      await rm(layer, { force: true })
      if (record) await this.#forget(record)
    })
  }

  /** Learns of every record there is, and removes the files that none of them leads to. */
  sweep(layers: readonly string[]): Promise<void> {
    return this.#inTurn(async () => {
      const records = new Map<string, Reach>()
      for (const layer of layers) {
        const record = await readLayerRecord(layer, { raw: true }).catch(() => undefined)
        const reach = record && (await this.#reach(record))
        // what an unreadable record or header names is not known, so nothing may be removed
        if (record === undefined || (record && !reach)) {
          this.#use.lose()
          return
        }
        if (record && reach) records.set(record.id, reach)
      }
      this.#use.tellAll(records)
      await this.#removeFree(() => true)
      await this.#mergeAll()
    })
  }

  async #newTop(record: LayerRecord, disk: DiskSpec): Promise<string> {
    const top = newId()
    await mkdir(this.folder, { recursive: true, mode: 0o700 })
    const base = record.overBase ? disk.base : null
    await this.kind.create(top, { bytes: Math.max(record.bytes, disk.bytes), parent: record.parent, base })
    return top
  }

  /** Null where a file cannot be read, and what lies below it is not known. */
  async #reach({ top, parent, next, kept }: LayerRecord): Promise<Reach | null> {
    const heads = [top, parent, next, ...kept].filter((head) => head !== null)
    try {
      const chains = await Promise.all(heads.map((head) => chainOfKind(this.kind, head)))
      return { heads, files: [...new Set(chains.flat())] }
    } catch {
      return null
    }
  }

  async #forget(record: LayerRecord): Promise<void> {
    if (!this.#use.isComplete) return
    const candidates = this.#use.forget(record.id)
    await this.#removeFree((file) => candidates.includes(file))
    await this.#mergeAll()
  }

  /** Removes those of the files in question that nobody needs, and what was not finished of them. */
  async #removeFree(inQuestion: (file: string) => boolean): Promise<void> {
    for (const name of await readdir(this.folder).catch(() => [])) {
      const id = this.kind.idOf(name)
      if (id === null || !inQuestion(id) || this.#use.isNeeded(id)) continue
      await this.kind.remove(id)
    }
  }

  /**
   * A file that no record names and that has but one file upon it is taken up by that one. A crash in between costs
   * nothing: until it is removed, the lower file is only covered. What cannot be merged now, as when somebody reads it
   * or the disk is full, is merged another time: it is a matter of room, and no reason for anything else to fail.
   */
  async #mergeAll(): Promise<void> {
    if (!this.#use.isComplete) return
    const failed = new Set<string>()
    for (let pair = await this.#mergeable(failed); pair; pair = await this.#mergeable(failed)) {
      try {
        await this.#requireRoom(pair.lower)
        await this.kind.merge(pair.upper, pair.lower)
        this.#use.drop(pair.lower)
        await this.kind.remove(pair.lower)
      } catch {
        failed.add(pair.lower)
      }
    }
  }

  async #mergeable(failed: ReadonlySet<string>): Promise<{ upper: string; lower: string } | null> {
    const upon = new Map<string, string[]>()
    for (const file of this.#use.files()) {
      const below = await this.kind.parentOf(file).catch(() => null) // damaged: it stays as it is
      if (below !== null) upon.set(below, [...(upon.get(below) ?? []), file])
    }
    for (const [lower, [upper, ...others]] of upon) {
      const busy = this.#use.isHead(lower) || this.#use.isOpen(lower) || failed.has(lower)
      if (upper !== undefined && others.length === 0 && !busy && !this.#use.isOpen(upper)) return { upper, lower }
    }
    return null
  }

  async #write(layer: string, record: LayerRecord): Promise<void> {
    await writeLayerRecord(layer, record)
    if (!this.#use.isComplete) return
    const reach = await this.#reach(record)
    if (reach) this.#use.tell(record.id, reach)
    else this.#use.lose()
  }

  async #require(layer: string): Promise<LayerRecord> {
    const record = await readLayerRecord(layer, { raw: true })
    if (record) return record
    throw missing(layer)
  }

  /** A merge needs as much room as the lower file takes up, for a while; without it, it would fill the disk. */
  async #requireRoom(lower: string): Promise<void> {
    const [bytes, { bavail, bsize }] = await Promise.all([this.kind.bytes(lower), statfs(this.folder)])
    if (bytes < bavail * bsize) return
    throw new VmmError('disk-full', 'There is no room to merge the disk.', { hint: 'Free some space.' })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}

function missing(layer: string): VmmError {
  return new VmmError('damaged', 'The disk of the domain is missing.', {
    hint: 'Revert to a snapshot.',
    context: { layer },
  })
}
