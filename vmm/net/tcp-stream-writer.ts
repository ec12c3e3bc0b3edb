import type { Duplex } from 'node:stream'

/** Blocks that bytes are gathered in: the least, for a guest that sends crumbs, and the most. */
const BLOCK_LEAST = 2048
const BLOCK_MOST = 64 * 1024

/**
 * Gathers what a guest sent in a burst, so that it goes to the host in one write, and whatever comes while the host
 * is slow: one write at a time is with the stream. The frames themselves are not kept.
 */
export class StreamWriter {
  /** Full blocks but the last; `#fill` is how much of that is used. */
  #blocks: Buffer[] = []
  #fill = 0
  /** Size of the next block: bursts are like the one before. */
  #blockBytes = BLOCK_LEAST
  #gathered = 0
  #finishing = false

  /** `drained` is called when a write that did not go at once has gone. */
  constructor(
    private readonly stream: Duplex,
    private readonly drained: () => void,
  ) {}

  /** Bytes that the host has not taken yet. */
  get pending(): number {
    return this.#gathered + this.stream.writableLength
  }

  push(buffer: Buffer, at: number, end: number): void {
    let from = at
    while (from < end) {
      let block = this.#blocks.at(-1)
      if (!block || this.#fill === block.length) {
        if (block) this.#blockBytes = Math.min(this.#blockBytes * 2, BLOCK_MOST)
        block = Buffer.allocUnsafe(this.#blockBytes)
        this.#blocks.push(block)
        this.#fill = 0
      }
      const bytes = buffer.copy(block, this.#fill, from, end)
      this.#fill += bytes
      from += bytes
    }
    this.#gathered += end - at
  }

  /** Hands on what was gathered, as far as the stream takes it at once. */
  flush(): void {
    if (this.#gathered > 0 && this.#blocks.length === 1 && this.#fill < this.#blockBytes / 4)
      this.#blockBytes = Math.max(this.#blockBytes / 2, BLOCK_LEAST)
    while (this.#gathered > 0 && this.stream.writableLength === 0 && !this.stream.destroyed) this.#writeBlock()
    if (this.#finishing && this.#gathered === 0 && !this.stream.writableEnded) this.stream.end()
  }

  /** Ends the stream after all that was pushed. */
  finish(): void {
    this.#finishing = true
  }

  #writeBlock(): void {
    const block = this.#blocks.shift() as Buffer
    const data = this.#blocks.length === 0 ? block.subarray(0, this.#fill) : block
    this.#gathered -= data.length
    this.stream.write(data, this.#written)
  }

  readonly #written = (error?: Error | null): void => {
    if (error || this.stream.writableLength > 0) return
    const waited = this.#gathered > 0
    this.flush()
    if (waited) this.drained()
  }
}
