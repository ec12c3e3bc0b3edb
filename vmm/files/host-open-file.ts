import fs from 'node:fs'
import { promisify } from 'node:util'
import { asFileError, onHost } from './host-node'
import type { OpenFile } from './provider'

const fsync = promisify(fs.fsync)
const fdatasync = promisify(fs.fdatasync)

/** A regular file of the host, open by descriptor: it goes on without its name. */
export class HostOpenFile implements OpenFile {
  #syncs = 0
  #closed = false

  constructor(
    private readonly fd: number,
    private readonly written: () => void,
  ) {}

  read(position: number, into: Uint8Array): number {
    return onHost(() => {
      let done = 0
      while (done < into.length) {
        const count = fs.readSync(this.fd, into, done, into.length - done, position + done)
        if (count === 0) break
        done += count
      }
      return done
    })
  }

  write(position: number, data: Uint8Array): void {
    this.written()
    onHost(() => {
      for (let done = 0; done < data.length;)
        done += fs.writeSync(this.fd, data, done, data.length - done, position + done)
    })
  }

  /** Bytes. */
  resize(size: number): void {
    onHost(() => fs.ftruncateSync(this.fd, size))
  }

  async sync(dataOnly: boolean): Promise<void> {
    this.#syncs++
    try {
      await (dataOnly ? fdatasync : fsync)(this.fd)
    } catch (error) {
      throw asFileError(error)
    } finally {
      this.#syncs--
      this.#end()
    }
  }

  close(): void {
    this.#closed = true
    this.#end()
  }

  /** A descriptor is not given back while the host still syncs it. */
  #end(): void {
    if (this.#closed && this.#syncs === 0) fs.closeSync(this.fd)
  }
}
