import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import type { CaptureView, CheckedArgs, PacketView } from '../contract'
import { VmmError } from '../../vmm/model/errors'
import type { CaptureReport, NetworkReport } from '../../vmm/net/network-protocol'
import type { CaptureRecord, Storage } from '../../storage'
import type { DomainService } from './domains'
import type { Folders } from './folders'
import type { Journal } from './journal'
import type { NetworkService } from './networks'

/** Largest part of a file that one call returns, bytes. */
const READ_LIMIT = 1024 * 1024
/** Packets that one call returns. */
const PACKETS_LIMIT = 200
/** How often a waiting client's question is asked again, milliseconds. */
const ASK_EVERY_MS = 200

export interface CapturesParts {
  storage: Storage
  domains: DomainService
  folders: Folders
  networks: NetworkService
  journal: Journal
}

/** Recordings of network traffic, as pcapng files in the data folder. */
export class CaptureService {
  readonly #captures = new Map<string, CaptureRecord>()
  readonly #running = new Map<string, CaptureReport>()

  constructor(private readonly parts: CapturesParts) {}

  /** Those that ran when an earlier main ended, ended with it; their files are whole up to the last block. */
  async load(): Promise<void> {
    for (const capture of await this.parts.storage.networks.captures()) {
      this.#captures.set(capture.id, capture)
      if (capture.endedAt === null) await this.#end(capture, null, 'Vivarium ended.')
    }
    for (const id of await readdir(this.parts.folders.captures).catch(() => [])) {
      if (!this.#captures.has(id)) await rm(this.#folder(id), { recursive: true, force: true })
    }
  }

  take({ captures }: NetworkReport): void {
    for (const report of captures) {
      const record = this.#captures.get(report.id)
      if (record?.endedAt !== null) continue
      this.#running.set(report.id, report)
      if (!report.running) void this.#stopEnded(record).catch(tell)
    }
  }

  /** The network's worker has ended, and its captures with it. */
  async lost(): Promise<void> {
    for (const record of this.#captures.values()) {
      if (record.endedAt === null)
        await this.#end(record, this.#running.get(record.id) ?? null, 'The network had failed.')
    }
  }

  async views(): Promise<CaptureView[]> {
    return await Promise.all([...this.#captures.values()].map((capture) => this.#view(capture)))
  }

  async start({ source, ...options }: CheckedArgs<'captures.start'>): Promise<CaptureView> {
    const { storage, networks, journal } = this.parts
    const name = this.#nameOf(source)
    const id = randomUUID()
    const folder = this.#folder(id)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const card = 'segment' in source ? { domainId: null, nic: null } : { domainId: source.id, nic: source.nic }
    const record = { id, name, ...card, startedAt: Date.now(), endedAt: null, frames: 0, dropped: 0, reason: '' }
    await storage.networks.putCapture(record)
    this.#captures.set(id, record)
    const from = 'segment' in source ? { segment: source.segment } : { port: `${source.id}/${source.nic}` }
    try {
      await networks.network.startCapture({ id, source: from, folder, ...options })
    } catch (error) {
      await this.remove(id)
      throw error
    }
    await journal.info('segment' in source ? null : source.id, 'capture.started', `A capture of ${name} was started.`)
    networks.publish('')
    return await this.#view(record)
  }

  async stop(id: string): Promise<CaptureView> {
    const record = this.#get(id)
    if (record.endedAt === null) await this.#end(record, await this.parts.networks.network.stopCapture(id), '')
    return await this.#view(this.#get(id))
  }

  async remove(id: string): Promise<void> {
    const record = this.#get(id)
    if (record.endedAt === null) await this.parts.networks.network.stopCapture(id)
    await this.parts.storage.networks.removeCapture(id)
    this.#captures.delete(id)
    this.#running.delete(id)
    await rm(this.#folder(id), { recursive: true, force: true })
    this.parts.networks.publish('')
  }

  async read(id: string, file: string, offset: number): Promise<{ bytes: Uint8Array; size: number }> {
    this.#get(id)
    const handle = await open(path.join(this.#folder(id), file), 'r').catch(() => {
      throw new VmmError('not-found', 'There is no such file.', { hint: 'It may have been rotated away.' })
    })
    try {
      const { size } = await handle.stat()
      const bytes = Buffer.alloc(Math.max(0, Math.min(READ_LIMIT, size - offset)))
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, offset)
      return { bytes: bytes.subarray(0, bytesRead), size }
    } finally {
      await handle.close()
    }
  }

  /** New packets of a running capture; waits for some. */
  async packets(id: string, after: number, waitMs: number, signal: AbortSignal): Promise<PacketView[]> {
    const deadline = Date.now() + waitMs
    for (;;) {
      const record = this.#get(id)
      const packets = await this.parts.networks.network.packets(id, after, PACKETS_LIMIT)
      if (packets.length > 0 || record.endedAt !== null || Date.now() >= deadline || signal.aborted) {
        return packets.map(packetView)
      }
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS))
    }
  }

  #get(id: string): CaptureRecord {
    const record = this.#captures.get(id)
    if (record) return record
    throw new VmmError('not-found', 'There is no such capture.', { hint: 'Look at the list.' })
  }

