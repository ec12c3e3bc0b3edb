/** A batch goes out when it is this large … */
const BATCH_BYTES = 16 * 1024
/** … or this old, milliseconds. */
const BATCH_MS = 4

/** Gathers the bytes that v86 hands over one by one into batches. */
export class SerialBatch {
  #buffer = new Uint8Array(BATCH_BYTES)
  #filled = 0
  #timer: NodeJS.Timeout | null = null

  constructor(private readonly flushTo: (bytes: Uint8Array) => void) {}

  add(byte: number): void {
    this.#buffer[this.#filled++] = byte
    if (this.#filled === BATCH_BYTES) this.flush()
    else this.#timer ??= setTimeout(() => this.flush(), BATCH_MS)
  }

  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#filled === 0) return
    const batch = this.#buffer.slice(0, this.#filled)
    this.#filled = 0
    this.flushTo(batch)
  }
}
