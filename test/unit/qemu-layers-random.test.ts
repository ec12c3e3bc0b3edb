import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import type * as FileSystem from 'node:fs/promises'
import { basename, join } from 'node:path'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { DiskSpec } from '../../vmm/engine/machine-spec'
import { LayerContent } from '../../vmm/engine/qemu-layer-content'
import { readLayerRecord } from '../../vmm/engine/qemu-layer-record'
import { LayerStore } from '../../vmm/engine/qemu-layers'
import { chainOf } from '../../vmm/engine/qemu-overlay'
import type * as Program from '../../vmm/images/program'
import { PowerSupply } from '../support/power-cut'
import { NO_QEMU_IMG, qemuImg, readDisk } from '../support/qemu-disks'
import { below, pick, type Random } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { temporaryFolder } from '../support/temporary-folder'

const power = vi.hoisted(() => ({ supply: null as PowerSupply | null }))

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof FileSystem>()
  const supplied = <A extends unknown[], R>(change: (...args: A) => Promise<R>) => {
    return async (...args: A) => {
      power.supply?.use()
      return await change(...args)
    }
  }
  const open = async (file: string, flags?: string, mode?: number) => {
    if (flags !== undefined && flags !== 'r') power.supply?.use()
    return await real.open(file, flags, mode)
  }
  return { ...real, rename: supplied(real.rename), rm: supplied(real.rm), mkdir: supplied(real.mkdir), open }
})
vi.mock('../../vmm/images/program', async (original) => {
  const real = await original<typeof Program>()
  const runProgram: typeof real.runProgram = async (...args) => {
    power.supply?.use()
    return await real.runProgram(...args)
  }
  return { ...real, runProgram }
})

const SECTOR = 512
const MIB = 1024 * 1024
const MOST_LAYERS = 6

/** A layer and what it must read as. */
interface Known {
  disk: DiskSpec
  content: Buffer
  /** Domain of the machine that has it open. */
  owner: string | null
  /** File that this machine writes to. */
  file: string
}

class World {
  readonly known = new Map<string, Known>()
  readonly #base: string
  #store: LayerStore
  #names = 0
  #values = 0

  constructor(
    private readonly folder: string,
    private readonly random: Random,
    readonly supply: PowerSupply,
  ) {
    for (const name of ['records', 'files']) mkdirSync(join(folder, name))
    this.#base = join(folder, 'base.raw')
    writeFileSync(this.#base, Buffer.alloc(MIB, 0xbb))
    this.#store = this.#newStore()
  }

  get files(): string {
    return join(this.folder, 'files')
  }

  #newStore(): LayerStore {
    return new LayerStore(this.files)
  }

