import { ChunkMap } from './chunk-map'
import { encodeChunks, type ChunkRecord, type Extent } from './chunk-records'
import type { SlotMap } from './slot-map'

/** What a flush found changed. */
export interface Taken {
  readonly flush: number
  readonly chunks: readonly number[]
  readonly map: ChunkMap
  readonly extent: Extent | null
}

/** What changed in a blob since its owner's journal last heard of it, and which slots that will free. */
export class BlobChanges {
  #chunks = new Set<number>()
  #resized = false
  /** Slots that the owner's journal, or a flush under way, still names. */
  #freed: number[] = []
  /** The same of earlier flushes that were not committed yet. */
  readonly #limbo: { flush: number; slots: number[] }[] = []
  /** Flushes that wait for the disk, in their order. */
  readonly #waiting: Taken[] = []
  #flushes = 0

  get any(): boolean {
    return this.#resized || this.#chunks.size > 0
  }

  resized(): void {
    this.#resized = true
  }

  /** The chunk is not in `slot` (or -1) any more. A slot that no journal names can be used again at once. */
  moved(chunk: number, slot: number, slots: SlotMap): void {
    if (slot >= 0 && this.#chunks.has(chunk)) slots.release(slot)
    else if (slot >= 0) this.#freed.push(slot)
    this.#chunks.add(chunk)
  }

  /** Begins a flush: what is in `map` now. */
  take(map: ChunkMap, extent: Extent): Taken {
    const chunks = [...this.#chunks].sort((a, b) => a - b)
    const copy = new ChunkMap()
    for (const chunk of chunks) {
      const state = map.state(chunk)
      if (state === 'stored') copy.store(chunk, map.stored(chunk))
      else copy.mark(chunk, state)
    }
    const taken = { flush: ++this.#flushes, chunks, map: copy, extent: this.#resized ? { ...extent } : null }
    this.#limbo.push({ flush: taken.flush, slots: this.#freed })
    this.#waiting.push(taken)
    this.#chunks = new Set()
    this.#freed = []
    this.#resized = false
    return taken
  }

  /** The disk has what was taken, and so what was taken before: the records of all that, in their order. */
  *kept({ flush }: Taken): Generator<ChunkRecord> {
    for (let taken = this.#waiting[0]; taken && taken.flush <= flush; taken = this.#waiting[0]) {
      this.#waiting.shift()
      yield* encodeChunks(taken.extent, taken.chunks, taken.map)
    }
  }

  /** The owner has committed what was taken, and so what was taken before: the slots that are free by that. */
  committed({ flush }: Taken): number[] {
    let slots: number[] = []
    while (this.#limbo[0] && this.#limbo[0].flush <= flush) slots = slots.concat(this.#limbo.shift()?.slots ?? [])
    return slots
  }
}
