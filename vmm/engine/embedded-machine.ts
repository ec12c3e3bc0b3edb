import * as v from 'valibot'
import type { Counters } from '../model/counters'
import { toFailure, VmmError } from '../model/errors'
import { EmbeddedDisplay } from './embedded-display'
import { CountersMessage, readGuestMessage, type GuestMessage } from './embedded-messages'
import { AGENT_PORT, CONSOLE_PORT, type GuestRequest, type ToGuest } from './embedded-protocol'
import type { AtMoment, LayerCopies, Machine, MachineEnd, SavedState, SerialPort } from './machine'
import type { MachineSpec } from './machine-spec'
import type { GuestProcess } from './guest-process'

/** Longest wait for an answer of a guest process, milliseconds; saving 2 GiB to a slow disk takes long. */
const ANSWER_WITHIN_MS = 120_000

type WithoutSeq<R> = R extends { seq: number } ? Omit<R, 'seq'> : never

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
  timer: NodeJS.Timeout
  /** What is done while the guest stands still for the request. */
  atMoment: AtMoment | null
}

/** Main's end of an embedded machine: requests and replies by number, serial bytes, and how it ended. */
export class EmbeddedMachine implements Machine {
  readonly pid: number | undefined
  readonly startedAt = Date.now()
  readonly accelerator = ''
  /** Its files are reached through virtio's 9P, which needs no card. */
  readonly filesCard = null
  readonly console: SerialPort
  readonly agentPort: SerialPort
  readonly display = new EmbeddedDisplay({
    post: (message) => this.#post(message),
    screenshot: () => this.#ask({ type: 'screenshot' }),
    ended: () => this.#end && endedError(this.#end),
  })
  readonly ended: Promise<MachineEnd>
  readonly #serial = new Map([CONSOLE_PORT, AGENT_PORT].map((port) => [port, new Set<(bytes: Uint8Array) => void>()]))
  readonly #counters = new Set<(counters: Counters) => void>()
  readonly #stalls = new Set<(reason: string) => void>()
  readonly #waiting = new Map<number, Waiting>()
  #diskId = ''
  #seq = 0
  #end: MachineEnd | null = null
  /** Why the process is about to end, recorded before it does: exit codes do not tell. */
  #intent: MachineEnd | null = null

