import { existsSync, mkdirSync } from 'node:fs'
import { cp, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { VmmError } from '../model/errors'
import { IoGate } from '../throttle/io-gate'
import { NO_RATES } from '../model/policy-io'
import type { DiskSpec } from '../engine/machine-spec'
import type { Clock } from '../net/clock'
import type { RegistryCalls } from '../registry/registry-calls'
import type { VolumeCalls, VolumePlace } from '../disks/volume-calls'
import { VolumeStores } from '../disks/volume-stores'
import { DomainFiles, REGISTRY_COPY } from './domain-files'
import { countOf } from './domain-gates'
import { HostTrees } from './host-trees'
import { LockTable } from './ninep-locks'
import { OverlayProvider } from './overlay'
import type {
  ChangesOutcome,
  DomainFilesConfig,
  FileChanges,
  FilesCalls,
  FilesReport,
  FileSides,
  KeptFolders,
  ShareTroubles,
} from './files-protocol'
import { AccessNotes } from './access-notes'

export interface FilesHostOptions {
  clock: Clock
  /** Unix milliseconds. */
  wallClock: () => number
  progress(job: string, done: number, total: number): void
}

/** What all domains of the file process have in common. */
export class FilesHost implements FilesCalls {
  readonly #trees = new HostTrees()
  readonly #locks = new LockTable()
  readonly #volumes = new VolumeStores()
  readonly #groups = new Map<string, IoGate>()
  readonly #domains = new Map<string, DomainFiles>()
  readonly #jobs = new Map<string, AbortController>()
  readonly #notes: AccessNotes

  constructor(private readonly options: FilesHostOptions) {
    this.#notes = new AccessNotes(options.wallClock)
  }

  async setDomain(config: DomainFilesConfig): Promise<ShareTroubles> {
    const domain = this.#domains.get(config.domainId) ?? this.#newDomain(config.domainId)
    this.#domains.set(config.domainId, domain)
    return await domain.configure(config, config.group && this.#groupGate(config.group))
  }

  async closeDomain(domainId: string): Promise<void> {
    const domain = this.#domains.get(domainId)
    this.#domains.delete(domainId)
    this.#notes.forget(domainId)
    await domain?.close()
  }

  async snapshot(domainId: string, folder: string): Promise<void> {
    await this.#get(domainId).snapshot(folder)
  }

  /** Each copy is brought beside its place first, so that a crash leaves the one or the other. */
  async restore({ shares, registry }: KeptFolders, folder: string): Promise<void> {
    for (const { id, overlay } of shares) {
      const incoming = `${overlay}.incoming`
      await rm(incoming, { recursive: true, force: true })
      mkdirSync(path.dirname(overlay), { recursive: true, mode: 0o700 })
      const found = existsSync(path.join(folder, id))
      if (found) await OverlayProvider.restore(path.join(folder, id), incoming)
      await rm(overlay, { recursive: true, force: true })
      if (found) await rename(incoming, overlay)
    }
    await restoreRegistry(path.join(folder, REGISTRY_COPY), registry)
  }

  async registry<K extends keyof RegistryCalls>(
    domainId: string,
    name: K,
    args: Parameters<RegistryCalls[K]>,
  ): Promise<Awaited<ReturnType<RegistryCalls[K]>>> {
    return await this.#get(domainId).callRegistry(name, args)
  }

  async volumes<K extends keyof VolumeCalls>(
    place: VolumePlace,
    name: K,
    args: Parameters<VolumeCalls[K]>,
  ): Promise<Awaited<ReturnType<VolumeCalls[K]>>> {
    const store: VolumeCalls = this.#volumes.at(place)
    const call = store[name] as (...all: Parameters<VolumeCalls[K]>) => ReturnType<VolumeCalls[K]>
    return await call.apply(store, args)
  }

  copyVolumes(domainId: string, copies: Readonly<Record<string, string>>): Promise<void> {
    return this.#get(domainId).copyVolumes(copies)
  }

  flattenVolume(job: string, place: VolumePlace, disk: DiskSpec, to: string, kind: 'file' | 'layer'): Promise<void> {
    const store = this.#volumes.at(place)
    return this.#work(job, (work) =>
      kind === 'file' ? store.flatten(disk, to, work) : store.flattenLayer(disk, to, work),
    )
  }

  keptBytes(domainId: string): Promise<Record<string, number>> {
    return Promise.resolve(this.#get(domainId).keptBytes())
  }

  changes(domainId: string, shareId: string, under: string, limit: number): Promise<FileChanges> {
    return this.#get(domainId).changes(shareId, under, limit)
  }

  sides(domainId: string, shareId: string, key: string, limit: number): Promise<FileSides> {
    return this.#get(domainId).sides(shareId, key, limit)
  }

  apply(
    job: string,
    domainId: string,
    shareId: string,
    keys: readonly string[],
    force: boolean,
  ): Promise<ChangesOutcome> {
    return this.#work(job, (context) => this.#get(domainId).apply(shareId, keys, force, context))
  }

  discard(job: string, domainId: string, shareId: string, keys: readonly string[]): Promise<ChangesOutcome> {
    return this.#work(job, (context) => this.#get(domainId).discard(shareId, keys, context))
  }

  cancel(job: string): Promise<void> {
    this.#jobs.get(job)?.abort()
    return Promise.resolve()
  }

  async close(): Promise<void> {
    for (const id of [...this.#domains.keys()]) await this.closeDomain(id)
  }

  /** What has happened since the last report; null for nothing at all. */
  report(): FilesReport | null {
    const meters = [...this.#domains.values()].flatMap((domain) => domain.meters())
    const { notes, untold } = this.#notes.take()
    if (meters.length === 0 && notes.length === 0 && untold.length === 0) return null
    const groups = [...this.#groups].map(([name, gate]) => ({ name, count: countOf(gate) }))
    return { meters, groups, notes, untold }
  }

  #newDomain(domainId: string): DomainFiles {
    const { clock } = this.options
    const other = (id: string) => this.#get(id).registry
    return new DomainFiles(domainId, {
      clock,
      trees: this.#trees,
      locks: this.#locks,
      notes: this.#notes,
      volumes: this.#volumes,
      other,
    })
  }

  /** One budget for all domains of a group; the latest rates that were told hold. */
  #groupGate({ name, rates }: NonNullable<DomainFilesConfig['group']>): IoGate {
    const gate = this.#groups.get(name) ?? new IoGate(this.options.clock, NO_RATES)
    this.#groups.set(name, gate)
    gate.set(rates)
    return gate
  }

  async #work<T>(
    job: string,
    work: (context: { signal: AbortSignal; onProgress(done: number, total: number): void }) => Promise<T>,
  ): Promise<T> {
    const abort = new AbortController()
    this.#jobs.set(job, abort)
    try {
      return await work({
        signal: abort.signal,
        onProgress: (done, total) => this.options.progress(job, done, total),
      })
    } finally {
      this.#jobs.delete(job)
    }
  }

  #get(domainId: string): DomainFiles {
    const domain = this.#domains.get(domainId)
    if (domain) return domain
    throw new VmmError('state', 'The files of this domain are not open.', { hint: 'Try again.' })
  }
}

/** A snapshot without a registry is of a domain that had none then. */
async function restoreRegistry(from: string, to: string): Promise<void> {
  const incoming = `${to}.incoming`
  await rm(incoming, { recursive: true, force: true })
  const found = existsSync(from)
  if (found) await cp(from, incoming, { recursive: true })
  await rm(to, { recursive: true, force: true })
  if (found) await rename(incoming, to)
}
