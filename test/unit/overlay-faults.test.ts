import fs from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { OverlayProvider } from '../../vmm/files/overlay'
import { MemoryProvider } from '../../vmm/files/provider-memory'
import { VmmError } from '../../vmm/model/errors'
import { StoreKey } from '../../vmm/sealed/store-key'
import { nodeAt, openOverlay, outcomeOf, putFile, textAt, writeAt } from '../support/overlay-trees'
import { below } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { fillDisk, NO_SMALL_DISK, smallDisk } from '../support/small-disk'
import { temporaryFolder } from '../support/temporary-folder'

const FILES = 8
const textOf = (file: number): string => `${file}`.repeat(40_000)

async function ended(overlay: OverlayProvider): Promise<void> {
  overlay.close()
  await overlay.ended()
}

/** An overlay with some files, closed; the file of each one's blob. */
async function filled(): Promise<{ folder: string; journal: string; blobs: string[] }> {
  const folder = temporaryFolder()
  const home = join(folder, 'overlay')
  const overlay = openOverlay(folder, new MemoryProvider())
  const blobs: string[] = []
  for (let file = 0; file < FILES; file++) {
    putFile(overlay, overlay.root(), `file${file}`, textOf(file))
    const node = overlay.lookup(overlay.root(), `file${file}`)
    blobs.push(join(home, 'blobs', node.own?.content?.id ?? ''))
  }
  await ended(overlay)
  return { folder, journal: join(home, 'journal'), blobs }
}

/** Which files read as they were written; the others must answer EIO, and name their blob in the reason. */
async function readable(folder: string, blobs: readonly string[]): Promise<number[]> {
  const overlay = openOverlay(folder, new MemoryProvider())
  const whole: number[] = []
  for (let file = 0; file < FILES; file++) {
    try {
      expect(textAt(overlay, `file${file}`)).toBe(textOf(file))
      whole.push(file)
    } catch (error) {
      expect(error).toMatchObject({ code: 'EIO', message: expect.stringContaining(blobs[file] ?? '') as string })
    }
  }
  await ended(overlay)
  return whole
}

function flip(file: string, at: number, bit: number): void {
  const bytes = fs.readFileSync(file)
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
  fs.writeFileSync(file, bytes)
}

/** Takes the last room on a disk. */
function fillUp(filler: string): void {
  for (const bytes of [64 * 1024, 4096, 1]) {
    const piece = Buffer.alloc(bytes)
    expect(() => {
      for (;;) fs.appendFileSync(filler, piece)
    }).toThrow(/ENOSPC/)
  }
}

const all = Array.from({ length: FILES }, (_, file) => file)
const allBut = (file: number): number[] => all.filter((each) => each !== file)

describe('an overlay that was changed at rest', () => {
  test('is refused with another key', async () => {
    const { folder, journal } = await filled()
    for (const key of [StoreKey.of(Buffer.alloc(32, 9), 'trial'), StoreKey.of(null, 'trial')]) {
      expect(() => openOverlay(folder, new MemoryProvider(), { key })).toThrow(/another key/)
      expect(() => openOverlay(folder, new MemoryProvider(), { key })).toThrow(journal)
    }
  })

  test('has one unreadable file wherever a bit flips in a blob, and is whole when it flips back', async () => {
    const { random } = seededRandom()
    const { folder, blobs } = await filled()
    for (let round = 0; round < 30; round++) {
      const file = below(random, FILES)
      const [at, bit] = [below(random, textOf(file).length), below(random, 8)]
      flip(blobs[file] ?? '', at, bit)
      expect(await readable(folder, blobs)).toEqual(allBut(file))
      flip(blobs[file] ?? '', at, bit)
    }
    expect(await readable(folder, blobs)).toEqual(all)
  })

  test('has one unreadable file where a blob is cut off, swapped or gone', async () => {
    const { folder, blobs } = await filled()
    const [one = '', other = ''] = blobs
    const bytes = fs.readFileSync(one)
    fs.truncateSync(one, 20_000)
    expect(await readable(folder, blobs)).toEqual(allBut(0))
    fs.copyFileSync(other, one)
    expect(await readable(folder, blobs)).toEqual(allBut(0))
    fs.rmSync(one)
    expect(await readable(folder, blobs)).toEqual(allBut(0))
    fs.writeFileSync(one, bytes)
    expect(await readable(folder, blobs)).toEqual(all)
  })

  test('notices an old chunk that is put back', async () => {
    const { folder, blobs } = await filled()
    const old = fs.readFileSync(blobs[3] ?? '')
    const overlay = openOverlay(folder, new MemoryProvider())
    // two commits: the slot that the first one frees is used again by the second
    for (const text of ['other', textOf(3).slice(0, 5)]) {
      writeAt(overlay, nodeAt(overlay, 'file3'), 0, text)
      await overlay.flush()
    }
    await ended(overlay)
    expect(await readable(folder, blobs)).toEqual(all)
    const now = fs.readFileSync(blobs[3] ?? '')
    expect(now.subarray(0, old.length).equals(old)).toBe(false)
    fs.writeFileSync(blobs[3] ?? '', old)
    expect(await readable(folder, blobs)).toEqual(allBut(3))
  })

  test('is refused wherever a bit flips in the journal, naming it, or is as it was', async () => {
    const { random } = seededRandom()
    const { folder, journal, blobs } = await filled()
    const before = fs.readFileSync(journal)
    let refused = 0
    for (let round = 0; round < 150; round++) {
      flip(journal, below(random, before.length), below(random, 8))
      try {
        expect(await readable(folder, blobs)).toEqual(all)
      } catch (error) {
        if (!(error instanceof VmmError)) throw error
        expect(error).toMatchObject({ kind: 'damaged', message: expect.stringContaining(journal) as string })
        refused++
      }
      fs.writeFileSync(journal, before)
    }
    expect(refused).toBeGreaterThan(30)
  })

  /*
   * A journal of before, whole, cannot be told from the newest one by itself: nothing outside of the folder counts its
   * commits. What has become of the blobs since tells some of it: content that was replaced is refused, content that is
   * untouched reads as it was, and names are those of then.
   */
  test('takes an old journal that is put back for the newest, but shows no content that does not belong to it', async () => {
    const { folder, journal, blobs } = await filled()
    const old = fs.readFileSync(journal)
    const overlay = openOverlay(folder, new MemoryProvider())
    overlay.change(nodeAt(overlay, 'file1') as never, { size: 0 })
    await overlay.flush()
    writeAt(overlay, nodeAt(overlay, 'file1'), 0, 'x'.repeat(40_000))
    overlay.unlink(overlay.root(), 'file2', false)
    await overlay.flush()
    await ended(overlay)
    fs.writeFileSync(journal, old)
    expect(await readable(folder, blobs)).toEqual(all.filter((file) => file !== 1 && file !== 2))
  })
})

