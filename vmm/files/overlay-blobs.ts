import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { BlobPool } from '../sealed/blob-pool'
import type { StoreKey } from '../sealed/store-key'
import { OverlayContent, type ContentHome } from './overlay-content'
import type { LowerBelow } from './overlay-lower'

/** Blobs that are kept open with all they know; others are opened anew from their history. */
const OPEN_MOST = 512
const ID_BYTES = 16
export const BLOBS_FOLDER = 'blobs'
/** What the file of a blob is called. */
export const BLOB_NAME = /^[0-9a-f]{32}$/

/** The content of an overlay's files: one blob each, in a folder. */
export class OverlayBlobs implements ContentHome {
  readonly pool = new BlobPool()
  readonly folder: string
  generation = 0
  /** Numbers below are given out. */
  nextNumber = 1
  readonly #dirty = new Set<OverlayContent>()
  /** The one that was used longest ago comes first. */
  readonly #open = new Set<OverlayContent>()
  /** Of no use any more once the journal says so. */
  #doomed: OverlayContent[] = []
  /** While a snapshot is being made no file is removed. */
  #kept: string[] = []
  #snapshots = 0

  constructor(
    folder: string,
    readonly key: StoreKey,
  ) {
    this.folder = join(folder, BLOBS_FOLDER)
    mkdirSync(this.folder, { recursive: true, mode: 0o700 })
  }

  fileOf(id: string): string {
    return join(this.folder, id)
  }

  create(below: OverlayContent | LowerBelow | null): OverlayContent {
    return new OverlayContent(this, this.nextNumber++, randomBytes(ID_BYTES).toString('hex'), below, null)
  }

  changed(content: OverlayContent): void {
    if (!content.isGone) this.#dirty.add(content)
  }

  get isDirty(): boolean {
    return this.#dirty.size > 0
  }

  opened(content: OverlayContent): void {
    if (this.#open.size >= OPEN_MOST) this.#closeOldest()
    this.#open.add(content)
  }

  used(content: OverlayContent): void {
    this.#open.delete(content)
    this.#open.add(content)
  }

  /** The file is no more: its blobs go once the next commit is through. */
  doom(content: OverlayContent): void {
    content.isGone = true
    this.#dirty.delete(content)
    this.#doomed.push(content)
  }

  /** All that has changed since it was last asked. */
  takeDirty(): OverlayContent[] {
    const dirty = [...this.#dirty]
    this.#dirty.clear()
    return dirty
  }

  /** Those that the next commit says are gone; to be given to `remove` after it. */
  takeDoomed(): OverlayContent[] {
    return this.#doomed.splice(0)
  }

  /** Removes the files of what the journal has forgotten. */
  remove(contents: readonly OverlayContent[]): void {
    for (const content of contents) {
      if (content.flushing > 0) {
        this.#doomed.push(content)
        continue
      }
      this.#open.delete(content)
      content.forget()
      if (this.#snapshots > 0) this.#kept.push(content.id)
      else rmSync(content.file, { force: true })
    }
  }

  /** From now on what is there belongs to a snapshot too; no file is removed until `release`. */
  share(): void {
    this.generation++
    this.#snapshots++
  }

  release(): void {
    this.#snapshots--
    if (this.#snapshots > 0) return
    for (const id of this.#kept.splice(0)) rmSync(this.fileOf(id), { force: true })
  }

  /** Removes the files that nothing names, such as those that a crash has left. */
  sweep(named: ReadonlySet<string>): void {
    for (const name of readdirSync(this.folder)) {
      if (!named.has(name)) rmSync(join(this.folder, name), { force: true, recursive: true })
    }
  }

  close(): void {
    for (const content of this.#open) content.forget()
    this.#open.clear()
    this.pool.closeAll()
  }

  #closeOldest(): void {
    for (const content of this.#open) {
      if (content.isDirty || content.flushing > 0) continue
      this.#open.delete(content)
      content.close()
      return
    }
  }
}

/** The blobs that make up the content of a file, the newest first. */
export function* layersOf(content: OverlayContent | null): Generator<OverlayContent> {
  for (let each: OverlayContent | LowerBelow | null = content; each instanceof OverlayContent; each = each.below)
    yield each
}
