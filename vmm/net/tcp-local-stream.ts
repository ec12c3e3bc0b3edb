import { Duplex } from 'node:stream'

/** Two ends of a connection within the process: what is written to one is read from the other. */
export function localStreams(): [Duplex, Duplex] {
  const one = new LocalEnd()
  const other = new LocalEnd()
  one.peer = other
  other.peer = one
  return [one, other]
}

class LocalEnd extends Duplex {
  peer: LocalEnd | null = null
  /** Ends the write that the other end has not read yet. */
  #taken: (() => void) | null = null

  override _read(): void {
    const taken = this.#taken
    this.#taken = null
    taken?.()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.peer?.receive(chunk, done)
  }

  override _final(done: () => void): void {
    this.peer?.push(null)
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // gone without an end: so is the other one
    if (this.peer && !this.peer.destroyed && !this.writableFinished) this.peer.destroy()
    done(error)
  }

  receive(chunk: Buffer, done: () => void): void {
    if (this.push(chunk)) done()
    else this.#taken = done
  }
}
