import type { Counters } from '../model/counters'
import { asVmmError, VmmError } from '../model/errors'
import type { DiskLimits } from '../model/hardware'
import { safeText } from '../model/safe-text'
import type { Display } from './display'
import type { AtMoment, LayerCopies, Machine, MachineEnd, SavedState, SerialPort } from './machine'
import { QemuCounters } from './qemu-counters'
import type { QemuDisks } from './qemu-disks'
import type { QemuLink } from './qemu-link'
import type { QemuPort } from './qemu-port'
import type { QemuProcess } from './qemu-process'
import { nicDevice } from './qemu-names'
import { writeState } from './qemu-state'
import type { QmpEvent } from './qmp-commands'

const MIB = 1024 * 1024
const COUNT_EVERY_MS = 1000
/** How long QEMU may take to write out what it holds back before it is killed, milliseconds. */
const QUIT_WITHIN_MS = 2000

export interface QemuMachineParts {
  process: QemuProcess
  link: QemuLink
  console: QemuPort
  agent: QemuPort
  display: Display | null
  disks: QemuDisks
  frameLinks: readonly string[]
  filesCard: string | null
  accelerator: string
  /** Milliseconds since the Unix epoch. */
  startedAt: number
  /** The accelerator has failed under the guest. */
  onAcceleratorFailure(reason: string): void
  /** The machine is gone; `clean` when it closed its files itself. */
  onEnd(clean: boolean): Promise<void>
}

/** A machine of QEMU, started by this main or by an earlier one. */
export class QemuMachine implements Machine {
  readonly pid: number
  readonly startedAt: number
  readonly accelerator: string
  readonly console: SerialPort
  readonly agentPort: SerialPort
  readonly display: Display | null
  readonly frameLinks: readonly string[]
  readonly filesCard: string | null
  readonly ended: Promise<MachineEnd>
  readonly #counters: QemuCounters
  readonly #countListeners = new Set<(counters: Counters) => void>()
  readonly #stallListeners = new Set<(reason: string) => void>()
  readonly #resetListeners = new Set<() => void>()
  #counting: NodeJS.Timeout | undefined
  #end: MachineEnd | null = null
  /** Why the process is about to end, as QEMU or whoever ended it said. */
  #intent: MachineEnd | null = null
  /** Whether QEMU said that it ends, and was then let. */
  #closing = false
  #released = false
  #running = false
  /** Why the host refused a write, while the guest is halted for that. */
  #stalled: string | null = null

