import path from 'node:path'
import type { BlockSource } from '../images/block-source'
import { NO_CAPABILITIES, type EngineCapabilities } from '../model/capabilities'
import type { Isolation } from '../model/domain'
import { asVmmError, VmmError } from '../model/errors'
import { howToInstallQemu } from '../images/qemu-programs'
import { requireFiles } from './boot-files'
import type { DiskCondition, Engine, EngineFolders, EngineVerdict, FileWork } from './engine'
import type { MachineEnd } from './machine'
import type { DiskSpec, MachineSpec } from './machine-spec'
import { qemuCommand } from './qemu-command'
import { withHolder } from './qemu-file-holder'
import { QemuHosts } from './qemu-host'
import { LayerContent } from './qemu-layer-content'
import { NO_LAYER } from './qemu-layer-record'
import { LayerStore } from './qemu-layers'
import type { QemuMachine } from './qemu-machine'
import { machineUuid } from './qemu-process'
import { QemuRuns } from './qemu-runs'
import { checkState } from './qemu-state'
import { uefiCode } from './qemu-uefi'

/** Real hardware where the host lets us, emulated elsewhere: one QEMU process a guest, which outlives Vivarium. */
export class QemuEngine implements Engine {
  readonly id = 'qemu'
  readonly name = 'QEMU'
  readonly capabilities: EngineCapabilities = {
    ...NO_CAPABILITIES,
    pause: true,
    save: true,
    liveSnapshot: true,
    diskSnapshot: true,
    instantStart: true,
    linkedClone: true,
    filesCard: true,
    powerButton: true,
    agentPort: true,
    balloon: true,
    diskLimits: true,
    growDisk: true,
    outlivesMain: true,
    mostCpus: 16,
    mostMemoryMiB: 256 * 1024,
    furtherDisks: 7,
    mostNics: 8,
    firmwares: ['bios', 'uefi'],
    machineTypes: ['q35', 'pc', 'microvm'],
    accelerators: ['kvm', 'hvf', 'whpx', 'tcg'],
    diskBuses: ['virtio', 'sata'],
  }
  isolation: Isolation = 'emulated'
  readonly #hosts: QemuHosts
  readonly #layers: LayerStore
  readonly #content: LayerContent
  readonly #runs: QemuRuns

  constructor(folders: EngineFolders) {
    this.#hosts = new QemuHosts(path.join(folders.cache, 'qemu.json'))
    this.#layers = new LayerStore(folders.layers)
    this.#content = new LayerContent(folders.layers)
    this.#runs = new QemuRuns(folders.run, this.#hosts, this.#layers)
  }

  /** Of whatever QEMU there is now; '' without one. */
  async stateVersion(): Promise<string> {
    const { version } = await this.#hosts.find().catch(() => ({ version: '' }))
    return version && `qemu-${version}-2`
  }

  async probe(anew = false): Promise<EngineVerdict> {
    try {
      const { version, accelerators } = await this.#hosts.find(anew)
      const best = accelerators.find(({ works }) => works)
      this.isolation = best === undefined || best.id === 'tcg' ? 'emulated' : 'hardware'
      const reason = best ? '' : `No accelerator works here. ${howToInstallQemu()}`
      return { works: best !== undefined, reason, version: `QEMU ${version}`, accelerators }
    } catch (error) {
      const { message, hint } = asVmmError(error, 'look for QEMU')
      return { works: false, reason: [message, hint].filter(Boolean).join(' '), version: '', accelerators: [] }
    }
  }

  async checkState(file: string): Promise<string> {
    return await checkState(file).then(
      () => '',
      (error: unknown) => asVmmError(error, 'read the saved state').message,
    )
  }

  copyLayer(from: string, to: string): Promise<void> {
    return this.#layers.copy(from, to)
  }

  async flattenLayer(disk: DiskSpec, to: string, work: FileWork): Promise<void> {
    await this.#layers.put(to, await this.#content.flatten(disk, work))
  }

  removeLayer(file: string): Promise<void> {
    return this.#layers.remove(file)
  }

  layerBytes(file: string): Promise<number> {
    return this.#content.bytes(file)
  }

  diskSource(disk: DiskSpec): Promise<BlockSource> {
    return this.#content.source(disk)
  }

  checkDisk(disk: DiskSpec): Promise<DiskCondition> {
    return this.#content.check(disk)
  }

  async repairDisk(disk: DiskSpec, work: FileWork): Promise<void> {
    await this.#layers.put(disk.layer, await this.#content.repair(disk, work))
  }

  async commandLine(spec: MachineSpec): Promise<string[]> {
    const { binary, sandbox } = await this.#hosts.find()
    return qemuCommand(spec, {
      binary,
      sandbox,
      accelerator: await this.#hosts.choose(spec.accelerator),
      uuid: machineUuid(spec.domainId),
      layers: await Promise.all(
        spec.disks.map(async (disk) => (disk.served === null ? await this.#content.opened(disk) : NO_LAYER)),
      ),
      uefiCode: spec.firmware === 'uefi' ? await uefiCode() : null,
    })
  }

  async start(spec: MachineSpec, signal?: AbortSignal): Promise<QemuMachine> {
    await requireFiles(spec)
    await this.probe()
    try {
      for (const disk of spec.disks) await this.#requireSound(disk)
      if (signal?.aborted) throw new VmmError('cancelled', 'The start was cancelled.')
      return await this.#runs.start(spec, signal)
    } catch (error) {
      throw await withHolder(error)
    }
  }

  async adopt(domainId: string, options: { paused: boolean }): Promise<QemuMachine | MachineEnd> {
    await this.probe()
    return await this.#runs.adopt(domainId, options)
  }

  async sweep({ domainIds, layers }: { domainIds: ReadonlySet<string>; layers: readonly string[] }): Promise<void> {
    await this.#runs.sweep(domainIds)
    await this.#layers.sweep(layers)
  }

  /** Of a disk that a machine did not close, the structure is looked at before it is written to again. */
  async #requireSound(disk: DiskSpec): Promise<void> {
    if (disk.served !== null || !(await this.#content.isUnclean(disk.layer))) return
    const { damage, repairable } = await this.#content.check(disk)
    if (!damage) return
    throw new VmmError('damaged', `The disk '${disk.id}' of the domain is damaged: ${damage}`, {
      hint: repairable ? 'Repair it: a mended copy takes its place.' : 'Revert to a snapshot.',
      context: { disk: disk.id, repairable },
    })
  }
}
