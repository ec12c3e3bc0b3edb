import { NO_LIMITS, type DiskLimits } from '../model/hardware'
import { VmmError } from '../model/errors'
import { diskSource, fileSource } from '../images/block-source'
import { cdSource } from './qemu-devices'
import type { LayerCopies } from './machine'
import type { LayerStore } from './qemu-layers'
import { deviceOf, nodeOf, overlayNode } from './qemu-names'
import type { Qmp } from './qemu-link'

/** A disk of a running machine. */
export interface LiveDisk {
  id: string
  layer: string
  /** QEMU's path of the part that throttles are set on. */
  backend: string
  /** Whether somebody else keeps its layer. */
  served: boolean
}

/** All disks of a machine share one budget. */
const LIMIT_GROUP = 'limits'

/** The disks of a running machine: copies of one moment, sizes, limits, CDs. */
export class QemuDisks {
  #switched = 0

  constructor(
    private readonly disks: readonly LiveDisk[],
    private readonly layers: LayerStore,
    private readonly owner: string,
  ) {}

  get files(): string[] {
    return this.#own.map((disk) => disk.layer)
  }

  get #own(): LiveDisk[] {
    return this.disks.filter(({ served }) => !served)
  }

  /** Moves the machine, which stands still, to new files on top of those that it writes to; `copies` get the old ones. */
  async copy(qmp: Qmp, copies: LayerCopies): Promise<void> {
    const wanted = this.#own.filter((disk) => disk.id in copies)
    if (wanted.length === 0) return
    await this.settle(qmp)
    const nodes = await this.#activeNodes(qmp)
    try {
      const actions = []
      for (const disk of wanted) {
        const file = await this.layers.prepare(disk.layer, this.owner)
        const overlay = overlayNode(file)
        const options = { discard: 'unmap', ...diskSource('qcow2', fileSource(file)) }
        await qmp.run('blockdev-add', { 'node-name': overlay, ...options })
        const node = nodes.get(deviceOf(disk.id)) ?? nodeOf(disk.id)
        actions.push({ type: 'blockdev-snapshot' as const, data: { node, overlay } })
      }
      // all of them or none
      await qmp.run('transaction', { actions })
    } catch (error) {
      // one that did not answer in time may have done it all the same: it is asked, now or at the next move
      await this.settle(qmp).catch(() => undefined)
      throw error
    }
    for (const disk of wanted) await this.layers.commit(disk.layer, copies[disk.id] ?? '')
  }

  /** Ends a move whose end was not seen: the machine tells which file it writes to. */
  async settle(qmp: Qmp): Promise<void> {
    for (const disk of this.#own) {
      const next = await this.layers.pending(disk.layer)
      if (next === null) continue
      // by its node's name: the name of a file with files below it is for QEMU to choose
      const overlay = overlayNode(next)
      const moved = (await this.#activeNodes(qmp)).get(deviceOf(disk.id)) === overlay
      if (!moved) await qmp.run('blockdev-del', { 'node-name': overlay }).catch(() => undefined) // it may have no such
      await this.layers.settle(disk.layer, moved)
    }
  }

  /** See `block_set_io_throttle` in QEMU's reference, and its docs/throttle.txt for bursts. */
  async limit(qmp: Qmp, limits: DiskLimits): Promise<void> {
    for (const { backend } of this.disks) {
      await qmp.run('block_set_io_throttle', { id: backend, ...throttles(limits) })
    }
  }

  async resize(qmp: Qmp, id: string, bytes: number): Promise<void> {
    const disk = this.disks.find((each) => each.id === id)
    if (!disk) throw new VmmError('not-found', 'The running machine has no such disk.', { hint: 'It is not attached.' })
    if (disk.served) {
      throw new VmmError('unsupported', 'This disk cannot be made larger while the guest uses it.', {
        hint: 'Shut the domain down first.',
      })
    }
    const nodes = await this.#activeNodes(qmp)
    await qmp.run('block_resize', { 'node-name': nodes.get(deviceOf(id)) ?? nodeOf(id), size: bytes })
    await this.layers.grown(disk.layer, bytes)
  }

  /** As by hand: open, take out, put in, close. */
  async changeCd(qmp: Qmp, id: string, path: string | null): Promise<void> {
    const device = deviceOf(id)
    const before = (await this.#activeNodes(qmp)).get(device)
    await qmp.run('blockdev-open-tray', { id: device, force: true })
    if (before) {
      await qmp.run('blockdev-remove-medium', { id: device })
      await qmp.run('blockdev-del', { 'node-name': before })
    }
    if (path !== null) {
      const node = `${nodeOf(id)}-${++this.#switched}-${Date.now() % 1e6}`
      await qmp.run('blockdev-add', { 'node-name': node, ...cdSource(path) })
      await qmp.run('blockdev-insert-medium', { id: device, 'node-name': node })
    }
    await qmp.run('blockdev-close-tray', { id: device })
  }

  /** Node of what each device has in it, by the device's name. */
  async #activeNodes(qmp: Qmp): Promise<Map<string, string>> {
    const blocks = await qmp.run('query-block', {})
    return new Map(
      blocks.flatMap(({ qdev, inserted }) => (inserted ? [[deviceName(qdev), inserted['node-name']]] : [])),
    )
  }
}

/** '/machine/peripheral/dev-disk/virtio-backend' is dev-disk's, and so is 'dev-disk'. */
function deviceName(qdev: string): string {
  return /^\/machine\/peripheral\/([^/]+)/.exec(qdev)?.[1] ?? qdev
}

/** QEMU takes no burst of more than this in all (THROTTLE_VALUE_MAX). */
const BURST_MOST = 1e15

function throttles(limits: DiskLimits): Record<string, string | number> {
  const { readBytes, writeBytes, readOps, writeOps, burstTimes, burstSeconds } = { ...NO_LIMITS, ...limits }
  const set = { bps_rd: readBytes, bps_wr: writeBytes, iops_rd: readOps, iops_wr: writeOps }
  const bursts = Object.entries(set).flatMap(([name, rate]): [string, number][] =>
    burstTimes > 1 && rate > 0
      ? [
          [`${name}_max`, Math.min(Math.round(rate * burstTimes), Math.floor(BURST_MOST / burstSeconds))],
          [`${name}_max_length`, burstSeconds],
        ]
      : [],
  )
  return { bps: 0, iops: 0, ...set, ...Object.fromEntries(bursts), group: LIMIT_GROUP }
}
