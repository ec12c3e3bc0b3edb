import type { Journal } from '../sealed/journal'
import type { OverlayBlobs } from './overlay-blobs'
import type { AfterCommit, OverlayContent } from './overlay-content'
import {
  encodeBlob,
  encodeChunks,
  encodeEntry,
  encodeNode,
  encodeTree,
  encodeXattr,
  type Counters,
} from './overlay-encode'
import { FileError } from './file-error'
import type { OverlayEntry, OverlayNode } from './overlay-node'
import { OP, OpWriter } from './overlay-record'
import type { FileName } from './provider'

/** How long changes are gathered before they are committed together, milliseconds. */
const GATHER_MS = 20
/** How long until a commit that failed is tried again. */
const AGAIN_MS = 1000
const RECORD_ENOUGH = 256 * 1024
/** What a node takes up in a record, about. */
const NODE_BYTES = 160
/** Changes that may wait for a disk that takes none. */
const WAITING_MOST = 8 * 1024 * 1024
/** A journal smaller than this is not worth compacting. */
const COMPACT_LEAST = 1024 * 1024

export interface JournalState {
  nodes: Iterable<OverlayNode>
  counters: Counters
}

export interface LogOptions {
  /** All nodes that are in the journal, and the numbers given out. */
  everything: () => JournalState
  /** Told of a commit in the background that failed, and of the first that succeeds again (null). */
  onTrouble?: ((error: unknown) => void) | undefined
  /** Bytes that a journal has at least when it is written anew. */
  compactLeast?: number | undefined
}

/** What has changed in an overlay, on its way into the journal: tree and content of one moment go together. */
export class OverlayLog {
  readonly #ops = new OpWriter()
  readonly #touched = new Set<OverlayNode>()
  /** Whole records that wait for the next commit. */
  #records: Uint8Array[] = []
  /** The same, of commits that failed. */
  readonly #held: Uint8Array[] = []
  /** Bytes that no commit has taken. */
  #waiting = 0
  #timer: NodeJS.Timeout | null = null
  #running: Promise<void> = Promise.resolve()
  #queued: Promise<void> | null = null
  #busy = false
  #closed = false
  /** What commits wait for. */
  #gate: Promise<unknown> = Promise.resolve()
  readonly #after: AfterCommit[] = []
  /** Bytes that the journal had when it was last written anew. */
  #compacted: number
  #failing = false

  constructor(
    private readonly journal: Journal,
    private readonly blobs: OverlayBlobs,
    private readonly options: LogOptions,
  ) {
    this.#compacted = journal.bytes
  }

  get bytes(): number {
    return this.journal.bytes
  }

  /** The node is to be written as it is when the operation is over. */
  touch(node: OverlayNode): void {
    node.revision++
    this.#touched.add(node)
  }

