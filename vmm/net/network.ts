import { Worker } from 'node:worker_threads'
import { createBirpc, type BirpcReturn } from 'birpc'
import { VmmError } from '../model/errors'
import type { Forward } from '../model/network'
import type {
  CaptureConfig,
  CaptureReport,
  DomainConfig,
  FlowReport,
  ForwardReport,
  MirrorConfig,
  NetworkCommands,
  NetworkEvents,
  NetworkReport,
  SegmentConfig,
} from './network-protocol'
import type { PortConfig } from './port-config'

/** A worker that ends is started again after this, milliseconds; one that keeps ending at once, ever later. */
const RESTART_AFTER_MS = { first: 100, most: 30_000 }
/** A worker that has lived this long had not ended at once, milliseconds. */
const LIVED_MS = 10_000
/** The memory that the worker may take before it is ended and started anew, MiB. */
const MEMORY_MIB = 1024

/** What is used of a worker thread. */
export interface NetworkThread {
  postMessage(message: unknown): void
  on(event: 'message', receive: (message: unknown) => void): unknown
  on(event: 'error', failed: (error: Error) => void): unknown
  on(event: 'exit', ended: () => void): unknown
  terminate(): Promise<unknown>
}

/** Starts the worker. Each shell knows where the build has put it. */
export type SpawnNetwork = () => NetworkThread

/** The network's worker from the file that the build has made of network-worker.ts. */
export function networkThread(entryFile: string): SpawnNetwork {
  return () => new Worker(entryFile, { resourceLimits: { maxOldGenerationSizeMb: MEMORY_MIB } })
}

export interface NetworkListeners {
  report(report: NetworkReport): void
  /** The worker had ended and runs again; `reason` says why, for people. */
  restarted(reason: string, forwards: ForwardReport[]): void
}

type Remote = BirpcReturn<NetworkCommands, NetworkEvents>

/**
 * Main's end of the network: holds what should be, tells the worker, and tells it again should the worker have to be
 * started anew. Calls fail with kind `engine` while there is no worker; what was asked for holds nevertheless.
 */
export class Network {
  /** How often the worker had to be started again. */
  restarts = 0
  readonly #segments = new Map<string, SegmentConfig>()
  readonly #domains = new Map<string, DomainConfig>()
  readonly #ports = new Map<string, { config: PortConfig; segment: string }>()
  readonly #forwards = new Map<string, readonly Forward[]>()
  readonly #mirrors = new Map<string, MirrorConfig>()
  #dnsServers: readonly string[] = []
  #worker: NetworkThread | null = null
  #remote: Remote | null = null
  #closed = false
  /** Settled when the worker knows what should be; nothing else is asked of it before. */
  #told: Promise<unknown> = Promise.resolve()
  #patienceMs = RESTART_AFTER_MS.first / 2
  /** Denials are numbered on over restarts. */
  #firstSeq = 0
  #lastSeq = 0

  constructor(
    private readonly spawn: SpawnNetwork,
    private readonly listeners: NetworkListeners,
  ) {
    this.#begin()
  }

  setDnsServers(servers: readonly string[]): Promise<void> {
    this.#dnsServers = servers
    return this.#tell((remote) => remote.setDnsServers(servers))
  }

  setSegment(config: SegmentConfig): Promise<void> {
    this.#segments.set(config.name, config)
    return this.#tell((remote) => remote.setSegment(config))
  }

  setDomain(config: DomainConfig): Promise<void> {
    this.#domains.set(config.domainId, config)
    return this.#tell((remote) => remote.setDomain(config))
  }

