import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { damaged } from './damage'
import {
  FIRST_FRAME,
  FRAME_HEADER,
  frameContent,
  openFrame,
  readAnchors,
  readHeader,
  recordsOf,
  START,
  type Position,
} from './journal-format'
import type { FileKey, StoreKey } from './store-key'

const SECTOR = 512
/** Bytes read at a time. */
const WINDOW = 1024 * 1024

export interface JournalRead {
  key: FileKey
  /** After the last whole frame. */
  position: Position
  /** Up to where the journal is known to have reached the disk. */
  anchored: Position
  /** Which anchor is to be written next. */
  turn: number
  /** Whether there is the beginning of a frame behind it. */
  torn: boolean
}

/** Hands all records to `replay`; throws kind `damaged` for anything that a crash does not explain. */
export function readJournal(
  descriptor: number,
  file: string,
  store: StoreKey,
  replay: (record: Uint8Array) => void,
): JournalRead {
  const { size } = fstatSync(descriptor)
  const window = new Window(descriptor, size)
  const header = window.read(0, FIRST_FRAME)
  const key = readHeader(header, store, file)
  const { position: anchored, turn } = readAnchors(header, key, file)
  if (size < anchored.length) throw damaged(file, 'The journal is cut off', { bytes: size, expected: anchored.length })
  let position = START
  for (;;) {
    const frame = frameAt(window, position)
    const opened = frame && openFrame(key, frame, position)
    if (!opened) break
    for (const record of recordsOf(opened.content)) replay(record)
    position = opened.position
  }
  const known = position.length >= anchored.length
  if (!known || !explained(window, position)) {
    throw damaged(file, 'The journal is damaged', { position: position.length })
  }
  return { key, position, anchored, turn, torn: size > position.length }
}

/** The first record, without looking at the rest; null when there is none. Throws kind `damaged`. */
export function readFirstRecord(file: string, store: StoreKey): Uint8Array | null {
  const descriptor = openSync(file, 'r')
  try {
    const window = new Window(descriptor, fstatSync(descriptor).size)
    const key = readHeader(window.read(0, FIRST_FRAME), store, file)
    const frame = frameAt(window, START)
    const opened = frame && openFrame(key, frame, START)
    const [first] = opened ? recordsOf(opened.content) : []
    return first ?? null
  } finally {
    closeSync(descriptor)
  }
}

/** A whole frame, or null. */
function frameAt(window: Window, position: Position): Buffer | null {
  const header = window.read(position.length, FRAME_HEADER)
  if (header.length < FRAME_HEADER) return null
  const length = frameContent(header, position)
  if (length === null) return null
  const frame = window.read(position.length, FRAME_HEADER + length)
  return frame.length === FRAME_HEADER + length ? frame : null
}

/**
 * Whether what is behind the last whole frame is what a crash leaves: a frame that ends too early, or one of which the
 * file system had made room but not kept all.
 */
function explained(window: Window, position: Position): boolean {
  const header = window.read(position.length, FRAME_HEADER)
  if (header.length < FRAME_HEADER || header.every((byte) => byte === 0)) return true
  const length = frameContent(header, position)
  if (length === null) return false
  const frame = window.read(position.length, FRAME_HEADER + length)
  return frame.length < FRAME_HEADER + length || hasEmptySector(frame, position.length)
}

function hasEmptySector(frame: Buffer, at: number): boolean {
  const first = (SECTOR - (at % SECTOR)) % SECTOR
  for (let sector = first; sector + SECTOR <= frame.length; sector += SECTOR) {
    if (frame.subarray(sector, sector + SECTOR).every((byte) => byte === 0)) return true
  }
  return false
}

/** Reads a file forwards in large steps. */
class Window {
  #at = 0
  #bytes = Buffer.alloc(0)

  constructor(
    private readonly descriptor: number,
    private readonly size: number,
  ) {}

  /** Bytes that may be kept; fewer at the end of the file. */
  read(position: number, length: number): Buffer {
    const wanted = Math.max(0, Math.min(length, this.size - position))
    if (position < this.#at || position + wanted > this.#at + this.#bytes.length) this.#fill(position, wanted)
    return this.#bytes.subarray(position - this.#at, position - this.#at + wanted)
  }

  #fill(position: number, wanted: number): void {
    const bytes = Buffer.alloc(Math.min(Math.max(wanted, WINDOW), Math.max(0, this.size - position)))
    let done = 0
    while (done < bytes.length) {
      const count = readSync(this.descriptor, bytes, done, bytes.length - done, position + done)
      if (count === 0) break
      done += count
    }
    this.#at = position
    this.#bytes = bytes.subarray(0, done)
  }
}
