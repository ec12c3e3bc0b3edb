import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { NbdServer } from '../../vmm/disks/nbd-server'
import { VolumeStore } from '../../vmm/disks/volume-store'
import type { DiskSpec } from '../../vmm/engine/machine-spec'
import { BlobPool } from '../../vmm/sealed/blob-pool'
import { StoreKey } from '../../vmm/sealed/store-key'
import { IoGate } from '../../vmm/throttle/io-gate'
import { NO_RATES } from '../../vmm/model/policy-io'
import { onEveryEngine, type EngineTrial } from '../support/engine-trial'
import { shell, type Guest } from '../support/machines'
import { realClock } from '../support/real-clock'
import { temporaryFolderForFile } from '../support/temporary-folder'

const MIB = 1024 * 1024
const MARK = 'nobody shall read this on the host'
const SUM = 'echo 3 > /proc/sys/vm/drop_caches; dd if=$D bs=1M count=8 skip=1 2>/dev/null | sha256sum'

const folder = temporaryFolderForFile()

/** What a file process does for one disk. */
class Served {
  readonly gate = new IoGate(realClock, NO_RATES)
  readonly #volumes: string
  #store: VolumeStore
  #server: NbdServer | null = null

  constructor(
    readonly disk: DiskSpec & { served: string },
    private readonly place: string,
  ) {
    this.#volumes = path.join(place, 'volumes')
    this.#store = this.#newStore()
  }

  async open(): Promise<void> {
    const volume = await this.#store.open(this.disk, 'domain')
    this.#server = await NbdServer.listen(this.disk.served)
    this.#server.add(this.disk.id, volume, this.gate)
    this.#abandon = () => volume.abandon()
  }

  #abandon: () => void = () => undefined

  /** Lets go of everything as a process that is killed does. */
  async crash(): Promise<void> {
    await this.#server?.close()
    this.#abandon()
    this.#store = this.#newStore()
  }

  async close(): Promise<void> {
    await this.#server?.close()
    this.#server = null
    await this.#store.close(this.disk.layer)
  }

  async copyTo(layer: string): Promise<void> {
    await this.#server?.drain()
    await this.#store.copyLayer(this.disk.layer, layer)
    this.#server?.resume()
  }

  async revertTo(layer: string): Promise<void> {
    await this.#store.removeLayer(this.disk.layer)
    await this.#store.copyLayer(layer, this.disk.layer)
  }

  holds(text: string): boolean {
    return readdirSync(this.#volumes).some((name) => readFileSync(path.join(this.#volumes, name)).includes(text))
  }

  #newStore(): VolumeStore {
    return new VolumeStore(
      path.join(this.place, 'volumes'),
      StoreKey.of(Buffer.alloc(32, 6), 'volumes'),
      new BlobPool(),
    )
  }
}

const inGuest = (guest: Guest, line: string) => shell(guest, `D=$(echo /dev/[sv]da); ${line}`)
const writeNoise = (guest: Guest) =>
  inGuest(guest, `dd if=/dev/urandom of=$D bs=1M count=8 seek=1 conv=notrunc,fsync 2>/dev/null; ${SUM}`)

await onEveryEngine(folder, (trial: EngineTrial) => {
  const ends: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })

  test('a guest keeps a sealed volume over snapshots, reverts and the end of its server', async () => {
    const { domainId, disks } = trial.spec()
    const layer = disks[0]?.layer ?? ''
    const place = path.dirname(layer)
    const socket = path.join(place, 'disks.sock')
    const disk = { id: 'disk', base: null, baseBytes: 0, bytes: 32 * MIB, layer, served: socket }
    const served = new Served(disk, place)
    await served.open()
    let guest = await trial.start({ domainId, disks: [disk] })
    ends.push(
      () => served.close(),
      () => guest.machine.kill(),
    )
    expect(await guest.agent.answers(120_000)).toBe(true)

    await inGuest(guest, `printf %-512s '${MARK}' | dd of=$D bs=512 conv=notrunc,fsync 2>/dev/null`)
    const before = await writeNoise(guest)
    const [state, copy] = [path.join(place, 'saved.state'), path.join(place, 'copy.layer')]
    await guest.machine.saveState(state, { compress: false, layerCopies: {}, atMoment: () => served.copyTo(copy) })

    const after = await writeNoise(guest)
    expect(after).not.toBe(before)
    await inGuest(guest, `sync; blockdev --flushbufs $D`).catch(() => '')
    const writing = inGuest(
      guest,
      `dd if=/dev/zero of=$D bs=64k count=64 seek=200 conv=notrunc,fsync 2>/dev/null; ${SUM}`,
    )
    await served.crash()
    await served.open()
    expect(await writing, 'the guest goes on when its server is back').toBe(after)
    expect(served.gate.counters('write').bytes).toBeGreaterThan(16 * MIB)

    await guest.machine.kill()
    await served.close()
    expect(served.holds(MARK)).toBe(false)
    await served.revertTo(copy)
    await served.open()
    guest = await trial.start({ domainId, disks: [disk], resumeFrom: state })
    expect(await inGuest(guest, SUM), 'the disk is as the memory knows it').toBe(before)
    expect(await inGuest(guest, 'head -c 34 $D')).toBe(MARK)
  })
})