  #nameOf(source: CheckedArgs<'captures.start'>['source']): string {
    if ('segment' in source) {
      if (source.segment === '') return 'the gateway network'
      const known = this.parts.networks.segmentNames().includes(source.segment)
      if (known) return `the segment ${source.segment}`
      throw new VmmError('not-found', 'There is no such segment.', { hint: 'Look at the list of networks.' })
    }
    const domain = this.parts.domains.get(source.id)
    if (source.nic < domain.record.spec.nics.length) return `${domain.name}, card ${source.nic + 1}`
    throw new VmmError('not-found', `${domain.name} has no such network card.`, { hint: 'Look at its hardware.' })
  }

  /** One that has reached its size, or that the disk refused. */
  async #stopEnded(record: CaptureRecord): Promise<void> {
    const report = await this.parts.networks.network.stopCapture(record.id)
    if (this.#captures.get(record.id)?.endedAt === null) await this.#end(record, report, report?.reason ?? '')
  }

  async #end(record: CaptureRecord, report: CaptureReport | null, reason: string): Promise<void> {
    const ended = {
      ...record,
      endedAt: Date.now(),
      frames: report?.frames ?? record.frames,
      dropped: report?.dropped ?? record.dropped,
      reason,
    }
    this.#captures.set(record.id, ended)
    this.#running.delete(record.id)
    await this.parts.storage.networks.putCapture(ended)
    this.parts.networks.publish('')
  }

  async #view(record: CaptureRecord): Promise<CaptureView> {
    const { id, name, domainId, nic, startedAt, endedAt, frames, dropped, reason } = record
    const running = this.#running.get(id)
    const files = await this.#files(id)
    return {
      id,
      name,
      source: domainId === null || nic === null ? null : { domainId, nic },
      running: endedAt === null,
      startedAt,
      endedAt,
      frames: running?.frames ?? frames,
      bytes: files.reduce((sum, file) => sum + file.bytes, 0),
      dropped: running?.dropped ?? dropped,
      reason,
      files,
    }
  }

  async #files(id: string): Promise<{ name: string; bytes: number }[]> {
    const folder = this.#folder(id)
    const names = (await readdir(folder).catch(() => [])).sort()
    const files = names.map(async (name) => ({ name, bytes: (await stat(path.join(folder, name))).size }))
    return await Promise.all(files).catch(() => []) // one has just been rotated away
  }

  #folder(id: string): string {
    return path.join(this.parts.folders.captures, id)
  }
}

function packetView(packet: Awaited<ReturnType<NetworkService['network']['packets']>>[number]): PacketView {
  const { number, timeMs, bytes, source, destination, protocol, info } = packet
  return { number, at: timeMs, length: bytes, source, destination, protocol, info }
}

function tell(error: unknown): void {
  console.error('vivarium: a capture could not be ended:', error)
}
