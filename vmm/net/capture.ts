import { CaptureFiles, type CaptureChunk, type CaptureFile } from './capture-files'
import { CaptureRecent, type PacketSummary } from './capture-recent'
import { blockSpace, fileHeader, packetBlockBytes, packetOptions, writePacket, type CaptureInterface } from './pcapng'

export interface CaptureOptions {
  /** Absolute; it is there, and nothing else writes captures to it. */
  folder: string
  /** How much of each frame is kept, bytes; 0 keeps all. */
  snapBytes: number
  /** A file that has grown to this is followed by another, bytes; 0 for one file. */
  fileBytes: number
  /** Keeps the newest so many files; 0: all. */
  files: number
  /** The capture ends when this much is written, bytes, those of files that are gone included; 0 for no limit. */
  totalBytes: number
  interfaces: readonly CaptureInterface[]
}

export interface CaptureStatus {
  /** Written so far, and the frames in it. */
  bytes: number
  frames: number
  /** Frames that the disk did not take in time. */
  dropped: number
  /** Oldest first. */
  files: readonly Readonly<CaptureFile>[]
  /** Why it ended by itself: its size is reached, or the disk refused; '' for neither. */
  ended: '' | 'size' | 'disk'
  /** The same in a sentence for people. */
  reason: string
}

const CHUNK_BYTES = 256 * 1024
/** What waits for the disk at most is this many chunks. */
const CHUNKS_MOST = 8
/** What was captured is in the file after this at the latest, milliseconds. */
const FLUSH_MS = 250
/** Longest part of a frame that is ever kept, bytes. */
const SNAP_MOST = 65_535

/** Records frames in pcapng files, without ever holding anybody back. */
export class Capture {
  readonly #options: CaptureOptions
  readonly #snapBytes: number
  readonly #header: Buffer
  readonly #files: CaptureFiles
  readonly #recent: CaptureRecent
  readonly #free: CaptureChunk[] = []
  #chunks = 0
  #chunk: CaptureChunk | null = null
  /** Bytes given to the current file, and to all. */
  #fileBytes = 0
  #totalBytes = 0
  #beginFile = true
  #frames = 0
  #dropped = 0
  #timer: ReturnType<typeof setTimeout> | null = null
  #ended: CaptureStatus['ended'] = ''
  #reason = ''
  #stopped: Promise<void> | null = null

  constructor(options: CaptureOptions) {
    this.#options = options
    this.#snapBytes = options.snapBytes > 0 ? Math.min(options.snapBytes, SNAP_MOST) : SNAP_MOST
    this.#header = fileHeader(options.interfaces, this.#snapBytes)
    this.#recent = new CaptureRecent(this.#snapBytes)
    this.#files = new CaptureFiles({
      folder: options.folder,
      files: options.files,
      written: (chunk, frames) => this.#written(chunk, frames),
      failed: (reason) => this.#end('disk', reason),
    })
    this.#fresh()
    this.#seal() // a capture of nothing is a file as well
  }

  /**
   * A frame from `at` to `end`, seen at `timeMs` since 1970 (fractions count). Copies what it takes. Never throws, never
   * waits: what the disk does not take in time is dropped and counted.
   */
  frame(interfaceIndex: number, buffer: Buffer, at: number, end: number, timeMs: number, comment = ''): void {
    if (this.#ended !== '' || this.#stopped) return
    const originalBytes = end - at
    const captured = Math.min(originalBytes, this.#snapBytes)
    const options = comment === '' ? undefined : packetOptions(comment)
    const room = packetBlockBytes(captured, options?.length)
    this.#rotate(room)
    if (this.#isBeyond(room)) {
      this.#seal()
      this.#end('size', 'The capture has reached the size that was set for it.')
      return
    }
    const chunk = this.#roomFor(room)
    if (!chunk) {
      this.#dropped++
      return
    }
    writePacket(chunk, chunk.used, { interfaceIndex, timeMs, originalBytes }, buffer, at, at + captured, options)
    this.#took(chunk, room)
    chunk.frames++
    this.#recent.add(interfaceIndex, buffer, at, end, timeMs)
    this.#timer ??= setTimeout(() => this.#flush(), FLUSH_MS)
  }

  /** Ends it; what was taken is in its files then. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  status(): CaptureStatus {
    return {
      bytes: this.#files.bytes,
      frames: this.#frames,
      dropped: this.#dropped,
      files: this.#files.files.map((file) => ({ ...file })),
      ended: this.#ended,
      reason: this.#reason,
    }
  }

  /** Of the newest packets those with a number above `after`, oldest first, at most `limit`. Numbers begin at 1. */
  recent(after: number, limit: number): PacketSummary[] {
    return this.#recent.list(after, limit)
  }

  /** Ends the current file if it does not take `bytes` more. A file holds at least one frame. */
  #rotate(bytes: number): void {
    const { fileBytes } = this.#options
    if (fileBytes === 0 || this.#fileBytes + bytes <= fileBytes || this.#fileBytes <= this.#header.length) return
    this.#seal()
    this.#beginFile = true
    this.#fileBytes = 0
  }

  #isBeyond(bytes: number): boolean {
    const { totalBytes } = this.#options
    return totalBytes > 0 && this.#totalBytes + bytes + (this.#beginFile ? this.#header.length : 0) > totalBytes
  }

  /** The chunk that takes the next `bytes`; null while all wait for the disk. */
  #roomFor(bytes: number): CaptureChunk | null {
    if (this.#chunk && this.#chunk.used + bytes > CHUNK_BYTES) this.#seal()
    return this.#chunk ?? this.#fresh()
  }

  #fresh(): CaptureChunk | null {
    const chunk = this.#free.pop() ?? this.#anotherChunk()
    if (!chunk) return null
    chunk.used = chunk.frames = 0
    chunk.beginsFile = this.#beginFile
    this.#chunk = chunk
    if (this.#beginFile) {
      this.#beginFile = false
      chunk.bytes.set(this.#header)
      this.#took(chunk, this.#header.length)
    }
    return chunk
  }

  #anotherChunk(): CaptureChunk | null {
    if (this.#chunks === CHUNKS_MOST) return null
    this.#chunks++
    return { ...blockSpace(CHUNK_BYTES), used: 0, frames: 0, beginsFile: false }
  }

  #took(chunk: CaptureChunk, bytes: number): void {
    chunk.used += bytes
    this.#fileBytes += bytes
    this.#totalBytes += bytes
  }

  #seal(): void {
    const chunk = this.#chunk
    this.#chunk = null
    if (chunk) this.#files.push(chunk)
  }

  #flush(): void {
    this.#timer = null
    this.#seal()
  }

  #written(chunk: CaptureChunk, frames: number): void {
    this.#frames += frames
    this.#dropped += chunk.frames - frames
    this.#free.push(chunk)
  }

  #end(ended: CaptureStatus['ended'], reason: string): void {
    // a disk that refuses the rest of a capture that had reached its size is the reason to tell
    this.#ended = ended
    this.#reason = reason
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
  }

  async #stop(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    this.#seal()
    await this.#files.close()
  }
}
