import { fstatSync, openSync, readSync } from 'node:fs'

/** A CD-ROM image as v86 wants it: read in place, never written, not part of the machine's state. */
export class ReadOnlyMedium {
  readonly byteLength: number
  onload: ((event: object) => void) | undefined
  readBytes = 0
  readOps = 0
  readonly #file: number

  constructor(path: string) {
    this.#file = openSync(path, 'r')
    this.byteLength = fstatSync(this.#file).size
  }

  load(): void {
    this.onload?.({})
  }

  get(offset: number, length: number, done: (data: Uint8Array) => void): void {
    this.readBytes += length
    this.readOps++
    done(this.get_from_cache(offset, length))
  }

  get_from_cache(offset: number, length: number): Uint8Array {
    const data = Buffer.alloc(length)
    readSync(this.#file, data, 0, length, offset)
    return data
  }

  get_and_cache(offset: number, length: number, done: (data: Uint8Array) => void): void {
    done(this.get_from_cache(offset, length))
  }

  /** v86 refuses writes to a CD-ROM before they come here. */
  set(_offset: number, _data: Uint8Array, done: () => void): void {
    done()
  }

  get_state(): unknown[] {
    return [this.byteLength]
  }

  set_state(): void {}
}
