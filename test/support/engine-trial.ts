import { mkdtempSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { EngineCatalog } from '../../vmm/engine/catalog'
import type { Engine } from '../../vmm/engine/engine'
import { forkGuests } from '../../vmm/engine/guest-process'
import type { DiskSpec, MachineSpec } from '../../vmm/engine/machine-spec'
import type { StarterImage } from '../../vmm/images/starter'
import { ENGINE_IDS } from '../../vmm/model/domain'
import { isAlive } from './main-process'
import { guestOf, PLAIN_PC, shell, type Guest } from './machines'
import { testStarter } from './starter'

export const MIB = 1024 * 1024
export const emptyDisk = (layer: string): DiskSpec => ({
  id: 'disk',
  base: null,
  baseBytes: 0,
  bytes: MIB,
  layer,
  served: null,
})

/** One engine with a guest that has booted, and the state in which it then was. */
export class EngineTrial {
  starter!: StarterImage
  /** Shared by the tests of a file. */
  guest!: Guest
  readonly bootedFile: string
  readonly #bootedLayer: string
  readonly #pids = new Set<number>()
  #domains = 0

  constructor(
    readonly engine: Engine,
    private readonly folder: string,
  ) {
    this.bootedFile = path.join(folder, 'booted.state')
    this.#bootedLayer = path.join(folder, 'booted.layer')
  }

  async boot(): Promise<void> {
    this.starter = await testStarter()
    this.guest = await this.start()
    expect(await this.guest.agent.answers(120_000)).toBe(true)
    const note = 'echo kept > /root/note; echo on-disk | dd of=$(echo /dev/[sv]da) conv=sync,fsync 2>/dev/null'
    await shell(this.guest, note)
    await this.guest.machine.saveState(this.bootedFile, { compress: false, layerCopies: { disk: this.#bootedLayer } })
  }

  async end(): Promise<void> {
    await this.guest.machine.kill()
    await vi.waitFor(() => expect([...this.#pids].filter(isAlive)).toEqual([]), 10_000)
  }

  spec(more: Partial<MachineSpec> = {}): MachineSpec {
    const { kernel, initrd, cmdline, bios, vgaBios } = this.starter
    return {
      domainId: `parity-${++this.#domains}`,
      memoryMiB: 96,
      boot: { kind: 'kernel', kernel, initrd, cmdline },
      disks: [emptyDisk(path.join(mkdtempSync(path.join(this.folder, 'm-')), 'disk.layer'))],
      bios: { bios, vgaBios },
      ...PLAIN_PC,
      resumeFrom: null,
      ...more,
    }
  }

  async start(more: Partial<MachineSpec> = {}): Promise<Guest> {
    return await this.#run(this.spec(more))
  }

  /** A guest of its own that goes on where the booted one was saved. */
  async resumed(more: Partial<MachineSpec> = {}): Promise<Guest> {
    const own = this.spec(more)
    await this.engine.copyLayer(this.#bootedLayer, own.disks[0]?.layer ?? '')
    return await this.#run({ ...own, resumeFrom: this.bootedFile, ...more })
  }

  async #run(spec: MachineSpec): Promise<Guest> {
    const machine = await this.engine.start(spec)
    this.#pids.add(machine.pid ?? 0)
    return guestOf(machine)
  }
}

/** Runs one body of tests on every engine; one that does not work here is skipped, with its reason. */
export async function onEveryEngine(folder: string, behaves: (trial: EngineTrial) => void): Promise<void> {
  const catalog = new EngineCatalog(forkGuests(path.resolve('.vite/build/guest.js')), {
    layers: path.join(folder, 'layers'),
    run: path.join(folder, 'run'),
    cache: path.join(folder, 'cache'),
  })
  for (const id of ENGINE_IDS) {
    const engine = catalog.get(id)
    const { works, reason } = await engine.probe()
    describe(id, () => {
      if (!works) {
        test('runs machines', (context) => context.skip(reason))
        return
      }
      const trial = new EngineTrial(engine, mkdtempSync(path.join(folder, 'trial-')))
      beforeAll(() => trial.boot())
      afterAll(() => trial.end())
      behaves(trial)
    })
  }
}
