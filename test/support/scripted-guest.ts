import { LayeredDisk } from '../../vmm/engine/embedded-disk'
import { copyLayer } from '../../vmm/engine/embedded-layers'
import {
  AGENT_PORT,
  CONSOLE_PORT,
  type FromGuest,
  type GuestRequest,
  type ToGuest,
} from '../../vmm/engine/embedded-protocol'
import { writeState } from '../../vmm/engine/embedded-state'
import type { MachineSpec } from '../../vmm/engine/machine-spec'
import type { GuestProcess } from '../../vmm/engine/guest-process'
import { toFailure, VmmError, type Failure } from '../../vmm/model/errors'
import { ScriptedPort, type AgentRequest } from './scripted-port'

/** What a scripted guest does other than an obliging one. A handler that throws refuses; one that never settles hangs. */
export interface GuestScript {
  start?: (guest: ScriptedGuest, spec: MachineSpec) => unknown
  pause?: (guest: ScriptedGuest) => unknown
  resume?: (guest: ScriptedGuest) => unknown
  /** Called instead of writing the state. */
  save?: (guest: ScriptedGuest, file: string) => unknown
  /** The PNG file that the screen gives. */
  screenshot?: (guest: ScriptedGuest) => unknown
  /** Answers a request to the agent; undefined for what an obliging one answers, `SILENCE` for nothing. */
  agent?: (request: AgentRequest, guest: ScriptedGuest) => unknown
}

export const SILENCE = Symbol('silence')

/** The process of an embedded guest, without a guest: it answers at once, unless its script says otherwise. */
export class ScriptedGuest implements GuestProcess {
  static #pids = 1000
  readonly pid = ScriptedGuest.#pids++
  readonly received: ToGuest[] = []
  spec: MachineSpec | null = null
  alive = true
  readonly #port: ScriptedPort
  #receive: (message: unknown) => void = () => {}
  #ended: (how: string) => void = () => {}
  #momentOver: (failure: Failure | null) => void = () => {}

  constructor(private readonly script: GuestScript) {
    this.#port = new ScriptedPort((request, port) => {
      const scripted = script.agent?.(request, this)
      const answer = scripted === undefined ? obliging(request, this) : scripted
      if (answer !== SILENCE) port.say(answer)
    })
    this.#port.onData((bytes) => this.emit({ type: 'serial', port: AGENT_PORT, bytes }))
  }

  send(message: unknown): void {
    if (!this.alive) return
    this.received.push(message as ToGuest)
    setImmediate(() => void this.#handle(message as ToGuest))
  }

  onMessage(receive: (message: unknown) => void): void {
    this.#receive = receive
  }

  onExit(ended: (how: string) => void): void {
    this.#ended = ended
  }

  kill(): void {
    this.end('it was ended by SIGKILL')
  }

  /** The process ends by itself. */
  end(how = 'it was ended by SIGSEGV'): void {
    if (!this.alive) return
    this.alive = false
    setImmediate(() => this.#ended(how))
  }

  /** Anything at all, as from a guest that has taken over its process. */
  emit(message: FromGuest): void {
    if (this.alive) this.#receive(message)
  }

  print(text: string): void {
    this.emit({ type: 'serial', port: CONSOLE_PORT, bytes: Buffer.from(text) })
  }

  async #handle(message: ToGuest): Promise<void> {
    if (!this.alive) return
    if (message.type === 'moment-over') this.#momentOver(message.failure)
    if (message.type === 'serial' && message.port === AGENT_PORT) this.#port.write(message.bytes)
    if (!('seq' in message) || message.type === 'moment-over') return
    try {
      if ('moment' in message && message.moment) await this.#standStill(message.seq)
      const value = await this.#perform(message)
      this.emit({ type: 'reply', seq: message.seq, ok: true, value })
    } catch (error) {
      this.emit({ type: 'reply', seq: message.seq, ok: false, failure: toFailure(error) })
    }
  }

  /** Main does what belongs to the moment. */
  async #standStill(seq: number): Promise<void> {
    const failure = await new Promise<Failure | null>((resolve) => {
      this.#momentOver = resolve
      this.emit({ type: 'moment', seq })
    })
    if (failure) throw VmmError.fromFailure(failure)
  }

  async #perform(request: GuestRequest): Promise<unknown> {
    switch (request.type) {
      case 'start':
        this.spec = request.spec
        await this.script.start?.(this, request.spec)
        for (const disk of request.spec.disks) new LayeredDisk(disk, () => undefined).close()
        this.print('booting\n')
        return undefined
      case 'pause':
        return await this.script.pause?.(this)
      case 'resume':
        return await this.script.resume?.(this)
      case 'save':
        if (this.script.save) return await this.script.save(this, request.file)
        if (request.layerCopy !== null && this.spec?.disks[0])
          await copyLayer(this.spec.disks[0].layer, request.layerCopy)
        return { bytes: await writeState(request.file, new ArrayBuffer(100), request.compress) }
      case 'copy-layer':
      case 'counters':
        return undefined
      case 'screenshot':
        return await this.script.screenshot?.(this)
    }
  }
}

function obliging({ execute, arguments: args }: AgentRequest, guest: ScriptedGuest): unknown {
  switch (execute) {
    case 'guest-sync-delimited':
      return { return: args.id }
    case 'guest-exec':
      return { return: { pid: 7 } }
    case 'guest-exec-status':
      return { return: { exited: true, exitcode: 0 } }
    case 'guest-file-open':
      return { return: 1 }
    case 'guest-file-read':
      return { return: { 'buf-b64': '', eof: true } }
    case 'guest-shutdown':
      guest.emit({ type: 'halted' })
      return SILENCE
    default:
      return { return: {} }
  }
}
