/** Which slots of a data file are taken. Free ones are handed out in runs, so that large writes stay in one piece. */
export class SlotMap {
  #taken = Buffer.alloc(64)
  /** Slots that the file has room for. */
  #end = 0
  #free = 0
  #next = 0

  get end(): number {
    return this.#end
  }

  take(slot: number): void {
    if (slot >= this.#end) this.#extend(slot + 1)
    const byte = slot >> 3
    if (this.isTaken(slot)) return
    this.#taken[byte] = (this.#taken[byte] ?? 0) | (1 << (slot & 7))
    this.#free--
  }

  isTaken(slot: number): boolean {
    return ((this.#taken[Math.floor(slot / 8)] ?? 0) & (1 << (slot & 7))) !== 0
  }

  release(slot: number): void {
    const byte = Math.floor(slot / 8)
    this.#taken[byte] = (this.#taken[byte] ?? 0) & ~(1 << (slot & 7))
    this.#free++
  }

  /** Takes up to `wanted` slots in a row. */
  allocate(wanted: number): { slot: number; count: number } {
    const slot = this.#free === 0 ? this.#end : this.#findFree()
    let count = 0
    while (count < wanted && (slot + count >= this.#end || !this.isTaken(slot + count))) {
      this.take(slot + count)
      count++
    }
    this.#next = slot + count
    return { slot, count }
  }

  /** Gives up free slots at the end; returns whether there were any. */
  trim(): boolean {
    const before = this.#end
    while (this.#end > 0 && !this.isTaken(this.#end - 1)) {
      this.#end--
      this.#free--
    }
    return this.#end < before
  }

  #findFree(): number {
    if (this.#next >= this.#end) this.#next = 0
    for (let slot = this.#next; ;) {
      if (!this.isTaken(slot)) return slot
      slot = (slot & 7) === 0 && this.#taken[slot / 8] === 0xff ? slot + 8 : slot + 1
      if (slot >= this.#end) slot = 0
    }
  }

  #extend(end: number): void {
    if (Math.ceil(end / 8) > this.#taken.length) {
      const larger = Buffer.alloc(Math.max(Math.ceil(end / 8), this.#taken.length * 2))
      larger.set(this.#taken)
      this.#taken = larger
    }
    this.#free += end - this.#end
    this.#end = end
  }
}
