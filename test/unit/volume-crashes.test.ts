import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { VolumeStore } from '../../vmm/disks/volume-store'
import { buildWriter, writeAndDie } from '../support/killed-writers'
import { below } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { temporaryFolder } from '../support/temporary-folder'
import { changesOf, SECTOR, SECTORS, stamp, type VolumeChange } from '../support/volume-changes'
import { newVolumeStore, volumeDisk, wholeVolume } from '../support/volume-disks'

const ROUNDS = 200
/** The writer is killed at most this long after it began, milliseconds. */
const LIFE_MS = 60

function apply(content: Buffer, { kind, number, at, length }: VolumeChange): void {
  if (kind === 'write') stamp(number, length).copy(content, at)
  if (kind === 'zero') content.fill(0, at, at + length)
}

/** Every sector is as it was at the last flush, or as a later change left it. */
function expectKept(read: Buffer, before: Buffer, seed: number, flushed: number): void {
  const content = Buffer.from(before)
  const possible = Array.from({ length: SECTORS }, (): Buffer[] => [])
  let later = 0
  for (const change of changesOf(seed)) {
    if (change.number <= flushed) apply(content, change)
    else {
      if (later++ > 5000) break
      const sector = change.kind === 'write' ? stamp(change.number, SECTOR) : Buffer.alloc(SECTOR)
      if (change.kind !== 'write' && change.kind !== 'zero') continue
      for (let each = change.at / SECTOR; each < (change.at + change.length) / SECTOR; each++) {
        possible[each]?.push(sector)
      }
    }
  }
  for (let each = 0; each < SECTORS; each++) {
    const [at, end] = [each * SECTOR, (each + 1) * SECTOR]
    const sector = read.subarray(at, end)
    const kept = sector.equals(content.subarray(at, end)) || possible[each]?.some((other) => sector.equals(other))
    if (!kept) expect.fail(`sector ${each} was lost after change ${flushed} of seed ${seed}`)
  }
}

test(`${ROUNDS} writers killed at any moment lose nothing that was flushed`, { timeout: 180_000 }, async () => {
  const { random } = seededRandom()
  const folder = temporaryFolder()
  const writer = await buildWriter('volume-writer.ts', temporaryFolder())
  const disk = volumeDisk(folder, 'disk', { bytes: SECTORS * SECTOR })
  let content = await wholeVolume(newVolumeStore(folder), disk)
  let flushes = 0
  let copies = 0
  for (let round = 0; round < ROUNDS; round++) {
    const seed = below(random, 2 ** 32)
    const said = await writeAndDie(writer, [folder, String(seed)], random() * LIFE_MS)
    const store = newVolumeStore(folder)
    copies += await checkCopies(store, folder, content, seed, said.at(-1) ?? 0)
    const read = await wholeVolume(store, disk)
    expectKept(read, content, seed, said.at(-1) ?? 0)
    content = read
    flushes += said.length
  }
  // else nothing has been tried
  expect(flushes).toBeGreaterThan(ROUNDS)
  expect(copies).toBeGreaterThan(0)
})

/** Copies hold exactly what there was at their moment; removes them, and returns how many there were. */
async function checkCopies(store: VolumeStore, folder: string, before: Buffer, seed: number, said: number) {
  const content = Buffer.from(before)
  const copies: [string, Buffer][] = []
  for (const change of changesOf(seed)) {
    if (change.number > said + 5000) break
    apply(content, change)
    const { layer } = volumeDisk(folder, `copy-${change.number}`)
    if (change.kind !== 'copy') continue
    if (existsSync(layer)) copies.push([layer, Buffer.from(content)])
    else expect(change.number, 'a copy that was made is there').toBeGreaterThan(said)
  }
  await store.sweep([volumeDisk(folder, 'disk').layer, ...copies.map(([layer]) => layer)])
  for (const [layer, expected] of copies) {
    const copy = { ...volumeDisk(folder, 'copy'), layer, bytes: expected.length }
    expect((await wholeVolume(store, copy)).equals(expected), layer).toBe(true)
    await store.removeLayer(layer)
  }
  return copies.length
}
