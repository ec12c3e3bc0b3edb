import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import type { VolumeStore } from '../../vmm/disks/volume-store'
import type { DiskSpec } from '../../vmm/engine/machine-spec'
import { temporaryFolder } from '../support/temporary-folder'
import { MASTER, newVolumeStore, volumeDisk, wholeVolume } from '../support/volume-disks'

const SECRET = Buffer.from('nobody shall read this on the host. '.repeat(500))

describe.each([
  ['sealed', MASTER],
  ['plain', null],
])('VolumeStore, %s', (_, master) => {
  let folder: string
  let store: VolumeStore
  let disk: DiskSpec
  const files = () => readdirSync(join(folder, 'volumes')).sort()
  const copied = (id: string): DiskSpec => ({ ...disk, layer: join(folder, `${id}.layer`) })

  beforeEach(() => {
    folder = temporaryFolder()
    store = newVolumeStore(folder, master)
    disk = volumeDisk(folder, 'disk')
  })

  async function fill(content: Uint8Array, to = disk, at = 0): Promise<void> {
    const volume = await store.open(to, 'domain')
    volume.write(at, content)
    await store.close(to.layer)
  }

  it('keeps what was written, and lets one at a time have it', async () => {
    const content = randomBytes(disk.bytes)
    const volume = await store.open(disk, 'domain')
    await expect(store.open(disk, 'other')).rejects.toMatchObject({ kind: 'conflict' })
    await expect(store.removeLayer(disk.layer)).rejects.toMatchObject({ kind: 'conflict' })
    volume.write(0, content)
    await store.close(disk.layer)
    expect((await wholeVolume(newVolumeStore(folder, master), disk)).equals(content)).toBe(true)
  })

  it('opens a disk once for two who ask at the same time', async () => {
    const both = await Promise.allSettled([store.open(disk, 'one'), store.open(disk, 'two')])
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
  })

  it('copies a disk in use while it is being flushed; each goes its own way', async () => {
    const volume = await store.open(disk, 'domain')
    volume.write(1000, SECRET)
    const flushing = volume.flush()
    await store.copyLayer(disk.layer, copied('copy').layer)
    await flushing
    volume.write(1000, Buffer.alloc(SECRET.length, 7))
    await volume.flush()
    await store.close(disk.layer)
    expect((await wholeVolume(store, copied('copy'))).subarray(1000, 1000 + SECRET.length).equals(SECRET)).toBe(true)
    expect((await wholeVolume(store, disk)).subarray(1000, 1003)).toEqual(Buffer.from([7, 7, 7]))
  })

  it('merges what only one disk still needs, and removes the rest', async () => {
    await store.sweep([])
    await fill(SECRET)
    await store.copyLayer(disk.layer, copied('first').layer)
    await fill(Buffer.from('later'), disk, 20_000)
    await store.copyLayer(disk.layer, copied('second').layer)
    await fill(Buffer.from('latest'), disk, 40_000)
    const before = await wholeVolume(store, disk)
    await store.removeLayer(copied('first').layer)
    await store.removeLayer(copied('second').layer)
    expect(files()).toHaveLength(2)
    expect((await wholeVolume(newVolumeStore(folder, master), disk)).equals(before)).toBe(true)
    await store.removeLayer(disk.layer)
    expect(files()).toEqual([])
  })

  it('sweeps what no record leads to, and nothing when a record cannot be read', async () => {
    await fill(SECRET)
    const stray = volumeDisk(folder, 'stray')
    await fill(SECRET, stray)
    const anew = newVolumeStore(folder, master)
    const odd = join(folder, 'odd.layer')
    writeFileSync(odd, 'not a record')
    await anew.sweep([disk.layer, odd])
    expect(files()).toHaveLength(4)
    await anew.sweep([disk.layer])
    expect(files()).toHaveLength(2)
    expect((await wholeVolume(anew, disk)).subarray(0, SECRET.length).equals(SECRET)).toBe(true)
  })

  it('lies upon a raw image that is shorter than the disk, and flattens to a file and to a disk of its own', async () => {
    const base = join(folder, 'base.raw')
    const content = randomBytes(50_000)
    writeFileSync(base, content)
    disk = { ...disk, base, baseBytes: content.length }
    await fill(Buffer.from('upon'), disk, 49_998)
    const expected = Buffer.alloc(disk.bytes)
    content.copy(expected)
    expected.write('upon', 49_998)
    expect((await wholeVolume(store, disk)).equals(expected)).toBe(true)
    const seen: number[] = []
    await store.flatten(disk, join(folder, 'flat'), { onProgress: (done) => seen.push(done) })
    expect(readFileSync(join(folder, 'flat')).equals(expected)).toBe(true)
    expect(seen.at(-1)).toBe(disk.bytes)
    await store.flattenLayer(disk, copied('own').layer, {})
    const own = { ...copied('own'), base: null, baseBytes: 0 }
    expect((await wholeVolume(store, own)).equals(expected)).toBe(true)
    expect(readFileSync(base).equals(content)).toBe(true)
    truncateSync(base, 40_000)
    await expect(store.open(disk, 'domain')).rejects.toMatchObject({ kind: 'damaged' })
  })

  it('gives up a flattening that is cancelled', async () => {
    await fill(SECRET)
    const signal = AbortSignal.abort()
    await expect(store.flatten(disk, join(folder, 'flat'), { signal })).rejects.toMatchObject({ kind: 'cancelled' })
    await expect(store.flattenLayer(disk, copied('own').layer, { signal })).rejects.toMatchObject({ kind: 'cancelled' })
    expect(readdirSync(folder).sort()).toEqual(['disk.layer', 'volumes'])
    expect(files()).toHaveLength(2)
  })

  it('grows a disk, in use or not', async () => {
    const volume = await store.open(disk, 'domain')
    await store.grow(disk.layer, disk.bytes + 4096)
    expect(volume.size).toBe(disk.bytes + 4096)
    volume.write(disk.bytes, Buffer.alloc(4096, 1))
    await store.close(disk.layer)
    const larger = await store.open({ ...disk, bytes: disk.bytes + 8192 }, 'domain')
    expect(larger.size).toBe(disk.bytes + 8192)
    await store.close(disk.layer)
    expect((await wholeVolume(store, disk)).subarray(disk.bytes)).toEqual(
      Buffer.concat([Buffer.alloc(4096, 1), Buffer.alloc(4096)]),
    )
  })

  it('finds a sound disk sound and names the file of a damaged one, of which it tells the room', async () => {
    await fill(SECRET)
    expect(await store.layerBytes(disk.layer)).toBeGreaterThan(SECRET.length)
    expect(await store.check(disk)).toEqual({ damage: '', repairable: false })
    const data = join(folder, 'volumes', files().find((name) => name.endsWith('.data')) ?? '')
    const plain = readFileSync(data).includes('nobody shall read')
    expect(plain).toBe(master === null)
    truncateSync(data, 100)
    expect((await store.check(disk)).damage).toContain(data)
  })

  it('is not opened with another key', async () => {
    await fill(SECRET)
    const stranger = newVolumeStore(folder, Buffer.alloc(32, 9))
    await expect(stranger.open(disk, 'domain')).rejects.toMatchObject({ kind: 'damaged' })
    expect(existsSync(disk.layer)).toBe(true)
  })
})
