import { closeSync, fdatasync, fdatasyncSync, ftruncateSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { writeWholeSync } from '../engine/whole-writes'
import { errorCode, VmmError } from '../model/errors'
import { FRAME_ENOUGH, newAnchor, newFrame, newHeader, RECORD_MOST, START, type Position } from './journal-format'
import { readJournal } from './journal-reader'
import type { FileKey, StoreKey } from './store-key'
import { SharedTurn } from './shared-turn'
import { syncFolderNow } from './sync-folder-now'

const syncData = promisify(fdatasync)

/**
 * Records in the order in which they were appended, sealed. What was committed outlives the process and the host; of
 * what was not, there is a beginning, or nothing. Opening refuses anything that was changed, moved, replayed, or cut off
 * before what is known to have been committed.
 */
export class Journal {
  #records: Uint8Array[] = []
  #recordBytes = 0
  readonly #commits = new SharedTurn(() => this.#commit())
  #broken: unknown = null

  private constructor(
    private readonly file: string,
    private readonly store: StoreKey,
    private descriptor: number,
    private key: FileKey,
    /** After the last frame that was written. */
    private position: Position,
    /** After the last frame that is known to be on the disk. */
    private durable: Position,
    private turn: number,
  ) {}

  /**
   * Opens the journal, or makes it when there is no file, and hands every record to `replay`; they may be kept. Throws
   * kind `damaged`, naming the file.
   */
  static open(file: string, key: StoreKey, replay: (record: Uint8Array) => void): Journal {
    rmSync(partial(file), { force: true })
    let descriptor: number
    try {
      descriptor = openSync(file, 'r+')
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      const made = write(file, key, [])
      return new Journal(file, key, made.descriptor, made.key, made.position, made.position, 1)
    }
    try {
      const read = readJournal(descriptor, file, key, replay)
      if (read.torn) {
        ftruncateSync(descriptor, read.position.length)
        fdatasyncSync(descriptor)
      }
      return new Journal(file, key, descriptor, read.key, read.position, read.anchored, read.turn)
    } catch (error) {
      closeSync(descriptor)
      throw error
    }
  }

  /** Reads a journal that nobody writes to, and leaves it as it is. Throws kind `damaged`, naming the file. */
  static read(file: string, key: StoreKey, replay: (record: Uint8Array) => void): void {
    const descriptor = openSync(file, 'r')
    try {
      readJournal(descriptor, file, key, replay)
    } finally {
      closeSync(descriptor)
    }
  }

  /** Bytes on the disk, and about to be. */
  get bytes(): number {
    return this.position.length + this.#recordBytes
  }

  /** Adds a record, at most 1 MiB, which must not be changed afterwards. It is kept in memory until a commit. */
  append(record: Uint8Array): void {
    if (record.byteLength > RECORD_MOST) throw new RangeError('A record of a journal has at most 1 MiB.')
    this.#records.push(record)
    this.#recordBytes += record.byteLength + 4
  }

  /**
   * Resolves once all that was appended before is on the disk. Commits that come while the disk is busy share the next
   * turn. After a full disk the records are still there, and the next commit tries again.
   */
  commit(): Promise<void> {
    return this.#commits.ask()
  }

  /** The same, while the caller waits. */
  commitNow(): void {
    this.#write()
    if (this.durable.frames === this.position.frames) return
    this.#guard(() => fdatasyncSync(this.descriptor))
    this.durable = this.position
  }

  /** Puts these records in the place of all others, in one step, on the disk. What was not committed is given up. */
  compact(records: Iterable<Uint8Array>): void {
    this.#requireSound()
    const made = write(this.file, this.store, records)
    const old = this.descriptor
    // the disk may just be busy with the old file
    this.#commits.afterwards(() => closeSync(old))
    this.descriptor = made.descriptor
    this.key = made.key
    this.position = made.position
    this.durable = made.position
    this.turn = 1
    this.#records = []
    this.#recordBytes = 0
  }

  /** Commits and closes. */
  close(): void {
    try {
      if (this.#broken === null) {
        this.commitNow()
        this.#anchor()
        fdatasyncSync(this.descriptor)
      }
    } finally {
      const { descriptor } = this
      this.#commits.afterwards(() => closeSync(descriptor)) // the disk may just be busy with it
    }
  }

  async #commit(): Promise<void> {
    this.#write()
    const [written, descriptor] = [this.position, this.descriptor]
    if (this.durable.frames === written.frames) return
    try {
      await syncData(descriptor)
    } catch (error) {
      if (descriptor === this.descriptor) this.#broken = error
      throw error
    }
    if (descriptor === this.descriptor && written.frames > this.durable.frames) this.durable = written
  }

  /** Writes what was appended, and the anchor of what was durable before. */
  #write(): void {
    this.#requireSound()
    if (this.#records.length === 0) return
    const frames: Buffer[] = []
    let position = this.position
    for (const records of batches(this.#records)) {
      const frame = newFrame(this.key, records, position)
      frames.push(frame.bytes)
      position = frame.position
    }
    const bytes = frames.length === 1 && frames[0] ? frames[0] : Buffer.concat(frames)
    try {
      writeWholeSync(this.descriptor, bytes, 0, bytes.length, this.position.length)
    } catch (error) {
      this.#guard(() => ftruncateSync(this.descriptor, this.position.length))
      throw error
    }
    this.position = position
    this.#records = []
    this.#recordBytes = 0
    this.#anchor()
  }

  #anchor(): void {
    const { bytes, at } = newAnchor(this.key, this.durable, this.turn++)
    writeWholeSync(this.descriptor, bytes, 0, bytes.length, at)
  }

  /** After a failure of the disk itself nobody knows what it has kept. */
  #guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#broken = error
      throw error
    }
  }

  #requireSound(): void {
    if (this.#broken === null) return
    throw new VmmError('damaged', `The disk failed while the journal was written (${this.file}).`, {
      hint: 'Check the health of the disk.',
      context: { file: this.file },
      cause: this.#broken,
    })
  }
}

/** A new journal with these records in the place of any that is there. */
function write(file: string, store: StoreKey, records: Iterable<Uint8Array>) {
  const temporary = partial(file)
  const descriptor = openSync(temporary, 'wx+', 0o600)
  try {
    const { bytes: header, key } = newHeader(store)
    let position = START
    for (const batch of batches(records)) {
      const frame = newFrame(key, batch, position)
      writeWholeSync(descriptor, frame.bytes, 0, frame.bytes.length, position.length)
      position = frame.position
    }
    const anchor = newAnchor(key, position, 0)
    anchor.bytes.copy(header, anchor.at)
    writeWholeSync(descriptor, header, 0, header.length, 0)
    fdatasyncSync(descriptor)
    renameSync(temporary, file)
    syncFolderNow(dirname(file))
    return { descriptor, key, position }
  } catch (error) {
    closeSync(descriptor)
    rmSync(temporary, { force: true })
    throw error
  }
}

function* batches(records: Iterable<Uint8Array>): Generator<Uint8Array[]> {
  let batch: Uint8Array[] = []
  let bytes = 0
  for (const record of records) {
    batch.push(record)
    bytes += record.byteLength + 4
    if (bytes < FRAME_ENOUGH) continue
    yield batch
    batch = []
    bytes = 0
  }
  if (batch.length > 0) yield batch
}

const partial = (file: string) => `${file}.partial`
