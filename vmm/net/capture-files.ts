import { open, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { asVmmError } from '../model/errors'
import { wholeBlocks, type BlockSpace } from './pcapng'

/** Blocks that go to one file in one write. */
export interface CaptureChunk extends BlockSpace {
  used: number
  frames: number
  /** A file of its own begins with it. */
  beginsFile: boolean
}

export interface CaptureFile {
  name: string
  bytes: number
}

export interface CaptureFilesOptions {
  /** Absolute; it is there, and nothing else writes captures to it. */
  folder: string
  /** Keeps the newest so many files; 0: all. */
  files: number
  /** The chunk may be used again; so many of its frames are in the file. */
  written(chunk: CaptureChunk, frames: number): void
  /** The disk refused; nothing is written any more. */
  failed(reason: string): void
}

/**
 * Writes chunks, one after the other, to files that it numbers. When the disk refuses, the file is cut back to its last
 * whole block and nothing is written any more; what comes later is dropped.
 */
export class CaptureFiles {
  /** Oldest first; without those that made room for newer ones. */
  readonly files: CaptureFile[] = []
  /** In all files, also those that are gone. */
  bytes = 0
  readonly #waiting: CaptureChunk[] = []
  #working: Promise<void> | null = null
  #open: { readonly handle: FileHandle; readonly file: CaptureFile } | null = null
  #count = 0
  #failed = false

  constructor(private readonly options: CaptureFilesOptions) {}

  push(chunk: CaptureChunk): void {
    this.#waiting.push(chunk)
    this.#working ??= this.#work().finally(() => (this.#working = null))
  }

  /** Once all that was pushed has been written, or given up. */
  async close(): Promise<void> {
    await this.#working
    await this.#closeFile()
  }

  async #work(): Promise<void> {
    for (let chunk = this.#waiting.shift(); chunk; chunk = this.#waiting.shift()) {
      this.options.written(chunk, this.#failed ? 0 : await this.#write(chunk))
    }
  }

  /** How many frames of the chunk are in the file. */
  async #write(chunk: CaptureChunk): Promise<number> {
    let written = 0
    try {
      if (chunk.beginsFile) await this.#nextFile()
      const { handle, file } = this.#open!
      while (written < chunk.used) {
        const { bytesWritten } = await handle.write(chunk.bytes, written, chunk.used - written, file.bytes + written)
        written += bytesWritten
      }
      this.#grow(chunk.used)
      return chunk.frames
    } catch (error) {
      return this.#giveUp(chunk, written, error)
    }
  }

  async #giveUp(chunk: CaptureChunk, written: number, error: unknown): Promise<number> {
    this.#failed = true
    const whole = wholeBlocks(chunk, written)
    this.#grow(whole.bytes)
    await this.#open?.handle.truncate(this.#open.file.bytes).catch(() => {})
    await this.#closeFile()
    const { message, hint } = asVmmError(error, 'write the capture')
    this.options.failed(hint ? `${message} ${hint}` : message)
    return whole.packets
  }

  #grow(bytes: number): void {
    this.bytes += bytes
    if (this.#open) this.#open.file.bytes += bytes
  }

  async #nextFile(): Promise<void> {
    await this.#closeFile()
    const name = `capture-${String(++this.#count).padStart(5, '0')}.pcapng`
    const handle = await open(join(this.options.folder, name), 'wx', 0o600)
    const file = { name, bytes: 0 }
    this.#open = { handle, file }
    this.files.push(file)
    while (this.options.files > 0 && this.files.length > this.options.files) {
      await rm(join(this.options.folder, this.files.shift()!.name), { force: true })
    }
  }

  async #closeFile(): Promise<void> {
    const { handle } = this.#open ?? {}
    this.#open = null
    await handle?.close().catch(() => {})
  }
}
