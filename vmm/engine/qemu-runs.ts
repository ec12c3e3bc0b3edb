import { mkdir, readdir } from 'node:fs/promises'
import path from 'node:path'
import { asVmmError, VmmError } from '../model/errors'
import type { MachineEnd } from './machine'
import type { MachineSpec } from './machine-spec'
import { qemuCommand } from './qemu-command'
import { QemuDisks } from './qemu-disks'
import type { QemuHosts } from './qemu-host'
import { NO_LAYER, type OpenLayer } from './qemu-layer-record'
import type { LayerStore } from './qemu-layers'
import { QemuLink } from './qemu-link'
import { QemuMachine } from './qemu-machine'
import { backendOf, hasScreen, RUN_FILES } from './qemu-names'
import { QemuPort } from './qemu-port'
import { machineUuid, QemuProcess } from './qemu-process'
import { filesCardAddress, nicAddress, removeRunFolder, runFolder } from './run-folder'
import { readRunRecord, writeRunRecord, type RunRecord } from './qemu-run-record'
import { QemuScreen } from './qemu-screen'
import { startFailure } from './qemu-start-failure'
import { clearJobs, loadState } from './qemu-state'
import { ensureUefiVariables, uefiCode } from './qemu-uefi'
import type { Accelerator } from '../model/hardware'

/** How long a machine of an earlier main may take to answer, milliseconds. */
const ADOPTED_WITHIN_MS = 10_000

/** QEMU's states of a machine that had not come up when main ended; what it holds is not whole. */
const UNBORN = ['prelaunch', 'inmigrate', 'restore-vm']

/** Starts QEMU processes, and finds those that an earlier main has left. */
export class QemuRuns {
  readonly #adopted = new Set<string>()

  constructor(
    private readonly root: string,
    private readonly hosts: QemuHosts,
    private readonly layers: LayerStore,
  ) {}

  async start(spec: MachineSpec, signal?: AbortSignal): Promise<QemuMachine> {
    const { binary, sandbox } = await this.hosts.find()
    const accelerator = await this.hosts.choose(spec.accelerator)
    const uuid = machineUuid(spec.domainId)
    const folder = await runFolder(this.root, spec.domainId)
    await (await QemuProcess.find(folder, uuid))?.kill() // nobody knows of it any more
    const code = spec.firmware === 'uefi' ? await uefiCode() : null
    if (code !== null) await ensureUefiVariables(spec.uefiVariables)
    // there even when the sockets are elsewhere: by it a machine is found whose domain is gone
    await mkdir(path.join(this.root, spec.domainId), { recursive: true, mode: 0o700 })
    let process: QemuProcess | null = null
    try {
      const layers = await this.#openLayers(spec)
      const parts = { binary, sandbox, accelerator, uuid, layers, uefiCode: code }
      process = await QemuProcess.start(qemuCommand(spec, parts), folder, uuid)
      const record: RunRecord = {
        name: spec.name,
        accelerator,
        startedAt: Date.now(),
        screen: hasScreen(spec),
        nics: spec.nics.length,
        filesCard: spec.filesCard,
        disks: spec.disks.map(({ id, layer, served }) => {
          return { id, layer, backend: backendOf(id, spec), served: served !== null }
        }),
      }
      await writeRunRecord(folder, record)
      return await this.#bringUp(spec, record, process, folder, signal)
    } catch (error) {
      await process?.kill()
      await this.layers.closed(layersOf(spec), spec.domainId, true)
      throw signal?.aborted ? new VmmError('cancelled', 'The start was cancelled.', { cause: error }) : error
    }
  }

  /** The machine that lives on, or how it has ended. */
  async adopt(domainId: string, { paused }: { paused: boolean }): Promise<QemuMachine | MachineEnd> {
    const folder = await runFolder(this.root, domainId)
    const uuid = machineUuid(domainId)
    const [record, process] = await Promise.all([readRunRecord(folder), QemuProcess.find(folder, uuid)])
    if (!process) return { how: 'crashed', reason: await lastWordsIn(folder) }
    try {
      if (!record) throw new VmmError('damaged', 'Its run record cannot be read.')
      const link = await QemuLink.open(path.join(folder, RUN_FILES.qmp), process, ADOPTED_WITHIN_MS)
      const { UUID } = await link.run('query-uuid', {})
      if (UUID !== uuid) throw new VmmError('denied', 'Another machine answers in its place.')
      const { status, running } = await link.run('query-status', {})
      if (UNBORN.includes(status)) throw new VmmError('engine', 'It had not finished starting.')
      if (status === 'internal-error') throw await this.#failedAccelerator(record)
      await this.layers.adopt(
        record.disks.filter(({ served }) => !served).map(({ layer }) => layer),
        domainId,
      )
      const machine = await this.#machine(domainId, record, process, link, folder, true)
      if (status === 'shutdown') {
        await machine.kill()
        return { how: 'powered-off', reason: '' }
      }
      await clearJobs(link)
      await new QemuDisks(record.disks, this.layers, domainId).settle(link)
      await machine.begin(running)
      if (status === 'io-error') machine.foundStalled()
      else if (!paused && !running) await machine.resume()
      this.#adopted.add(domainId)
      return machine
    } catch (error) {
      await process.kill()
      const why = asVmmError(error, 'reach it').message
      return { how: 'crashed', reason: `Its machine could not be taken over and was ended: ${why}` }
    }
  }