  entry(folder: OverlayNode, name: FileName, entry: OverlayEntry | undefined): void {
    encodeEntry(this.#ops, folder, name, entry)
  }

  xattr(node: OverlayNode, name: string, value: Uint8Array | null): void {
    encodeXattr(this.#ops, node, name, value)
  }

  gone(node: OverlayNode): void {
    this.#touched.delete(node)
    this.#ops.u8(OP.gone).f64(node.id)
  }

  blob(content: OverlayContent): void {
    encodeBlob(this.#ops, content)
  }

  blobGone(content: OverlayContent): void {
    this.blobs.doom(content)
    this.#ops.u8(OP.blobGone).f64(content.number)
  }

  /** To be called before an operation changes anything; throws ENOSPC while too much waits for a full disk. */
  begin(): void {
    if (this.#failing && this.#waiting > WAITING_MOST) throw new FileError('ENOSPC', 'the disk of the host is full')
  }

  /** To be called when an operation is over: only between operations is the tree one that may be found after a crash. */
  end(): void {
    if (this.#touched.size === 0 && this.#ops.bytes === 0 && this.#records.length + this.#held.length === 0) return
    if (this.#ops.bytes + this.#touched.size * NODE_BYTES > RECORD_ENOUGH) this.#closeRecord()
    this.#timer ??= setTimeout(() => this.#inBackground(), this.#failing ? AGAIN_MS : GATHER_MS).unref()
  }

  /** Resolves once all that has happened so far is on the disk. */
  commit(): Promise<void> {
    this.#queued ??= this.#running.then(() => {
      this.#queued = null
      this.#busy = true
      const run = this.#gated()
        .then(() => this.#commit())
        .finally(() => {
          this.#busy = false
        })
      this.#running = run.catch(() => undefined)
      return run
    })
    return this.#queued
  }

  /** What happens from now on is not committed before `other` has ended. */
  commitAfter(other: Promise<void>): void {
    this.#gate = Promise.allSettled([this.#gate, other])
  }

  /** Does something at a moment when everything is in the journal. */
  async settle<T>(work: () => T): Promise<T> {
    await this.commit()
    while (this.#busy) await this.#running
    this.commitNow()
    return work()
  }

  /** No commit may be under way. */
  commitNow(): void {
    const moment = this.#moment()
    let next = 0
    try {
      for (const content of moment.dirty) {
        const { records, after } = content.flushNow()
        this.#tell(content, records, after)
        next++
      }
    } catch (error) {
      this.#failed(moment, moment.dirty.slice(next))
      throw error
    }
    this.#hand(moment)
    try {
      this.journal.commitNow()
    } catch (error) {
      this.#failed(moment, [])
      throw error
    }
    this.#committed(moment)
  }

  /** Commits, and ends; also when that fails. */
  async close(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer)
    this.#closed = true
    try {
      await this.#gated()
      while (this.#busy) await this.#running
      this.commitNow()
    } finally {
      this.blobs.close()
      this.journal.close()
    }
  }

  /** Writes the journal anew, with what the tree needs only. No commit may be under way. */
  compactNow(): void {
    this.commitNow()
    try {
      const { nodes, counters } = this.options.everything()
      this.journal.compact(encodeTree(nodes, counters))
    } finally {
      this.#compacted = this.journal.bytes
    }
  }

  async #gated(): Promise<void> {
    for (let gate: unknown = null; gate !== this.#gate;) {
      gate = this.#gate
      await gate
    }
  }

  async #commit(): Promise<void> {
    const moment = this.#moment()
    const flushed = await Promise.allSettled(moment.dirty.map((content) => content.flush()))
    const unflushed: OverlayContent[] = []
    let failure: unknown = null
    flushed.forEach((outcome, index) => {
      const content = moment.dirty[index] as OverlayContent
      if (outcome.status === 'fulfilled') return this.#tell(content, outcome.value.records, outcome.value.after)
      unflushed.push(content)
      failure = outcome.reason
    })
    if (unflushed.length > 0) {
      this.#failed(moment, unflushed)
      throw failure
    }
    this.#hand(moment)
    try {
      await this.journal.commit()
    } catch (error) {
      this.#failed(moment, [])
      throw error
    }
    this.#committed(moment)
  }

  /** What has changed until now; what changes from here on belongs to the next commit. */
  #moment(): Moment {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    this.#closeRecord()
    const moment = { records: this.#records, dirty: this.blobs.takeDirty(), doomed: this.blobs.takeDoomed() }
    this.#records = []
    return moment
  }

  /** Content goes into the journal before the tree that shows it. */
  #tell(content: OverlayContent, records: readonly Uint8Array[], after: AfterCommit): void {
    for (const record of records) {
      const ops = new OpWriter()
      encodeChunks(ops, content.number, record)
      this.#held.push(ops.take())
    }
    this.#after.push(after)
  }

  #hand({ records }: Moment): void {
    for (const record of this.#held.splice(0)) this.journal.append(record)
    for (const record of records.splice(0)) this.journal.append(record)
  }

  #failed({ records, doomed }: Moment, unflushed: readonly OverlayContent[]): void {
    this.#held.push(...records.splice(0))
    for (const content of unflushed) this.blobs.changed(content)
    for (const content of doomed) this.blobs.doom(content)
    // whoever asked for the commit knows; it is tried again whether or not the guest does anything more
    if (!this.#closed) this.#timer ??= setTimeout(() => this.#inBackground(), AGAIN_MS).unref()
  }

  #committed({ doomed }: Moment): void {
    for (const after of this.#after.splice(0)) after()
    this.blobs.remove(doomed)
    this.#waiting = 0
  }

  #closeRecord(): void {
    for (const node of this.#touched) encodeNode(this.#ops, node)
    this.#touched.clear()
    if (this.#ops.bytes === 0) return
    const record = this.#ops.take()
    this.#waiting += record.byteLength
    this.#records.push(record)
  }

  #inBackground(): void {
    this.commit()
      .then(() => {
        if (this.#failing) this.options.onTrouble?.(null)
        this.#failing = false
        const large = this.journal.bytes > Math.max(2 * this.#compacted, this.options.compactLeast ?? COMPACT_LEAST)
        if (large && !this.#busy && !this.#closed) this.compactNow()
      })
      .catch((error: unknown) => {
        if (!this.#failing) this.options.onTrouble?.(error)
        this.#failing = true
        if (!this.#closed) this.end()
      })
  }
}

interface Moment {
  records: Uint8Array[]
  dirty: OverlayContent[]
  doomed: OverlayContent[]
}
