import { randomBytes } from 'node:crypto'
import { copyFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Volume } from '../../vmm/disks/volume'
import { dataFile, mapFile, VolumeLayer } from '../../vmm/disks/volume-layer'
import { BlobPool } from '../../vmm/sealed/blob-pool'
import { CHUNK } from '../../vmm/sealed/chunk-map'
import { Journal } from '../../vmm/sealed/journal'
import { StoreKey } from '../../vmm/sealed/store-key'
import { VmmError } from '../../vmm/model/errors'
import { fillDisk, NO_SMALL_DISK, smallDisk } from '../support/small-disk'
import { seededRandom } from '../support/seeded-random'
import { temporaryFolder } from '../support/temporary-folder'

const ID = 'a'.repeat(32)
const KEY = StoreKey.of(Buffer.alloc(32, 1), 'volumes')
const CHUNKS = 6

function volumeIn(folder: string, key = KEY): Volume {
  return new Volume({ layers: [join(folder, ID)], base: null, baseBytes: 0, key, pool: new BlobPool() })
}

function create(folder: string, key = KEY): { stem: string; content: Buffer } {
  const stem = join(folder, ID)
  const place = { stem, key, pool: new BlobPool(), below: null }
  VolumeLayer.create(place, { id: ID, parent: null }, CHUNKS * CHUNK).close()
  const content = randomBytes(CHUNKS * CHUNK)
  const volume = volumeIn(folder, key)
  volume.write(0, content)
  volume.close()
  return { stem, content }
}

/** How many chunks read as they should, after which the rest must have been refused with the file's name. */
function readable(folder: string, content: Buffer, file: string): number {
  let volume: Volume
  try {
    volume = volumeIn(folder)
  } catch (error) {
    expectDamage(error, file)
    return 0
  }
  let whole = 0
  for (let at = 0; at < content.length; at += CHUNK) {
    const bytes = Buffer.alloc(CHUNK)
    try {
      volume.read(at, bytes)
      expect(bytes.equals(content.subarray(at, at + CHUNK))).toBe(true)
      whole++
    } catch (error) {
      expectDamage(error, file)
    }
  }
  volume.abandon()
  return whole
}

function expectDamage(error: unknown, file: string): void {
  if (!(error instanceof VmmError)) throw error
  expect(error.kind).toBe('damaged')
  expect(error.message).toContain(file)
}

function flip(file: string, at: number, bit: number): void {
  const bytes = readFileSync(file)
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
  writeFileSync(file, bytes)
}

