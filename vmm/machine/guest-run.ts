import { VmmError } from '../model/errors'
import { mountPoint } from '../model/share'
import type { Engine } from '../engine/engine'
import type { AtMoment, LayerCopies, Machine, MachineEnd } from '../engine/machine'
import type { MachineSpec } from '../engine/machine-spec'
import { GuestAgent } from './agent'
import { GuestCommands, type GuestInterface } from './guest-commands'
import { GuestShares } from './guest-shares'
import { renewIdentity, type GuestIdentity } from './identity'
import type { Scrollback } from './scrollback'

/** How long a resumed guest may take to answer, milliseconds: it was answering when it was saved. */
const RESUMED_ANSWERS_WITHIN_MS = 15_000
/** How long a booting guest may take until its agent answers, milliseconds. */
const BOOTED_ANSWERS_WITHIN_MS = 300_000
/** How long an agent that has answered before may take to answer again, milliseconds. */
const STILL_ANSWERS_WITHIN_MS = 5000
/** How long a guest may take to shut down, milliseconds: a large system has much to end. */
const SHUTDOWN_WITHIN_MS = { ofAgent: 30_000, ofPowerButton: 120_000 }

export type AgentState = 'none' | 'waiting' | 'ready'

export interface GuestRunOptions {
  /** `own`: the image runs an agent and our `renew`; `possible`: it may run one. */
  agent: 'own' | 'possible' | 'none'
  /** Whether a guest without an agent may be asked to power off by its power button. */
  powerButton: boolean
  identity: GuestIdentity
  scrollback: Scrollback
}

export interface StartOptions extends GuestRunOptions {
  engine: Engine
  spec: MachineSpec
  /** Whether a resumed guest that cannot renew its identity must not run (it shares a boot snapshot with others). */
  renewalRequired: boolean
  /** Ends the machine while it is still on its way up. */
  signal?: AbortSignal
}

/** One run of a guest: its machine, its agent and its console, from start to end. */
export class GuestRun {
  /** Of the last boot, milliseconds since the Unix epoch. */
  startedAt: number
  readonly ended: Promise<MachineEnd>
  agentState: AgentState
  /** Whether anything was typed into the console or run in the guest. */
  touched = false
  readonly #agent: GuestAgent | null
  readonly #commands: GuestCommands | null
  readonly #agentListeners = new Set<() => void>()
  readonly #stop = new AbortController()
  #found = false
  #introduced = false

  private constructor(
    readonly machine: Machine,
    private readonly options: GuestRunOptions,
  ) {
    machine.console.onData((bytes) => options.scrollback.append(bytes))
    this.startedAt = machine.startedAt
    this.#agent = options.agent === 'none' ? null : new GuestAgent(machine.agentPort)
    this.#commands = this.#agent ? new GuestCommands(this.#agent) : null
    this.agentState = options.agent === 'own' ? 'waiting' : 'none'
    this.ended = machine.ended.then((end) => {
      this.#stop.abort()
      this.#agent?.close()
      return end
    })
  }

  /** The run of a machine that outlived an earlier main. */
  static found(machine: Machine, options: GuestRunOptions): GuestRun {
    const run = new GuestRun(machine, options)
    run.#found = true
    return run
  }

  /** Starts the machine. A resumed one is handed out only when its identity is its own again. */
  static async start(options: StartOptions): Promise<GuestRun> {
    const run = new GuestRun(await options.engine.start(options.spec, options.signal), options)
    const abort = () => void run.kill()
    options.signal?.addEventListener('abort', abort)
    try {
      if (options.spec.resumeFrom !== null && options.agent === 'own') await run.#renewResumed()
    } catch (error) {
      if (options.renewalRequired) await run.kill()
      if (options.renewalRequired || options.signal?.aborted) throw error
    } finally {
      options.signal?.removeEventListener('abort', abort)
    }
    if (!options.signal?.aborted) return run
    await run.kill()
    throw new VmmError('cancelled', 'The start was cancelled.')
  }

