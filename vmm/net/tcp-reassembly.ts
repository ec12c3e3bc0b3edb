import { distance, isBefore, plus } from './tcp-sequence'
import { SACK_BLOCKS_MOST } from './tcp-segment'

interface Piece {
  from: number
  end: number
  data: Buffer
  /** The higher, the later the guest sent something that lies here. */
  touched: number
}

type Run = Omit<Piece, 'data'>

/** Pieces of one connection; what comes in crumbs beyond that has to come again. */
const PIECES_MOST = 1024
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
    const newest: Run[] = []
    let run: Run | undefined
    for (const piece of this.#pieces) {
      if (run?.end === piece.from) {
        run.end = piece.end
        run.touched = Math.max(run.touched, piece.touched)
      } else {
        if (run) rank(newest, run)
        run = { from: piece.from, end: piece.end, touched: piece.touched }
      }
    }
    if (run) rank(newest, run)
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

/** Puts `run` to its place among the newest, if it is one of them. */
function rank(newest: Run[], run: Run): void {
  if (newest.length === SACK_BLOCKS_MOST && run.touched < (newest.at(-1) as Run).touched) return
  const place = newest.findIndex(({ touched }) => touched < run.touched)
  newest.splice(place < 0 ? newest.length : place, 0, run)
  newest.length = Math.min(newest.length, SACK_BLOCKS_MOST)
}