describe('what was changed at rest', () => {
  it('is refused wherever a bit flips in the data, and the rest stays readable', () => {
    const { random } = seededRandom()
    const folder = temporaryFolder()
    const { stem, content } = create(folder)
    for (let round = 0; round < 60; round++) {
      const [at, bit] = [Math.floor(random() * content.length), Math.floor(random() * 8)]
      flip(dataFile(stem), at, bit)
      expect(readable(folder, content, dataFile(stem))).toBe(CHUNKS - 1)
      flip(dataFile(stem), at, bit)
    }
    expect(readable(folder, content, '')).toBe(CHUNKS)
  })

  it('is refused wherever a bit flips in the journal, or changes nothing', () => {
    const { random } = seededRandom()
    const folder = temporaryFolder()
    const { stem, content } = create(folder)
    const map = mapFile(stem)
    const [before, used] = [readFileSync(map), 1536]
    let refused = 0
    for (let at = 0; at < before.length; at += at < 64 || at >= used ? 1 : 8) {
      flip(map, at, Math.floor(random() * 8))
      const whole = readable(folder, content, map)
      expect([0, CHUNKS]).toContain(whole)
      if (whole === 0) refused++
      else expect(at >= 64 && at < used, `byte ${at}`).toBe(true) // of two anchors one is enough; beside them is nothing
      writeFileSync(map, before)
    }
    expect(refused).toBeGreaterThanOrEqual(64 + before.length - used) // all but the anchors and what is between them
  })

  it('is refused when the data or the journal is cut off', () => {
    const folder = temporaryFolder()
    const { stem, content } = create(folder)
    const map = readFileSync(mapFile(stem))
    for (let size = 0; size < map.length; size += 13) {
      writeFileSync(mapFile(stem), map.subarray(0, size))
      expect(readable(folder, content, mapFile(stem))).toBe(0)
    }
    writeFileSync(mapFile(stem), map)
    truncateSync(dataFile(stem), 3 * CHUNK + 5)
    expect(readable(folder, content, dataFile(stem))).toBe(3)
  })

  it('is refused when an old chunk is put back', () => {
    const folder = temporaryFolder()
    const { stem, content } = create(folder)
    const old = readFileSync(dataFile(stem))
    for (let round = 0; round < 4; round++) {
      const volume = volumeIn(folder)
      content.fill(round, CHUNK, 2 * CHUNK)
      volume.write(CHUNK, content.subarray(CHUNK, 2 * CHUNK))
      volume.close()
    }
    const now = readFileSync(dataFile(stem))
    for (let at = 0; at < now.length; at += CHUNK) {
      const replayed = Buffer.from(now)
      old.copy(replayed, at, at, at + CHUNK)
      const same = replayed.equals(now)
      writeFileSync(dataFile(stem), replayed)
      const whole = readable(folder, content, dataFile(stem))
      expect(whole).toBeGreaterThanOrEqual(CHUNKS - 1)
      if (same) expect(whole).toBe(CHUNKS)
    }
    old.copy(now, 0, 0, CHUNK * CHUNKS)
    writeFileSync(dataFile(stem), now)
    expect(readable(folder, content, dataFile(stem))).toBe(CHUNKS - 1)
  })

  it('is refused when the tail of an older journal is put back, or frames change places', () => {
    const folder = temporaryFolder()
    const file = join(folder, 'journal')
    const first = Journal.open(file, KEY, () => undefined)
    const write = (journal: Journal, text: string) => {
      journal.append(Buffer.from(text))
      journal.commitNow()
    }
    write(first, 'one')
    first.close()
    copyFileSync(file, join(folder, 'fork'))
    const texts = (which: string, each: string[]) => {
      const journal = Journal.open(join(folder, which), KEY, () => undefined)
      const starts = each.map((text) => {
        const { bytes } = journal
        write(journal, text)
        return bytes
      })
      journal.close()
      return starts
    }
    texts('fork', ['aaa', 'bbb', 'ccc'])
    const [a = 0, b = 0, c = 0] = texts('journal', ['two', 'thr', 'fou'])
    const now = readFileSync(file)
    const tail = Buffer.concat([now.subarray(0, b), readFileSync(join(folder, 'fork')).subarray(b)])
    const swapped = Buffer.concat([now.subarray(0, a), now.subarray(b, c), now.subarray(a, b), now.subarray(c)])
    const dropped = Buffer.concat([now.subarray(0, b), now.subarray(c)])
    for (const bytes of [tail, swapped, dropped]) {
      writeFileSync(file, bytes)
      expect(() => Journal.open(file, KEY, () => undefined)).toThrow(/damaged|cut off/)
    }
  })

  it('tells a wrong key from damage, and a sealed volume from a plain one', () => {
    const folder = temporaryFolder()
    create(folder)
    for (const key of [StoreKey.of(Buffer.alloc(32, 2), 'volumes'), StoreKey.of(null, 'volumes')]) {
      expect(() => volumeIn(folder, key)).toThrow(/another key/)
    }
    const plain = temporaryFolder()
    create(plain, StoreKey.of(null, 'volumes'))
    expect(() => volumeIn(plain)).toThrow(/another key/)
  })

  it('shows nothing of what was written', () => {
    const folder = temporaryFolder()
    const stem = join(folder, ID)
    const pool = new BlobPool()
    VolumeLayer.create({ stem, key: KEY, pool, below: null }, { id: ID, parent: null }, CHUNKS * CHUNK).close()
    const volume = volumeIn(folder)
    volume.write(0, Buffer.alloc(CHUNKS * CHUNK, 'a secret of the guest '))
    volume.close()
    expect(readFileSync(dataFile(stem)).includes('secret')).toBe(false)
    expect(readFileSync(mapFile(stem)).includes(ID)).toBe(false)
  })
})

describe('a full disk', () => {
  it.skipIf(NO_SMALL_DISK)(`is told, and harms nothing ${NO_SMALL_DISK}`, async () => {
    const folder = smallDisk(1024)
    const { stem } = create(folder)
    const volume = new Volume({ layers: [stem], base: null, baseBytes: 0, key: KEY, pool: new BlobPool() })
    volume.grow(16 * 1024 * 1024)
    volume.write(0, Buffer.alloc(CHUNK, 5))
    await volume.flush()
    fillDisk(folder, 100)
    let written = 0
    const more = () => {
      for (let at = CHUNK; at < volume.size; at += CHUNK, written++) volume.write(at, Buffer.alloc(CHUNK, 6))
    }
    expect(more).toThrow(/ENOSPC/)
    const bytes = Buffer.alloc(CHUNK)
    volume.read(0, bytes)
    expect(bytes.every((byte) => byte === 5)).toBe(true)
    volume.abandon()
    const again = volumeIn(folder)
    again.read(0, bytes)
    expect(bytes.every((byte) => byte === 5)).toBe(true)
    again.abandon()
  })
})
