/** Chunks below this are gathered when others wait before them: a host that writes bytes one by one fills no memory. */
const SMALL_CHUNK = 1024
const GATHERED_BYTES = 4096

interface Chunk {
  data: Buffer
  /** Place of its first byte since the connection began. */
  start: number
  bytes: number
  /** Whether `data` is the queue's own and may have room after `bytes`. */
  gathered: boolean
}

/** What is to reach the guest, from the first byte that it has not acknowledged on. */
export class SendQueue {
  #chunks: Chunk[] = []
  /** Places since the connection began, bytes: the first not acknowledged, and the one after the last. */
  #first = 0
  #end = 0

  get bytes(): number {
    return this.#end - this.#first
  }

  push(data: Buffer): void {
    const bytes = data.length
    const last = this.#chunks.at(-1)
    if (last && bytes < SMALL_CHUNK) {
      if (last.gathered && last.bytes + bytes <= GATHERED_BYTES) {
        data.copy(last.data, last.bytes)
        last.bytes += bytes
      } else {
        const own = Buffer.allocUnsafeSlow(GATHERED_BYTES)
        data.copy(own)
        this.#chunks.push({ data: own, start: this.#end, bytes, gathered: true })
      }
    } else if (bytes > 0) {
      this.#chunks.push({ data, start: this.#end, bytes, gathered: false })
    }
    this.#end += bytes
  }

  /** Lets go of the first `bytes`. */
  drop(bytes: number): void {
    this.#first += bytes
    let whole = 0
    for (const chunk of this.#chunks) {
      if (chunk.start + chunk.bytes > this.#first) break
      whole++
    }
    if (whole > 0) this.#chunks.splice(0, whole)
  }

  /** Copies `bytes` from `offset` after the first one to `at` in `target`. */
  copy(offset: number, bytes: number, target: Buffer, at: number): void {
    let place = this.#first + offset
    const end = place + bytes
    for (let index = this.#indexOf(place); place < end; index++) {
      const chunk = this.#chunks[index] as Chunk
      const from = place - chunk.start
      const to = Math.min(chunk.bytes, end - chunk.start)
      chunk.data.copy(target, at + bytes - (end - place), from, to)
      place = chunk.start + to
    }
  }

  clear(): void {
    this.#chunks = []
    this.#first = this.#end
  }

  /** The chunk that holds the byte at `place`, by halving. */
  #indexOf(place: number): number {
    let low = 0
    let high = this.#chunks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#chunks[middle] as Chunk).start <= place) low = middle
      else high = middle - 1
    }
    return low
  }
}