  constructor(private readonly parts: QemuMachineParts) {
    const { process, link, console, agent, display, accelerator } = parts
    this.pid = process.pid
    this.accelerator = accelerator
    this.startedAt = parts.startedAt
    this.console = console
    this.agentPort = agent
    this.display = display
    this.frameLinks = parts.frameLinks
    this.filesCard = parts.filesCard
    this.#counters = new QemuCounters(link, process.pid)
    link.onEvent((event) => this.#event(event))
    link.onReturn(() => void this.#catchUp())
    this.ended = new Promise((resolve) => {
      void process.gone.then(async () => {
        if (this.#released) return
        this.#end = this.#intent ?? { how: 'crashed', reason: await this.#crashReason() }
        this.#letGo()
        await this.parts.onEnd(this.#closing)
        resolve(this.#end)
      })
    })
  }

  /** To be called when QEMU answers; `running` is for a machine that runs already. */
  async begin(running: boolean): Promise<void> {
    await this.#counters.begin()
    this.#setRunning(running)
  }

  /** To be called for a machine that was found halted because the host refused a write. */
  foundStalled(): void {
    this.#stall('it did so while Vivarium was not running')
  }

  async pause(): Promise<void> {
    await this.#whileLive((link) => link.run('stop', {}))
  }

  async resume(): Promise<void> {
    await this.#whileLive((link) => link.run('cont', {}))
  }

  /** QEMU decides by itself what it packs. */
  saveState(
    file: string,
    { layerCopies, atMoment }: { compress: boolean; layerCopies: LayerCopies; atMoment?: AtMoment },
  ): Promise<SavedState> {
    return this.#standingStill(async (link) => {
      const bytes = await writeState(link, file)
      await atMoment?.()
      await this.parts.disks.copy(link, layerCopies)
      return { bytes }
    })
  }

  async copyLayers(copies: LayerCopies, atMoment?: AtMoment): Promise<void> {
    await this.#standingStill(async (link) => {
      await atMoment?.()
      await this.parts.disks.copy(link, copies)
    })
  }

  counters(): Promise<Counters> {
    return this.#whileLive(() => this.#counters.read())
  }

  onCounters(listener: (counters: Counters) => void): () => void {
    this.#countListeners.add(listener)
    this.#counting ??= setInterval(() => this.#count(), COUNT_EVERY_MS).unref()
    return () => {
      this.#countListeners.delete(listener)
      if (this.#countListeners.size === 0) this.#stopCounting()
    }
  }

  onStall(listener: (reason: string) => void): () => void {
    this.#stallListeners.add(listener)
    if (this.#stalled !== null) listener(this.#stalled)
    return () => this.#stallListeners.delete(listener)
  }

  onReset(listener: () => void): () => void {
    this.#resetListeners.add(listener)
    return () => this.#resetListeners.delete(listener)
  }

  async pressPower(): Promise<void> {
    await this.#whileLive((link) => link.run('system_powerdown', {}))
  }

  async setDiskLimits(limits: DiskLimits): Promise<void> {
    await this.#whileLive((link) => this.parts.disks.limit(link, limits))
  }

  async setMemory(memoryMiB: number): Promise<void> {
    await this.#whileLive((link) => link.run('balloon', { value: memoryMiB * MIB }))
  }

  async memoryNow(): Promise<number> {
    const { actual } = await this.#whileLive((link) => link.run('query-balloon', {}))
    return Math.max(0, Math.round(actual / MIB)) // the guest tells how much it gave up, and may tell more than it had
  }

  async setLink(nic: number, up: boolean): Promise<void> {
    await this.#whileLive((link) => link.run('set_link', { name: nicDevice(nic), up }))
  }

  async resizeDisk(id: string, bytes: number): Promise<void> {
    await this.#whileLive((link) => this.parts.disks.resize(link, id, bytes))
  }

  async changeCd(id: string, path: string | null): Promise<void> {
    await this.#whileLive((link) => this.parts.disks.changeCd(link, id, path))
  }

  async kill(): Promise<void> {
    this.#intent ??= { how: 'killed', reason: '' }
    if (this.#end === null) {
      const quit = this.parts.link.run('quit', {}, QUIT_WITHIN_MS).then(() => this.parts.process.gone)
      const patience = new Promise((resolve) => setTimeout(resolve, QUIT_WITHIN_MS).unref())
      await Promise.race([quit.catch(() => undefined), patience])
      await this.#endProcess()
    }
    await this.ended
  }

  release(): Promise<void> {
    this.#released = true
    this.#letGo()
    return Promise.resolve()
  }

  /** A guest whose host disk was full is not resumed by this, and neither is one that was paused before. */
  async #standingStill<T>(work: (link: QemuLink) => Promise<T>): Promise<T> {
    return await this.#whileLive(async (link) => {
      const running = this.#running
      if (running) await this.pause()
      try {
        return await work(link)
      } finally {
        if (running && this.#intent === null) await this.resume()
      }
    })
  }

  async #whileLive<T>(work: (link: QemuLink) => Promise<T>): Promise<T> {
    if (this.#end !== null) throw endedError(this.#end)
    try {
      return await work(this.parts.link)
    } catch (error) {
      throw this.#intent === null ? asVmmError(error, 'talk to QEMU') : endedError(this.#intent)
    }
  }

  #event({ name, data }: QmpEvent): void {
    if (name === 'STOP') {
      this.#setRunning(false)
      void this.#explainStop()
    }
    if (name === 'RESUME') {
      this.#stalled = null
      this.#setRunning(true)
    }
    if (name === 'RESET' && data.guest === true) for (const listener of this.#resetListeners) listener()
    if (name === 'SHUTDOWN') {
      this.#closing = true
      if (data.reason === 'guest-shutdown') this.#powerOff()
      else if (data.reason === 'host-signal')
        this.#intent ??= { how: 'crashed', reason: 'QEMU was ended from outside.' }
    }
    if (name === 'BLOCK_IO_ERROR' && data.action === 'stop') {
      const told = typeof data.reason === 'string' ? safeText(data.reason, 150) : 'the disk failed'
      this.#stall(data.nospace === true ? 'the disk of the host is full' : told)
    }
    if (name === 'BLOCK_IMAGE_CORRUPTED' && data.fatal === true) this.#stall('the structure of the disk is damaged')
  }

  /** What became of the machine while it could not be reached. */
  async #catchUp(): Promise<void> {
    const told = await this.parts.link.run('query-status', {}).catch(() => null) // it is lost again
    if (told === null) return
    this.#setRunning(told.running)
    if (told.status === 'shutdown') this.#powerOff()
    else if (!told.running) await this.#explainStop()
  }

  /** The machine stands still, off; its process goes once it has closed its files. */
  #powerOff(): void {
    this.#intent ??= { how: 'powered-off', reason: '' }
    void this.kill()
  }

  #stall(reason: string): void {
    this.#stalled = reason
    for (const listener of this.#stallListeners) listener(reason)
  }

  /** An accelerator that fails leaves a machine that stands still for ever. */
  async #explainStop(): Promise<void> {
    const { status } = await this.parts.link.run('query-status', {}).catch(() => ({ status: '' }))
    if (status !== 'internal-error') return
    const words = await this.parts.process.lastWords()
    const reason = `The accelerator ${this.accelerator} failed under the guest. Started again, it will use another one.`
    this.#intent ??= { how: 'crashed', reason }
    this.parts.onAcceleratorFailure(
      `A guest on it died: ${/[^/]*internal error[^/]*/i.exec(words)?.[0].trim() ?? 'internal error'}.`,
    )
    await this.#endProcess()
  }

  /** What has not ended by itself by now is cut off, wherever it is. */
  async #endProcess(): Promise<void> {
    if (await this.parts.process.kill()) this.#closing = false
  }

  async #crashReason(): Promise<string> {
    const words = await this.parts.process.lastWords()
    return `QEMU ended unexpectedly${words ? `. It said last: ${words}` : ' and said nothing.'}`
  }

  #setRunning(running: boolean): void {
    this.#running = running
    this.#counters.running = running
  }

  #count(): void {
    if (!this.#running) return
    this.#counters.read().then(
      (counters) => {
        for (const listener of this.#countListeners) listener(counters)
      },
      () => undefined, // it has just ended, or does not answer just now
    )
  }

  #stopCounting(): void {
    clearInterval(this.#counting)
    this.#counting = undefined
  }

  #letGo(): void {
    this.#stopCounting()
    this.parts.link.close()
    this.parts.console.close()
    this.parts.agent.close()
  }
}

function endedError({ how, reason }: MachineEnd): VmmError {
  return new VmmError('engine', reason || 'The machine has ended.', { context: { how } })
}
