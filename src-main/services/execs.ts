import { randomUUID } from 'node:crypto'
import type { ExecChunk } from '../contract'
import { asVmmError, VmmError } from '../../vmm/model/errors'
import { GuestExec, type ExecEnd } from '../../vmm/machine/exec'
import { WakeUp } from '../../vmm/model/wake-up'
import type { DomainService } from './domains'
import type { ClientSession } from './session'

/** Output held for a client that does not read, bytes; beyond it the guest's command is held back. */
const HELD_BYTES = 1024 * 1024
/** How long the end of a command is remembered for a client that has not asked, milliseconds. */
const REMEMBERED_MS = 60_000

interface Running {
  exec: GuestExec
  owner: object
  stdout: Uint8Array[]
  stderr: Uint8Array[]
  held: number
  end: ExecEnd | null
  failure: unknown
  /** Wakes whoever waits for output, or for room. */
  change: WakeUp
}

/** Commands in guests, each followed by the client that started it. */
export class ExecService {
  readonly #running = new Map<string, Running>()

  constructor(private readonly domains: DomainService) {}

  async start(owner: ClientSession, domainId: string, argv: string[], stdin: Uint8Array | undefined): Promise<string> {
    const run = this.domains.forVerb(domainId, 'exec').requireRun()
    const exec = await GuestExec.start(run.commands, argv, stdin)
    const id = randomUUID()
    const running: Running = {
      exec,
      owner,
      stdout: [],
      stderr: [],
      held: 0,
      end: null,
      failure: null,
      change: new WakeUp(),
    }
    this.#running.set(id, running)
    exec
      .follow((output) => this.#hold(running, output))
      .then(
        (end) => (running.end = end),
        (error: unknown) => (running.failure = error),
      )
      .finally(() => {
        running.change.wake()
        setTimeout(() => this.#running.delete(id), REMEMBERED_MS).unref()
      })
    if (owner.signal.aborted) this.stopOf(owner) // the client left while the command was being started
    return id
  }

  async read(owner: object, id: string, waitMs: number, signal: AbortSignal): Promise<ExecChunk> {
    const running = this.#get(owner, id)
    if (running.held === 0 && running.end === null && running.failure === null)
      await running.change.wait(waitMs, signal)
    if (running.held === 0 && running.failure !== null) throw asVmmError(running.failure, 'follow the command')
    const [stdout, stderr] = [Buffer.concat(running.stdout), Buffer.concat(running.stderr)]
    running.stdout = []
    running.stderr = []
    running.held = 0
    running.change.wake()
    const { end } = running
    return { stdout, stderr, exited: end !== null, exitCode: end?.exitCode ?? null, signal: end?.signal ?? null }
  }

  async stop(owner: object, id: string): Promise<void> {
    const running = this.#get(owner, id)
    if (running.end === null) await running.exec.stop()
  }

  /** A client has left: its commands end. */
  stopOf(owner: object): void {
    for (const running of this.#running.values()) {
      if (running.owner !== owner || running.end !== null) continue
      running.held = 0
      running.owner = this
      running.exec.stop().catch(() => undefined) // the guest may be gone already
      running.change.wake()
    }
  }

  async #hold(running: Running, output: { stdout: Uint8Array; stderr: Uint8Array }): Promise<void> {
    if (running.owner === this) return
    running.stdout.push(output.stdout)
    running.stderr.push(output.stderr)
    running.held += output.stdout.byteLength + output.stderr.byteLength
    running.change.wake()
    while (running.held > HELD_BYTES && running.owner !== this) await running.change.wait(1000)
  }

  #get(owner: object, id: string): Running {
    const running = this.#running.get(id)
    if (running?.owner === owner) return running
    throw new VmmError('not-found', 'There is no such command any more.')
  }
}