  /** Ends every machine that was not adopted, and removes what those of other than these domains have left. */
  async sweep(domainIds: ReadonlySet<string>): Promise<void> {
    for (const id of await readdir(this.root).catch(() => [])) {
      if (this.#adopted.has(id)) continue
      const folder = await runFolder(this.root, id).catch(() => null) // in one of somebody else's is no machine of ours
      if (folder !== null) await (await QemuProcess.find(folder, machineUuid(id)))?.kill()
      if (!domainIds.has(id)) await removeRunFolder(this.root, id)
    }
  }

  async #failedAccelerator({ accelerator }: RunRecord): Promise<VmmError> {
    await this.hosts.condemn(accelerator as Accelerator, 'A guest on it died while Vivarium was not running.')
    return new VmmError('engine', `The accelerator ${accelerator} failed under the guest.`)
  }

  async #bringUp(
    spec: MachineSpec,
    record: RunRecord,
    process: QemuProcess,
    folder: string,
    signal: AbortSignal | undefined,
  ): Promise<QemuMachine> {
    const abort = () => void process.kill()
    signal?.addEventListener('abort', abort)
    let machine: QemuMachine | null = null
    try {
      const link = await QemuLink.open(path.join(folder, RUN_FILES.qmp), process)
      machine = await this.#machine(spec.domainId, record, process, link, folder, false)
      await machine.begin(false)
      await machine.setDiskLimits(spec.diskLimits)
      if (spec.resumeFrom !== null) await loadState(link, spec.resumeFrom, folder)
      if (signal?.aborted) throw new VmmError('cancelled', 'The start was cancelled.')
      await machine.resume()
      return machine
    } catch (error) {
      await machine?.kill() // it lets go of its disks before anybody starts the next one
      const { kind } = asVmmError(error, 'start the machine')
      if (kind !== 'engine' || signal?.aborted) throw error
      throw startFailure(await process.lastWords(), error)
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  async #machine(
    domainId: string,
    record: RunRecord,
    process: QemuProcess,
    link: QemuLink,
    folder: string,
    adopted: boolean,
  ): Promise<QemuMachine> {
    const log = path.join(folder, RUN_FILES.consoleLog)
    const consolePath = path.join(folder, RUN_FILES.console)
    const disks = new QemuDisks(record.disks, this.layers, domainId)
    const console = adopted ? await QemuPort.openLogged(consolePath, log) : await QemuPort.open(consolePath, log)
    const agent = await QemuPort.open(path.join(folder, RUN_FILES.agent), null).catch((error: unknown) => {
      console.close()
      throw error
    })
    return new QemuMachine({
      process,
      link,
      console,
      agent,
      display: record.screen ? new QemuScreen(folder, link) : null,
      disks,
      frameLinks: Array.from({ length: record.nics }, (_, index) => nicAddress(folder, index)),
      filesCard: record.filesCard ? filesCardAddress(folder) : null,
      accelerator: record.accelerator,
      startedAt: record.startedAt,
      onAcceleratorFailure: (reason) => {
        this.hosts.condemn(record.accelerator as Accelerator, reason).catch(() => undefined) // QEMU itself is gone
      },
      onEnd: (clean) => this.layers.closed(disks.files, domainId, clean),
    })
  }

  async #openLayers(spec: MachineSpec): Promise<OpenLayer[]> {
    const opened: OpenLayer[] = []
    for (const disk of spec.disks) {
      opened.push(disk.served === null ? await this.layers.open(disk, spec.domainId) : NO_LAYER)
    }
    return opened
  }
}

function layersOf(spec: MachineSpec): string[] {
  return spec.disks.filter(({ served }) => served === null).map(({ layer }) => layer)
}

async function lastWordsIn(folder: string): Promise<string> {
  const words = await QemuProcess.lastWordsIn(folder)
  return words ? `Its machine ended meanwhile. QEMU said last: ${words}` : 'Its machine ended meanwhile.'
}
