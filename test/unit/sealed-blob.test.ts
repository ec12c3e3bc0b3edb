import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Blob, type Below } from '../../vmm/sealed/blob'
import { BlobPool } from '../../vmm/sealed/blob-pool'
import { CHUNK } from '../../vmm/sealed/chunk-map'
import { Journal } from '../../vmm/sealed/journal'
import { StoreKey } from '../../vmm/sealed/store-key'
import { seededRandom } from '../support/seeded-random'
import { temporaryFolder } from '../support/temporary-folder'

const MODES = [
  { mode: 'sealed', key: StoreKey.of(Buffer.alloc(32, 7), 'disk') },
  { mode: 'plain', key: StoreKey.of(null, 'disk') },
]

/** A blob with a journal of its own, as its owners have them. */
class Owned {
  readonly journal: Journal
  readonly blob: Blob
  readonly pool: BlobPool

  constructor(
    readonly folder: string,
    key: StoreKey,
    below: Below | null = null,
    chunks = 8,
  ) {
    this.pool = new BlobPool(4, chunks)
    const records: Uint8Array[] = []
    this.journal = Journal.open(join(folder, 'journal'), key, (record) => records.push(record))
    const onChange = (record: Uint8Array) => this.journal.append(record)
    const options = { id: 'content', pool: this.pool, below, onChange }
    this.blob = Blob[records.length > 0 ? 'open' : 'create'](join(folder, 'data'), key, options)
    for (const record of records) this.blob.apply(record)
  }

  flush(): void {
    const release = this.blob.flushNow()
    this.journal.commitNow()
    release()
  }

  /** As a process does that is killed: nothing is flushed. */
  abandon(): void {
    this.blob.close()
    this.pool.closeAll()
  }

  close(): void {
    this.flush()
    this.abandon()
    this.journal.close()
  }

  content(): Buffer {
    const bytes = Buffer.alloc(this.blob.size)
    expect(this.blob.read(0, bytes)).toBe(bytes.length)
    return bytes
  }
}

function memory(bytes: Buffer): Below {
  return {
    size: bytes.length,
    read: (position, into) => bytes.copy(into, 0, position, position + into.byteLength),
  }
}

describe.each(MODES)('Blob, $mode', ({ key }) => {
  it('reads back what was written, across a restart', () => {
    const folder = temporaryFolder()
    const data = randomBytes(5 * CHUNK + 123)
    const first = new Owned(folder, key)
    first.blob.write(0, data)
    expect(first.content().equals(data)).toBe(true)
    first.close()
    expect(new Owned(folder, key).content().equals(data)).toBe(true)
  })

  it.each([false, true])('does as a plain model does under random operations (upon another: %s)', (upon) => {
    const { random } = seededRandom()
    const folder = temporaryFolder()
    const most = 20 * CHUNK
    const base = upon ? randomBytes(7 * CHUNK + 777) : Buffer.alloc(0)
    const below = upon ? memory(base) : null
    let owned = new Owned(folder, key, below)
    const model = Buffer.alloc(most)
    base.copy(model)
    let size = base.length
    let [flushed, flushedSize] = [Buffer.from(model), size]
    const any = (limit: number) => Math.floor(random() * limit)
    const length = () => (random() < 0.5 ? any(600) : any(5 * CHUNK))
    const place = () => (random() < 0.3 ? any(20) * CHUNK : any(most))
    const flush = () => {
      owned.flush()
      flushed = Buffer.from(model)
      flushedSize = size
    }
    for (let round = 0; round < 1500; round++) {
      const at = place()
      const part = Math.min(length(), most - at)
      const kind = random()
      if (kind < 0.45) {
        const data = randomBytes(part)
        owned.blob.write(at, data)
        data.copy(model, at)
        if (part > 0) size = Math.max(size, at + part)
      } else if (kind < 0.6) {
        owned.blob.zero(at, part)
        model.fill(0, at, Math.max(at, Math.min(size, at + part)))
      } else if (kind < 0.68) {
        owned.blob.truncate(at)
        if (at < size) model.fill(0, at)
        size = at
      } else if (kind < 0.85) {
        const into = Buffer.alloc(part, 0xee)
        const read = owned.blob.read(at, into)
        expect(read).toBe(Math.max(0, Math.min(part, size - at)))
        expect(into.subarray(0, read).equals(model.subarray(at, at + read)), `round ${round}`).toBe(true)
      } else if (kind < 0.95) flush()
      else if (kind < 0.97) {
        flush()
        owned.journal.compact(owned.blob.records())
      } else {
        owned.abandon()
        owned = new Owned(folder, key, below)
        flushed.copy(model)
        size = flushedSize
      }
      expect(owned.blob.size).toBe(size)
    }
    expect(owned.content().equals(model.subarray(0, size))).toBe(true)
    flush()
    const taken = statSync(join(folder, 'data'), { throwIfNoEntry: false })?.size ?? 0
    expect(taken).toBeLessThanOrEqual(3 * most) // room that was freed is used again
  })
})