  constructor(
    private readonly process: GuestProcess,
    readonly frameLinks: readonly string[],
    private readonly filesAddress: string,
  ) {
    this.pid = process.pid
    this.console = this.#port(CONSOLE_PORT)
    this.agentPort = this.#port(AGENT_PORT)
    process.onMessage((message) => this.#receive(readGuestMessage(message)))
    this.ended = new Promise((resolve) => {
      process.onExit((how) => {
        const crash: MachineEnd = { how: 'crashed', reason: `The guest process ended unexpectedly: ${how}.` }
        this.#end = this.#intent ?? crash
        this.#failAll(this.#end)
        this.display.end(endedError(this.#end))
        resolve(this.#end)
      })
    })
  }

  async start(spec: MachineSpec): Promise<void> {
    this.#diskId = spec.disks[0]?.id ?? ''
    await this.#ask({ type: 'start', spec, frameLinks: this.frameLinks, filesAddress: this.filesAddress })
  }

  async pause(): Promise<void> {
    await this.#ask({ type: 'pause' })
  }

  async resume(): Promise<void> {
    await this.#ask({ type: 'resume' })
  }

  async saveState(
    file: string,
    options: { compress: boolean; layerCopies: LayerCopies; atMoment?: AtMoment },
  ): Promise<SavedState> {
    const { compress, layerCopies, atMoment } = options
    const layerCopy = this.#ownCopy(layerCopies)
    return (await this.#ask({ type: 'save', file, compress, layerCopy, moment: !!atMoment }, atMoment)) as SavedState
  }

  async copyLayers(copies: LayerCopies, atMoment?: AtMoment): Promise<void> {
    const to = this.#ownCopy(copies)
    if (to !== null || atMoment) await this.#ask({ type: 'copy-layer', to, moment: !!atMoment }, atMoment)
  }

  async counters(): Promise<Counters> {
    return v.parse(CountersMessage, await this.#ask({ type: 'counters' }))
  }

  onCounters(listener: (counters: Counters) => void): () => void {
    this.#counters.add(listener)
    return () => this.#counters.delete(listener)
  }

  onStall(listener: (reason: string) => void): () => void {
    this.#stalls.add(listener)
    return () => this.#stalls.delete(listener)
  }

  /** A guest that reboots ends its process. */
  onReset(): () => void {
    return () => {}
  }

  pressPower(): Promise<void> {
    return cannot('press a power button')
  }

  setDiskLimits(): Promise<void> {
    return cannot('limit how fast a disk is')
  }

  setMemory(): Promise<void> {
    return cannot('change the memory of a running guest')
  }

  memoryNow(): Promise<null> {
    return Promise.resolve(null)
  }

  /** The engine has one card at most. */
  async setLink(_nic: number, up: boolean): Promise<void> {
    await this.#ask({ type: 'set-link', up })
  }

  resizeDisk(): Promise<void> {
    return cannot('grow a disk')
  }

  changeCd(): Promise<void> {
    return cannot('change a CD')
  }

  /** The process would end with main. */
  release(): Promise<void> {
    return this.kill()
  }

  async kill(): Promise<void> {
    this.#intent ??= { how: 'killed', reason: '' }
    this.process.kill()
    await this.ended
  }

  #ownCopy(copies: LayerCopies): string | null {
    return copies[this.#diskId] ?? null
  }

  #port(port: number): SerialPort {
    return {
      write: (bytes) => this.#post({ type: 'serial', port, bytes }),
      onData: (receive) => {
        this.#serial.get(port)?.add(receive)
        return () => this.#serial.get(port)?.delete(receive)
      },
    }
  }

  #post(message: ToGuest): void {
    if (this.#end === null) this.process.send(message)
  }

  #ask(request: WithoutSeq<GuestRequest>, atMoment?: AtMoment): Promise<unknown> {
    if (this.#end !== null) return Promise.reject(endedError(this.#end))
    const seq = ++this.#seq
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(seq)
        reject(
          new VmmError('timeout', `The guest process did not answer to '${request.type}'.`, { hint: 'Use Force Off.' }),
        )
      }, ANSWER_WITHIN_MS)
      this.#waiting.set(seq, { resolve, reject, timer, atMoment: atMoment ?? null })
      this.#post({ ...request, seq })
    })
  }

  #receive(message: GuestMessage | null): void {
    if (message === null) {
      this.#intent ??= { how: 'crashed', reason: 'The guest process sent what is not understood, and was ended.' }
      this.process.kill()
      return
    }
    switch (message.type) {
      case 'reply':
        this.#settle(message)
        break
      case 'moment':
        void this.#moment(message.seq)
        break
      case 'serial':
        for (const receive of this.#serial.get(message.port) ?? []) receive(message.bytes)
        if (message.port === CONSOLE_PORT) this.#post({ type: 'taken', bytes: message.bytes.byteLength })
        break
      case 'counters':
        for (const listener of this.#counters) listener(message.counters)
        break
      case 'stalled':
        for (const listener of this.#stalls) listener(message.reason)
        break
      case 'viewer':
        this.display.said(message.viewer, message.bytes)
        break
      case 'viewer-took':
        this.display.took(message.viewer, message.bytes)
        break
      case 'viewer-closed':
        this.display.closed(message.viewer, message.reason)
        break
      case 'halted':
      case 'reset':
        this.#intent ??= { how: message.type === 'reset' ? 'reset' : 'powered-off', reason: '' }
        this.process.kill()
        break
    }
  }

  async #moment(seq: number): Promise<void> {
    const waiting = this.#waiting.get(seq)
    try {
      await waiting?.atMoment?.()
      this.#post({ type: 'moment-over', seq, failure: null })
    } catch (error) {
      this.#post({ type: 'moment-over', seq, failure: toFailure(error, 'copy what belongs to the machine') })
    }
  }

  #settle(reply: Extract<GuestMessage, { type: 'reply' }>): void {
    const waiting = this.#waiting.get(reply.seq)
    if (!waiting) return
    this.#waiting.delete(reply.seq)
    clearTimeout(waiting.timer)
    if (reply.ok) waiting.resolve(reply.value)
    else waiting.reject(VmmError.fromFailure(reply.failure))
  }

  #failAll(end: MachineEnd): void {
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer)
      reject(endedError(end))
    }
    this.#waiting.clear()
  }
}

function cannot(what: string): Promise<never> {
  return Promise.reject(
    new VmmError('unsupported', `The embedded engine cannot ${what}.`, { hint: 'Use the QEMU engine.' }),
  )
}

function endedError(end: MachineEnd): VmmError {
  return new VmmError('engine', end.reason || 'The machine has ended.', { context: { how: end.how } })
}