  #one(which: (known: Known) => boolean): Known | undefined {
    const found = [...this.known.values()].filter(which)
    return found.length > 0 ? pick(this.random, found) : undefined
  }

  #newDisk(bytes: number, base: string | null): DiskSpec {
    const id = `disk${++this.#names}`
    return {
      id,
      base,
      baseBytes: base === null ? 0 : MIB,
      bytes,
      layer: join(this.folder, 'records', `${id}.layer`),
      served: null,
    }
  }

  /** Does one thing that an engine may do; its name. */
  async step(): Promise<string> {
    const idle = this.#one((each) => each.owner === null)
    const live = this.#one((each) => each.owner !== null)
    const room = this.known.size < MOST_LAYERS
    const steps: [string, (() => Promise<void>) | false | undefined][] = [
      ['create', room && (() => this.#create())],
      ['open', idle && (() => this.#open(idle))],
      ['write', live && (() => this.#write(live))],
      ['close', live && (() => this.#close(live, true))],
      ['die', live && (() => this.#close(live, false))],
      ['copy', idle && room && (() => this.#copy(idle))],
      ['copy live', live && room && (() => this.#copyLive(live))],
      ['give up a live copy', live && (() => this.#giveUp(live))],
      ['remove', idle && (() => this.#remove(idle))],
      ['flatten', idle && (() => this.#flatten(idle))],
      ['start anew', () => this.restart()],
    ]
    const possible = steps.flatMap(([name, work]): [string, () => Promise<void>][] => (work ? [[name, work]] : []))
    const [name, work] = pick(this.random, possible)
    await work()
    return name
  }

  async #create(): Promise<void> {
    const base = pick(this.random, [null, this.#base])
    const disk = this.#newDisk(MIB, base)
    const content = Buffer.alloc(MIB, base === null ? 0 : 0xbb)
    const known: Known = { disk, content, owner: null, file: '' }
    await this.#open(known).finally(() => {
      if (existsSync(disk.layer)) this.known.set(disk.id, known)
    })
  }

  async #open(known: Known): Promise<void> {
    const larger = below(this.random, 4) === 0 && known.disk.bytes < 3 * MIB
    const bytes = known.disk.bytes + (larger ? MIB / 2 : 0)
    const owner = `domain-of-${known.disk.id}`
    const { files } = await this.#store.open({ ...known.disk, bytes }, owner)
    known.disk = { ...known.disk, bytes }
    known.content = Buffer.concat([known.content], bytes)
    known.owner = owner
    known.file = files[0] ?? ''
  }

  async #write(known: Known): Promise<void> {
    const sectors = known.disk.bytes / SECTOR
    const from = below(this.random, sectors)
    const count = 1 + below(this.random, Math.min(300, sectors - from))
    const value = 1 + (this.#values++ % 200)
    const command = `write -P ${value} ${from * SECTOR} ${count * SECTOR}`
    execFileSync('qemu-io', ['-f', 'qcow2', '-c', command, known.file], { stdio: 'pipe' })
    known.content.fill(value, from * SECTOR, (from + count) * SECTOR)
  }

  async #close(known: Known, clean: boolean): Promise<void> {
    const owner = known.owner ?? ''
    known.owner = null // whatever comes: the machine is gone
    await this.#store.closed([known.disk.layer], owner, clean)
  }

  async #copy(known: Known): Promise<void> {
    await this.#making(known, (to) => this.#store.copy(known.disk.layer, to))
  }

  async #copyLive(known: Known): Promise<void> {
    const { layer } = known.disk
    const next = await this.#store.prepare(layer, known.owner ?? '')
    known.file = next
    await this.#making(known, (to) => this.#store.commit(layer, to))
  }

  async #giveUp({ disk, owner }: Known): Promise<void> {
    await this.#store.prepare(disk.layer, owner ?? '')
    await this.#store.settle(disk.layer, false)
  }

  /** Whole or absent, even when `make` is cut off. */
  async #making(from: Known, make: (to: string) => Promise<void>): Promise<void> {
    const disk = this.#newDisk(from.disk.bytes, from.disk.base)
    const known = { disk, content: Buffer.from(from.content), owner: null, file: '' }
    await make(disk.layer).finally(() => {
      if (existsSync(disk.layer)) this.known.set(disk.id, known)
    })
  }

  async #remove({ disk }: Known): Promise<void> {
    await this.#store.remove(disk.layer).finally(() => {
      if (!existsSync(disk.layer)) this.known.delete(disk.id)
    })
  }

  async #flatten({ disk }: Known): Promise<void> {
    await this.#store.put(disk.layer, await new LayerContent(this.files).flatten(disk, {}))
  }

  /** Another main, which takes over the machines and knows every layer. */
  async restart(): Promise<void> {
    this.#store = this.#newStore()
    for (const { disk, owner } of this.known.values()) {
      if (owner === null) continue
      await this.#store.adopt([disk.layer], owner)
      const next = await this.#store.pending(disk.layer)
      const file = this.known.get(disk.id)?.file ?? ''
      if (next !== null) await this.#store.settle(disk.layer, next === file)
    }
    const records = readdirSync(join(this.folder, 'records')).filter((name) => name.endsWith('.layer'))
    await this.#store.sweep(records.map((name) => join(this.folder, 'records', name)))
  }

  /** Every layer reads as it must, and there is no file too many. */
  async check(after: string): Promise<void> {
    const needed = new Set<string>()
    for (const { disk, content, owner, file } of this.known.values()) {
      const read = await readDisk(await new LayerContent(this.files).source(disk), this.folder)
      // a growth that was cut off may have been done or not
      expect(read.equals(Buffer.concat([content], read.length)), `${disk.id} after ${after}`).toBe(true)
      expect(read.length).toBeGreaterThanOrEqual(content.length)
      const record = await readLayerRecord(disk.layer)
      const top = record?.top ?? record?.parent ?? ''
      if (owner !== null) expect(basename(file), `${disk.id} after ${after}`).toBe(`${top}.qcow2`)
      for (const id of await chainOf(this.files, top)) needed.add(`${id}.qcow2`)
    }
    expect(new Set(readdirSync(this.files)), `files after ${after}`).toEqual(needed)
  }

  checkStructure(): void {
    for (const name of readdirSync(this.files)) {
      expect(qemuImg('check', '-f', 'qcow2', join(this.files, name))).toMatch(/No errors were found/)
    }
  }
}

describe.skipIf(NO_QEMU_IMG)(`layers of the QEMU engine under random use ${NO_QEMU_IMG}`, () => {
  let supply: PowerSupply
  beforeEach(() => {
    supply = new PowerSupply()
    power.supply = supply
  })

  test('always read as what was written to them, and leave nothing behind', { timeout: 120_000 }, async () => {
    const { random } = seededRandom()
    const world = new World(temporaryFolder(), random, supply)
    const steps: string[] = []
    await world.restart()
    for (let count = 0; count < 40; count += 1) {
      steps.push(await world.step())
      await world.check(steps.join(', '))
    }
    world.checkStructure()
  })

  test('lose nothing that was acknowledged when main dies at any moment', { timeout: 120_000 }, async () => {
    const { random } = seededRandom()
    const world = new World(temporaryFolder(), random, supply)
    const steps: string[] = []
    await world.restart()
    for (let count = 0; count < 40; count += 1) {
      supply.lastsFor(below(random, 12))
      const step = await world.step().catch((error: unknown) => {
        if (supply.isGone) return 'a step'
        throw error
      })
      const cut = supply.isGone
      supply.back()
      steps.push(cut ? `${step} that was cut off` : step)
      if (cut || count === 39) {
        await world.restart()
        await world.check(steps.join(', '))
      }
    }
    world.checkStructure()
  })
})
