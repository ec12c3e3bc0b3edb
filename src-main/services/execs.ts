import { randomUUID } from 'node:crypto'
import type { ExecChunk } from '../contract'
import { VmmError } from '../../vmm/model/errors'
import { GuestExec, type ExecEnd } from '../../vmm/machine/exec'
import type { DomainService } from './domains'

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
  wake: Set<() => void>
}

/** Commands in guests, each followed by the client that started it. */
export class ExecService {
  readonly #running = new Map<string, Running>()

  constructor(private readonly domains: DomainService) {}

  async start(owner: object, domainId: string, argv: string[], stdin: Uint8Array | undefined): Promise<string> {
    const run = this.domains.forVerb(domainId, 'exec').requireRun()
    const exec = await GuestExec.start(run.commands, argv, stdin)
    const id = randomUUID()
    const running: Running = { exec, owner, stdout: [], stderr: [], held: 0, end: null, failure: null, wake: new Set() }
    this.#running.set(id, running)
    exec
      .follow((output) => this.#hold(running, output))
      .then(
        (end) => (running.end = end),
        (error: unknown) => (running.failure = error),
      )
      .finally(() => {
        wakeAll(running)
        setTimeout(() => this.#running.delete(id), REMEMBERED_MS).unref()
      })
    return id
  }

  async read(owner: object, id: string, waitMs: number, signal: AbortSignal): Promise<ExecChunk> {
    const running = this.#get(owner, id)
    if (running.held === 0 && running.end === null && running.failure === null) await change(running, waitMs, signal)
    if (running.held === 0 && running.failure !== null) throw running.failure
    const [stdout, stderr] = [Buffer.concat(running.stdout), Buffer.concat(running.stderr)]
    running.stdout = []
    running.stderr = []
    running.held = 0
    wakeAll(running)
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
      wakeAll(running)
    }
  }

  async #hold(running: Running, output: { stdout: Uint8Array; stderr: Uint8Array }): Promise<void> {
    if (running.owner === this) return
    running.stdout.push(output.stdout)
    running.stderr.push(output.stderr)
    running.held += output.stdout.byteLength + output.stderr.byteLength
    wakeAll(running)
    while (running.held > HELD_BYTES && running.owner !== this) await change(running, 1000)
  }

  #get(owner: object, id: string): Running {
    const running = this.#running.get(id)
    if (running?.owner === owner) return running
    throw new VmmError('not-found', 'There is no such command any more.')
  }
}

function wakeAll(running: Running): void {
  for (const wake of [...running.wake]) wake()
}

function change(running: Running, waitMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      clearTimeout(timer)
      running.wake.delete(settle)
      signal?.removeEventListener('abort', settle)
      resolve()
    }
    const timer = setTimeout(settle, waitMs)
    running.wake.add(settle)
    signal?.addEventListener('abort', settle)
  })
}