describe('a full disk', () => {
  test.skipIf(NO_SMALL_DISK)(`is told, loses nothing and is gone on from ${NO_SMALL_DISK}`, async () => {
    const folder = smallDisk(3000)
    const trouble: unknown[] = []
    const open = () => openOverlay(folder, new MemoryProvider(), { onTrouble: (error) => trouble.push(error) })
    let overlay = open()
    putFile(overlay, overlay.root(), 'kept', textOf(1))
    await overlay.flush()
    const filler = fillDisk(folder, 200)
    let written = 0
    const fill = (): void => {
      for (; written < 200; written++) putFile(overlay, overlay.root(), `more${written}`, textOf(2))
    }
    expect(outcomeOf(fill)).toBe('ENOSPC')
    fillUp(filler)
    writeAt(overlay, nodeAt(overlay, 'kept'), 3, 'new')
    await expect(overlay.flush()).rejects.toMatchObject({ code: 'ENOSPC' })
    const file = overlay.open(overlay.lookup(overlay.root(), 'kept'), true)
    await expect(file.sync(true)).rejects.toMatchObject({ code: 'ENOSPC' })
    file.close()
    // what is removed while its content could not be flushed is gone for good
    overlay.unlink(overlay.root(), `more${written}`, false)
    const flushing = overlay.flush().catch((error: unknown) => error)
    overlay.unlink(overlay.root(), 'more0', false)
    await flushing
    await overlay.flush().catch((error: unknown) => error)
    const text = `111new${textOf(1).slice(6)}`
    expect(textAt(overlay, 'kept')).toBe(text)

    fs.rmSync(filler)
    await overlay.flush()
    putFile(overlay, overlay.root(), 'after', 'room')
    await ended(overlay)
    overlay = open()
    const names = overlay.list(overlay.root()).map(({ name }) => name)
    const kept = Array.from({ length: written - 1 }, (_, index) => `more${index + 1}`)
    expect(names.sort()).toEqual(['after', 'kept', ...kept].sort())
    expect(textAt(overlay, 'kept')).toBe(text)
    for (const name of kept) expect(textAt(overlay, name)).toBe(textOf(2))
    await ended(overlay)
  })
})

test('a folder with very much in it is given up at once', async () => {
  const folder = temporaryFolder()
  const overlay = openOverlay(folder, new MemoryProvider())
  const above = overlay.createFolder(overlay.root(), 'large', { mode: 0o755, uid: 0, gid: 0 })
  for (let file = 0; file < 30_000; file++) {
    overlay.drop(overlay.createFile(above, `a file with a name ${file}`, { mode: 0o644, uid: 0, gid: 0 }))
  }
  overlay.drop(above)
  await overlay.flush()
  expect(overlay.discard(['large'])).toEqual([{ path: 'large', outcome: 'done', reason: '' }])
  await overlay.flush()
  await ended(overlay)
  const again = openOverlay(folder, new MemoryProvider())
  expect([again.list(again.root()), [...again.changes()]]).toEqual([[], []])
  await ended(again)
})
