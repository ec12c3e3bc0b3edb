import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { VmmError } from '../model/errors'
import type { Below } from '../sealed/blob'

/** A raw image that volumes lie upon; it is only read. */
export class RawBase implements Below {
  readonly size: number
  readonly #descriptor: number

  /** Throws kind `damaged` when the file is shorter than `bytes`. */
  constructor(file: string, bytes: number) {
    this.#descriptor = openSync(file, 'r')
    this.size = fstatSync(this.#descriptor).size
    if (this.size >= bytes) return
    closeSync(this.#descriptor)
    throw new VmmError('damaged', 'The disk image is shorter than it was when it was imported.', {
      hint: 'Import the image again.',
      context: { file },
    })
  }

  read(position: number, into: Uint8Array): number {
    let done = 0
    while (done < into.byteLength) {
      const count = readSync(this.#descriptor, into, done, into.byteLength - done, position + done)
      if (count === 0) break
      done += count
    }
    return done
  }

  close(): void {
    closeSync(this.#descriptor)
  }
}
