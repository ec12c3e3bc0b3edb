/** How many entries may be spent before the list is moved together. */
const SPENT_MOST = 256

/** First in, first out; knows how many bytes wait in it. */
export class FrameQueue<T extends { readonly frame: Buffer }> {
  bytes = 0
  #entries: T[] = []
  #spent = 0

  get length(): number {
    return this.#entries.length - this.#spent
  }

  get head(): T | undefined {
    return this.#entries[this.#spent]
  }

  push(entry: T): void {
    this.bytes += entry.frame.length
    this.#entries.push(entry)
  }

  shift(): T | undefined {
    const entry = this.head
    if (!entry) return undefined
    this.bytes -= entry.frame.length
    this.#spent++
    if (this.#spent === this.#entries.length || this.#spent > SPENT_MOST) {
      this.#entries = this.#entries.slice(this.#spent)
      this.#spent = 0
    }
    return entry
  }

  clear(): void {
    this.#entries = []
    this.#spent = 0
    this.bytes = 0
  }
}
