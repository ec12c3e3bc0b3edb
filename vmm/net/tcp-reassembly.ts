import { distance, isBefore, plus } from './tcp-sequence'
import { SACK_BLOCKS_MOST } from './tcp-segment'

interface Piece {
  from: number
  end: number
  data: Buffer
  /** The higher, the later the guest sent something that lies here. */
  touched: number
}

/** Pieces of one connection; what comes in crumbs beyond that has to come again. */
const PIECES_MOST = 2048
/** What a piece takes besides its bytes. */
const PIECE_COST = 256

/** What came before its turn, kept until the hole before it is filled. The pieces are copies. (RFC 9293, 3.10.7.4) */
export class Reassembly {
  /** In order, none upon another. */
  #pieces: Piece[] = []
  #touches = 0
  /** Memory that it takes, bytes. */
  held = 0

  get empty(): boolean {
    return this.#pieces.length === 0
  }

  /** Keeps what is new of the bytes from `sequence` on, as far as there is place. */
  add(sequence: number, buffer: Buffer, at: number, end: number): void {
    const touched = ++this.#touches
    const last = plus(sequence, end - at)
    let from = sequence
    for (let index = this.#firstAfter(sequence); isBefore(from, last); index++) {
      const next = this.#pieces[index]
      if (next && !isBefore(from, next.from)) {
        next.touched = touched
        from = next.end
        continue
      }
      if (this.#pieces.length >= PIECES_MOST) return
      const until = next && isBefore(next.from, last) ? next.from : last
      const data = Buffer.allocUnsafeSlow(distance(from, until))
      buffer.copy(data, 0, at + distance(sequence, from), at + distance(sequence, until))
      this.#pieces.splice(index, 0, { from, end: until, data, touched })
      this.held += data.length + PIECE_COST
      from = until
    }
  }

  /** Takes out the bytes from `sequence` on as far as the first piece has them; null when a hole comes first. */
  take(sequence: number): Buffer | null {
    for (let first = this.#pieces[0]; first && !isBefore(sequence, first.from); first = this.#pieces[0]) {
      this.#pieces.shift()
      this.held -= first.data.length + PIECE_COST
      if (isBefore(sequence, first.end)) return first.data.subarray(distance(first.from, sequence))
    }
    return null
  }

  /** What there is without a hole, as pairs of edges, the newest first and at most so many as an option takes. */
  blocks(): number[] {
    const runs: { from: number; end: number; touched: number }[] = []
    for (const { from, end, touched } of this.#pieces) {
      const run = runs.at(-1)
      if (run?.end === from) {
        run.end = end
        run.touched = Math.max(run.touched, touched)
      } else runs.push({ from, end, touched })
    }
    const newest = runs.sort((one, other) => other.touched - one.touched).slice(0, SACK_BLOCKS_MOST)
    return newest.flatMap(({ from, end }) => [from, end])
  }

  clear(): void {
    this.#pieces = []
    this.held = 0
  }

  /** The first piece that ends after `sequence`, by halving; their number when there is none. */
  #firstAfter(sequence: number): number {
    let low = 0
    let high = this.#pieces.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (isBefore(sequence, (this.#pieces[middle] as Piece).end)) high = middle
      else low = middle + 1
    }
    return low
  }
}
