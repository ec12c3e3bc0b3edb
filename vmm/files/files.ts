import { createBirpc, type BirpcReturn } from 'birpc'
import { VmmError } from '../model/errors'
import type { GuestProcess, SpawnGuest } from '../engine/guest-process'
import type {
  DomainFilesConfig,
  FilesCalls,
  FilesCommands,
  FilesEvents,
  FilesReply,
  FilesReport,
  ShareTroubles,
} from './files-protocol'

/** A process that ends is started again after this, milliseconds; one that keeps ending at once, ever later. */
const RESTART_AFTER_MS = { first: 50, most: 30_000 }
/** A process that has lived this long had not ended at once, milliseconds. */
const LIVED_MS = 10_000
/** How long the process may take to flush everything at the end, milliseconds. */
const CLOSE_WITHIN_MS = 30_000

export interface FilesListeners {
  report(report: FilesReport): void
  /** The process had ended and runs again; `reason` says why, for people. */
  restarted(reason: string, troubles: ReadonlyMap<string, ShareTroubles>): void
}

type Remote = BirpcReturn<FilesCommands, FilesEvents>

/**
 * Main's end of the file process: holds which domains' files should be open, starts the process when the first one is
 * told of, tells it, and tells it again should it have to be started anew. Calls fail with kind `engine` while there is
 * no process.
 */
export class Files {
  /** How often the process had to be started again. */
  restarts = 0
  readonly #domains = new Map<string, DomainFilesConfig>()
  readonly #progress = new Map<string, (done: number, total: number) => void>()
  #process: GuestProcess | null = null
  #remote: Remote | null = null
  #closed = false
  #told: Promise<unknown> = Promise.resolve()
  #patienceMs = RESTART_AFTER_MS.first / 2
  #exited: Promise<void> = Promise.resolve()
  #jobs = 0

  constructor(
    private readonly spawn: SpawnGuest,
    private readonly listeners: FilesListeners,
  ) {}

  /** The process's own id, while there is one. */
  get pid(): number | undefined {
    return this.#process?.pid
  }

  isOpen(domainId: string): boolean {
    return this.#domains.has(domainId)
  }

  /** Tells what became of each share. */
  async setDomain(config: DomainFilesConfig): Promise<ShareTroubles> {
    this.#domains.set(config.domainId, config)
    return await this.ask('setDomain', config)
  }

  async closeDomain(domainId: string): Promise<void> {
    if (!this.#domains.delete(domainId)) return
    await this.ask('closeDomain', domainId)
  }

  /** Fails with the kind of what went wrong there, or kind `engine` when the process ends meanwhile. */
  async ask<K extends keyof FilesCalls>(
    name: K,
    ...args: Parameters<FilesCalls[K]>
  ): Promise<Awaited<ReturnType<FilesCalls[K]>>> {
    if (this.#closed) throw new VmmError('cancelled', 'Vivarium is closing.', { hint: 'Start it again.' })
    if (this.#process === null && this.restarts === 0) this.#begin()
    await this.#told
    return await this.#call(name, args)
  }

  /** Long work, with progress and cancel. */
  async work<K extends 'apply' | 'discard' | 'flattenVolume'>(
    name: K,
    args: Parameters<FilesCalls[K]> extends [string, ...infer Rest] ? Rest : never,
    { signal, onProgress }: { signal: AbortSignal; onProgress(done: number, total: number): void },
  ): Promise<Awaited<ReturnType<FilesCalls[K]>>> {
    const job = `${++this.#jobs}`
    const abort = () => void this.ask('cancel', job).catch(() => undefined) // it has ended: so has the work
    this.#progress.set(job, onProgress)
    signal.addEventListener('abort', abort, { once: true })
    try {
      const all = [job, ...(args as unknown[])] as unknown as Parameters<FilesCalls[K]>
      return await this.ask(name, ...all)
    } finally {
      signal.removeEventListener('abort', abort)
      this.#progress.delete(job)
    }
  }

  /** Flushes everything and ends the process. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const remote = this.#remote
    if (remote) {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise((resolve) => (timer = setTimeout(resolve, CLOSE_WITHIN_MS)))
      await Promise.race([remote.close().catch(() => undefined), late])
      clearTimeout(timer)
      remote.$close()
    }
    this.#process?.kill()
    await this.#exited
  }

  #begin(): void {
    const process = this.spawn()
    const remote = createBirpc<FilesCommands, FilesEvents>(
      {
        report: (report) => this.listeners.report(report),
        progress: (job, done, total) => this.#progress.get(job)?.(done, total),
      },
      {
        post: (message) => process.send(message),
        on: (receive) => process.onMessage(receive),
        timeout: -1,
      },
    )
    this.#process = process
    this.#remote = remote
    const begun = performance.now()
    this.#exited = new Promise((resolve) => {
      process.onExit((how) => {
        resolve()
        this.#ended(remote, how, performance.now() - begun)
      })
    })
  }

  #ended(remote: Remote, how: string, livedMs: number): void {
    remote.$close()
    if (this.#closed) return
    this.#remote = null
    this.#process = null
    this.restarts++
    const { first, most } = RESTART_AFTER_MS
    this.#patienceMs = livedMs > LIVED_MS ? first : Math.min(most, this.#patienceMs * 2)
    setTimeout(() => void this.#beginAgain(how), this.#patienceMs).unref()
  }

  async #beginAgain(reason: string): Promise<void> {
    if (this.#closed) return
    this.#begin()
    const telling = this.#tellAll()
    this.#told = telling
    this.listeners.restarted(reason, await telling)
  }

  /** A domain whose files cannot be opened again must not keep others from theirs. */
  async #tellAll(): Promise<Map<string, ShareTroubles>> {
    const troubles = new Map<string, ShareTroubles>()
    for (const config of this.#domains.values()) {
      const told = await this.#call('setDomain', [config]).catch((error: unknown) => allOf(config, error))
      troubles.set(config.domainId, told)
    }
    return troubles
  }

  async #call<K extends keyof FilesCalls>(
    name: K,
    args: Parameters<FilesCalls[K]>,
  ): Promise<Awaited<ReturnType<FilesCalls[K]>>> {
    const remote = this.#remote
    if (!remote) throw gone()
    const command = remote[name] as (...all: unknown[]) => Promise<FilesReply<Awaited<ReturnType<FilesCalls[K]>>>>
    let reply
    try {
      reply = await command(...args)
    } catch (cause) {
      throw gone(cause)
    }
    if (reply.ok) return reply.value
    throw VmmError.fromFailure(reply.failure)
  }
}

function gone(cause?: unknown): VmmError {
  return new VmmError('engine', 'The file process is being started again.', { hint: 'Try again in a moment.', cause })
}

function allOf({ shares }: DomainFilesConfig, error: unknown): ShareTroubles {
  const reason = error instanceof Error ? error.message : String(error)
  return Object.fromEntries(shares.map(({ id }) => [id, reason]))
}