  /** Settled when a booting guest's agent has answered (true) or will not (false). */
  async booted(): Promise<boolean> {
    if (this.#agent === null) return false
    return await this.#agent.answers(BOOTED_ANSWERS_WITHIN_MS, this.#stop.signal)
  }

  /** Gives a freshly booted guest its own name and address, where it is made for that. */
  async introduce(): Promise<void> {
    if (this.#found)
      await this.#requireCommands()
        .thaw()
        .catch(() => undefined) // an earlier main may have frozen it
    if (this.options.agent === 'own') await renewIdentity(this.#requireCommands(), this.options.identity)
    this.#introduced = true
    this.#setAgent('ready')
  }

  /** The guest boots again in the same machine: its agent is gone until it has. */
  rebooted(): void {
    this.startedAt = Date.now()
    this.#setAgent(this.options.agent === 'own' ? 'waiting' : 'none')
  }

  onAgentChange(listener: () => void): void {
    this.#agentListeners.add(listener)
  }

  /** For commands in the guest. Fails with kind `guest` while no agent answers. */
  get commands(): GuestCommands {
    if (this.agentState !== 'ready') {
      throw new VmmError(
        'guest',
        this.agentState === 'none' ? 'This guest has no agent.' : 'The guest is still starting.',
        {
          hint: this.agentState === 'none' ? 'Use its console.' : 'Try again in a moment.',
        },
      )
    }
    this.touched = true
    return this.#requireCommands()
  }

  type(bytes: Uint8Array): void {
    this.touched = true
    this.machine.console.write(bytes)
  }

  /** Copies the disks of one moment; a guest whose agent can writes out what it holds back first. */
  async copyDisks(copies: LayerCopies, atMoment?: AtMoment): Promise<void> {
    const frozen = this.agentState === 'ready' && (await this.#requireCommands().freeze())
    try {
      await this.machine.copyLayers(copies, atMoment)
    } finally {
      if (frozen) await this.#requireCommands().thaw()
    }
  }

  /** Whether the guest has its own identity, or never gets one from us: others may see it then. */
  get isItself(): boolean {
    return this.options.agent !== 'own' || this.#found || this.#introduced
  }

  /** Has the guest ask for its addresses, where it is made for that. */
  async connect(): Promise<void> {
    if (this.options.agent !== 'own' || this.agentState !== 'ready') return
    await this.#requireCommands().exec('/usr/lib/vivarium/connect', [])
  }

  /**
   * Mounts shares where the guest has an agent to do it; tells where each is. One that cannot be mounted keeps no other
   * from being; the first failure is thrown in the end.
   */
  async mountShares(names: readonly string[], mounted: (name: string, point: string) => void): Promise<void> {
    if (this.agentState !== 'ready') return
    const shares = new GuestShares(this.#requireCommands(), this.options.agent === 'own' ? 'own' : 'card')
    const failures: unknown[] = []
    for (const name of names) {
      const point = mountPoint(name)
      try {
        await shares.mount({ name, point, cache: 'mmap' })
        mounted(name, point)
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }

  /** What the agent says of the network interfaces. */
  interfaces(): Promise<GuestInterface[]> {
    return this.#requireCommands().interfaces()
  }

  /** Asks the guest to power off. Fails with kind `timeout` when it has not within the deadline; it goes on then. */
  async shutDown(signal: AbortSignal): Promise<void> {
    const byAgent = this.agentState === 'ready' && (!this.options.powerButton || (await this.#agentAnswers()))
    if (byAgent) await this.#requireCommands().shutdown('powerdown')
    else await this.#pressPower()
    const within = byAgent ? SHUTDOWN_WITHIN_MS.ofAgent : SHUTDOWN_WITHIN_MS.ofPowerButton
    if (!(await this.#endsWithin(within, signal))) {
      throw new VmmError('timeout', 'The guest did not shut down in time.', {
        hint: 'Look at its console, try again, or use Force Off.',
      })
    }
  }

  async kill(): Promise<void> {
    await this.machine.kill()
  }

  /** An agent that answered once may have been stopped since. */
  async #agentAnswers(): Promise<boolean> {
    return (await this.#agent?.answers(STILL_ANSWERS_WITHIN_MS, this.#stop.signal)) ?? false
  }

  async #pressPower(): Promise<void> {
    if (!this.options.powerButton) {
      throw new VmmError('guest', 'This guest has no agent that could shut it down.', {
        hint: 'Shut it down from its console, or use Force Off.',
      })
    }
    await this.machine.pressPower()
  }

  async #renewResumed(): Promise<void> {
    if (!(await this.#agent?.answers(RESUMED_ANSWERS_WITHIN_MS, this.#stop.signal))) {
      throw new VmmError('guest', 'The resumed guest did not answer.', { hint: 'Start it with a cold boot.' })
    }
    await this.introduce()
  }

  #requireCommands(): GuestCommands {
    if (this.#commands) return this.#commands
    throw new VmmError('guest', 'This guest has no agent.', { hint: 'Use its console.' })
  }

  #setAgent(state: AgentState): void {
    this.agentState = state
    for (const listener of this.#agentListeners) listener()
  }

  async #endsWithin(ms: number, signal: AbortSignal): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined
    const over = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), signal.aborted ? 0 : ms)
      signal.addEventListener('abort', () => resolve(false), { once: true })
    })
    const gone = await Promise.race([this.ended.then(() => true as const), over])
    clearTimeout(timer)
    return gone
  }
}