  async removeDomain(domainId: string): Promise<void> {
    this.#domains.delete(domainId)
    this.#forwards.delete(domainId)
    for (const [id, { config }] of this.#ports) if (config.domainId === domainId) this.#ports.delete(id)
    await this.#tell((remote) => remote.removeDomain(domainId))
  }

  endFlows(domainId: string): Promise<void> {
    return this.#tell((remote) => remote.endFlows(domainId))
  }

  setPort(config: PortConfig, segment: string): Promise<void> {
    this.#ports.set(config.id, { config, segment })
    return this.#tell((remote) => remote.setPort(config, segment))
  }

  /** Tells what became of each; nothing for a domain that does not run. */
  async setForwards(domainId: string, forwards: readonly Forward[]): Promise<ForwardReport[]> {
    this.#forwards.set(domainId, forwards)
    return (await this.#ask((remote) => remote.setForwards(domainId, forwards))) ?? []
  }

  setMirror(config: MirrorConfig): Promise<void> {
    this.#mirrors.set(config.id, config)
    return this.#tell((remote) => remote.setMirror(config))
  }

  removeMirror(id: string): Promise<void> {
    this.#mirrors.delete(id)
    return this.#tell((remote) => remote.removeMirror(id))
  }

  /** A capture ends with the worker. */
  async startCapture(config: CaptureConfig): Promise<void> {
    await this.#require((remote) => remote.startCapture(config))
  }

  async stopCapture(id: string): Promise<CaptureReport | null> {
    return (await this.#ask((remote) => remote.stopCapture(id))) ?? null
  }

  async flows(domainId: string, limit: number): Promise<FlowReport[]> {
    return (await this.#ask((remote) => remote.flows(domainId, limit))) ?? []
  }

  async packets(captureId: string, after: number, limit: number): ReturnType<Remote['packets']> {
    return (await this.#ask((remote) => remote.packets(captureId, after, limit))) ?? []
  }

  /** Ends the worker; captures are whole on disk then. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#remote?.close().catch(() => undefined) // it has just ended
    this.#remote?.$close()
    await this.#worker?.terminate()
  }

  #begin(): void {
    const worker = this.spawn()
    const remote = createBirpc<NetworkCommands, NetworkEvents>(
      { report: (report) => this.#report(report) },
      {
        post: (message) => worker.postMessage(message),
        on: (receive) => worker.on('message', receive),
        resolver: (name, known) => (name === 'report' ? known : undefined),
      },
    )
    this.#worker = worker
    this.#remote = remote
    const begun = performance.now()
    let reason = 'it ended by itself'
    worker.on('error', (error) => (reason = error.message))
    worker.on('exit', () => {
      if (this.#closed) return
      remote.$close()
      this.#remote = null
      const { first, most } = RESTART_AFTER_MS
      this.#patienceMs = performance.now() - begun > LIVED_MS ? first : Math.min(most, this.#patienceMs * 2)
      setTimeout(() => void this.#beginAgain(reason), this.#patienceMs).unref()
    })
  }

  async #beginAgain(reason: string): Promise<void> {
    if (this.#closed) return
    this.restarts++
    this.#firstSeq = this.#lastSeq
    this.#begin()
    const telling = this.#tellAll().catch(() => []) // it has ended again
    this.#told = telling
    const forwards = await telling
    this.listeners.restarted(reason, forwards)
  }

  async #tellAll(): Promise<ForwardReport[]> {
    const remote = this.#remote
    if (!remote) return []
    await remote.setDnsServers(this.#dnsServers)
    for (const config of this.#segments.values()) await remote.setSegment(config)
    for (const config of this.#domains.values()) await remote.setDomain(config)
    for (const { config, segment } of this.#ports.values()) await remote.setPort(config, segment)
    for (const config of this.#mirrors.values()) await remote.setMirror(config)
    const reports: ForwardReport[] = []
    for (const [id, forwards] of this.#forwards) reports.push(...(await remote.setForwards(id, forwards)))
    return reports
  }

  #report(report: NetworkReport): void {
    const notes = report.notes.map((note) => ({ ...note, seq: note.seq + this.#firstSeq }))
    for (const { seq } of notes) this.#lastSeq = Math.max(this.#lastSeq, seq)
    this.listeners.report({ ...report, notes })
  }

  /** What is told to no worker is told to the next one. */
  async #tell(work: (remote: Remote) => Promise<void>): Promise<void> {
    await this.#ask(work)
  }

  /** Undefined when the worker ends meanwhile, or there is none. */
  async #ask<T>(work: (remote: Remote) => Promise<T>): Promise<T | undefined> {
    await this.#told
    const remote = this.#remote
    if (!remote) return undefined
    try {
      return await work(remote)
    } catch (error) {
      if (this.#remote !== remote) return undefined
      throw error
    }
  }

  async #require<T>(work: (remote: Remote) => Promise<T>): Promise<T> {
    await this.#told
    if (this.#remote) return await work(this.#remote)
    throw new VmmError('engine', 'The network is being started again.', { hint: 'Try again in a moment.' })
  }
}
