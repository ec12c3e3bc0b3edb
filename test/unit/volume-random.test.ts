import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Volume } from '../../vmm/disks/volume'
import type { VolumeStore } from '../../vmm/disks/volume-store'
import type { DiskSpec } from '../../vmm/engine/machine-spec'
import { below, bytes, pick, type Random } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { temporaryFolder } from '../support/temporary-folder'
import { newVolumeStore, volumeDisk, wholeVolume } from '../support/volume-disks'

const DISKS_MOST = 5
const BASE = Buffer.alloc(70_000, 0xbb)

interface Known {
  disk: DiskSpec
  content: Buffer
  volume: Volume | null
}

class World {
  readonly #known: Known[] = []
  #names = 0
  #store: VolumeStore

  constructor(
    private readonly folder: string,
    private readonly random: Random,
    private readonly master: Uint8Array | null,
  ) {
    mkdirSync(join(folder, 'records'))
    writeFileSync(join(folder, 'base'), BASE)
    this.#store = newVolumeStore(folder, master)
  }

  async step(): Promise<string> {
    const one = (which: (known: Known) => boolean) => {
      const found = this.#known.filter(which)
      return found.length > 0 ? pick(this.random, found) : null
    }
    const idle = one(({ volume }) => volume === null)
    const live = one(({ volume }) => volume !== null)
    const room = this.#known.length < DISKS_MOST
    const steps: [string, false | null | (() => Promise<void> | void)][] = [
      ['create', room && (() => this.#create())],
      ['open', idle && (() => this.#open(idle))],
      ...Array.from({ length: 4 }, (): [string, false | null | (() => void)] => [
        'change',
        live && (() => this.#change(live)),
      ]),
      ['flush', live && (() => live.volume?.flush())],
      ['flush and go on', live && (() => void live.volume?.flush().catch(() => undefined))],
      ['close', live && (() => this.#close(live))],
      ['copy', (idle ?? live) && room && (() => this.#copy(pick(this.random, this.#known)))],
      ['grow', live && (() => this.#grow(live))],
      ['flatten', idle && room && (() => this.#flatten(idle))],
      ['remove', idle && (() => this.#remove(idle))],
      ['start anew', () => this.#restart()],
    ]
    const possible = steps.flatMap(([name, work]) => (work ? [{ name, work }] : []))
    const { name, work } = pick(this.random, possible)
    await work()
    return name
  }

  #newDisk(more: Partial<DiskSpec>): DiskSpec {
    return volumeDisk(join(this.folder, 'records'), `disk${++this.#names}`, more)
  }

  async #create(): Promise<void> {
    const base = pick(this.random, [null, join(this.folder, 'base')])
    const disk = this.#newDisk({ base, baseBytes: base === null ? 0 : BASE.length })
    const content = Buffer.alloc(disk.bytes)
    if (base !== null) BASE.copy(content)
    const known = { disk, content, volume: null }
    this.#known.push(known)
    await this.#open(known)
  }

  async #open(known: Known): Promise<void> {
    known.volume = await this.#store.open(known.disk, 'domain')
  }

  #change({ volume, content }: Known): void {
    const at = below(this.random, content.length)
    const length = 1 + below(this.random, Math.min(content.length - at, pick(this.random, [600, 40_000])))
    if (below(this.random, 3) === 0) {
      volume?.zero(at, length)
      content.fill(0, at, at + length)
    } else {
      const data = bytes(this.random, length)
      volume?.write(at, data)
      data.copy(content, at)
    }
  }

  async #close(known: Known): Promise<void> {
    known.volume = null
    await this.#store.close(known.disk.layer)
  }

  async #copy({ disk, content }: Known): Promise<void> {
    const to = this.#newDisk({ base: disk.base, baseBytes: disk.baseBytes, bytes: disk.bytes })
    await this.#store.copyLayer(disk.layer, to.layer)
    this.#known.push({ disk: to, content: Buffer.from(content), volume: null })
  }

  async #grow(known: Known): Promise<void> {
    const more = 512 * (1 + below(this.random, 80))
    await this.#store.grow(known.disk.layer, known.disk.bytes + more)
    known.disk = { ...known.disk, bytes: known.disk.bytes + more }
    known.content = Buffer.concat([known.content, Buffer.alloc(more)])
  }

  async #flatten({ disk, content }: Known): Promise<void> {
    const to = this.#newDisk({ bytes: disk.bytes })
    await this.#store.flattenLayer(disk, to.layer, {})
    this.#known.push({ disk: to, content: Buffer.from(content), volume: null })
  }

  async #remove(known: Known): Promise<void> {
    await this.#store.removeLayer(known.disk.layer)
    this.#known.splice(this.#known.indexOf(known), 1)
  }

  /** As after a crash that follows a flush. */
  async #restart(): Promise<void> {
    for (const known of this.#known) {
      await known.volume?.flush()
      known.volume?.abandon()
      known.volume = null
    }
    this.#store = newVolumeStore(this.folder, this.master)
    await this.#store.sweep(this.#known.map(({ disk }) => disk.layer))
  }

  async check(after: string): Promise<void> {
    for (const { disk, content, volume } of this.#known) {
      const read = Buffer.alloc(content.length)
      if (volume) volume.read(0, read)
      else if (below(this.random, 4) === 0) (await wholeVolume(this.#store, disk)).copy(read)
      else continue
      expect(read.equals(content), `${disk.id} after ${after}`).toBe(true)
    }
  }

  async end(): Promise<void> {
    await this.#restart()
    for (const { disk, content } of this.#known) {
      expect((await wholeVolume(this.#store, disk)).equals(content), `${disk.id} at the end`).toBe(true)
    }
    for (const known of [...this.#known]) await this.#remove(known)
    expect(readdirSync(join(this.folder, 'volumes'))).toEqual([])
  }
}

test.each([
  ['sealed', Buffer.alloc(32, 4)],
  ['plain', null],
])('volumes always read as what was written to them, %s', { timeout: 60_000 }, async (_, master) => {
  const { random } = seededRandom()
  for (let run = 0; run < 6; run++) {
    const world = new World(temporaryFolder(), random, master)
    const steps: string[] = []
    for (let count = 0; count < 80; count++) {
      steps.push(await world.step())
      await world.check(steps.join(', '))
    }
    await world.end()
  }
})
