import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import type { FileDenialView, FilesView, IoDeviceView, OnceView } from '../contract'
import type { SpawnGuest } from '../../vmm/engine/guest-process'
import type { EngineCatalog } from '../../vmm/engine/catalog'
import { Files } from '../../vmm/files/files'
import type { FilesReport, ShareTroubles } from '../../vmm/files/files-protocol'
import type { GuestRun } from '../../vmm/machine/guest-run'
import { asVmmError } from '../../vmm/model/errors'
import { NO_RATES } from '../../vmm/model/policy-io'
import { REGISTRY_TREE } from '../../vmm/model/share'
import type { Broadcast } from './broadcast'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import { FileConfigs, hasFiles } from './file-config'
import { FileDenials } from './file-denials'
import { FileMeter } from './file-meter'
import { devicesOf, shareView } from './file-view'
import type { Folders } from './folders'
import type { ImageService } from './images'
import type { Journal } from './journal'
import type { KeyService } from './keys'
import type { SettingsService } from './settings'

export interface FilesParts {
  domains: DomainService
  engines: EngineCatalog
  folders: Folders
  images: ImageService
  broadcast: Broadcast
  journal: Journal
  keys: KeyService
  settings: SettingsService
  spawnFiles: SpawnGuest
}

/** Serves running domains their files, and tells what goes on there. */
export class FileService {
  readonly files: Files
  readonly denials: FileDenials
  readonly #meter = new FileMeter()
  readonly #configs: FileConfigs
  readonly #troubles = new Map<string, ShareTroubles>()
  /** Where guests have mounted what, by domain and name of the share. */
  readonly #mounted = new Map<string, Map<string, string>>()
  readonly #once = new Map<string, OnceView>()
  /** Domains whose disks are volumes and have a machine, or are about to. */
  readonly #serving = new Set<string>()
  /** What agents are at, by domain. */
  readonly #mounting = new Map<string, Promise<void>>()

  constructor(private readonly parts: FilesParts) {
    this.#configs = new FileConfigs(parts)
    this.denials = new FileDenials(parts.domains, parts.journal)
    this.files = new Files(parts.spawnFiles, {
      report: (report) => this.#report(report),
      restarted: (reason, troubles) => void this.#restarted(reason, troubles),
    })
  }

  /** Before a machine boots: it gets the card that its guest's files need. */
  async prepare(domain: Domain): Promise<void> {
    if (!hasFiles(domain) || domain.record.spec.filesCard || !this.#needsCard(domain)) return
    await this.parts.domains.store(domain, ({ spec }) => ({ spec: { ...spec, filesCard: true } }))
  }

  /** Before a machine starts, and until `detach`: its disks are served. Throws when they cannot be opened. */
  async serveDisks(domain: Domain): Promise<void> {
    if (!domain.record.volumes) return
    this.#serving.add(domain.id)
    await this.refresh(domain)
  }

  /** A machine lives: its shares are served, and its disks if they were not. */
  async attach(domain: Domain): Promise<void> {
    if (domain.record.volumes) this.#serving.add(domain.id)
    if (this.#isServed(domain)) await this.refresh(domain)
  }

  /** A guest has become itself: its agent mounts what should be mounted, one after the other. */
  async introduce(domain: Domain, run: GuestRun): Promise<void> {
    const before = this.#mounting.get(domain.id) ?? Promise.resolve()
    const mounting = before.then(() => this.#mount(domain, run))
    this.#mounting.set(
      domain.id,
      mounting.catch(() => undefined),
    )
    await mounting
  }

  async #mount(domain: Domain, run: GuestRun): Promise<void> {
    if (!hasFiles(domain)) return
    const { shares, registry } = domain.record.spec
    if (this.#cardTrouble(domain) !== '') return
    const names = shares.filter(({ attached, mounted }) => attached && mounted).map(({ name }) => name)
    if (registry.served) names.push(REGISTRY_TREE)
    const mounted = this.#mounted.get(domain.id) ?? new Map<string, string>()
    this.#mounted.set(domain.id, mounted)
    try {
      await run.mountShares(names, (name, point) => mounted.set(name, point))
    } finally {
      this.publish(domain.id)
    }
  }

  /** The machine has ended. What was allowed for its run only is over; what is kept stays open for looking at. */
  async detach(domainId: string): Promise<void> {
    this.#once.delete(domainId)
    this.#serving.delete(domainId)
    this.#mounted.delete(domainId)
    this.#mounting.delete(domainId)
    this.#troubles.delete(domainId)
    this.#meter.forget(`${domainId}/`)
    await this.files.closeDomain(domainId)
    this.publish(domainId)
  }

  /** The domain is gone for good. */
  async forget(domainId: string): Promise<void> {
    await this.files.closeDomain(domainId)
    this.denials.forget(domainId)
  }

  /** Tells the file process what a domain has and may do now. */
  async refresh(domain: Domain): Promise<void> {
    const config = await this.#configs.of(domain, this.once(domain.id), this.#serving.has(domain.id))
    this.#troubles.set(domain.id, await this.files.setDomain(config))
    this.publish(domain.id)
  }

  /** A domain's shares or its policy have changed. */
  async follow(domain: Domain): Promise<void> {
    if (this.#isServed(domain)) {
      await this.refresh(domain)
      if (domain.run?.agentState === 'ready') await this.introduce(domain, domain.run)
    } else {
      await this.close(domain)
    }
  }

  /** The limits of groups have changed. */
  async refreshAll(): Promise<void> {
    for (const domain of this.parts.domains.all()) {
      if (this.#isServed(domain)) await this.refresh(domain).catch((error: unknown) => this.#warn(domain, error))
    }
  }

  /** Opens what is kept of a domain for being looked at; what cannot be opened is told with its share. */
  async look(domain: Domain): Promise<void> {
    if (this.#configs.keeps(domain)) await this.open(domain).catch((error: unknown) => this.#warn(domain, error))
  }

  /** Has what is kept of a domain open, also while it is off. */
  async open(domain: Domain): Promise<void> {
    if (!this.files.isOpen(domain.id)) await this.refresh(domain)
  }

  /** Ends what is open of a domain that is off, so that its files can be moved. */
  async close(domain: Domain): Promise<void> {
    await this.files.closeDomain(domain.id)
    this.publish(domain.id)
  }

  /** Copies what is kept, of one moment; its machine stands still or is off. */
  async snapshot(domain: Domain, folder: string): Promise<void> {
    if (!this.#configs.keeps(domain)) return
    const wasOpen = this.files.isOpen(domain.id)
    await this.open(domain)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await this.files.ask('snapshot', domain.id, folder)
    if (!wasOpen) await this.files.closeDomain(domain.id)
  }

  /** Copies disks that are served, by their ids, of one moment; their machine stands still. */
  async copyDisks({ id }: Domain, copies: Readonly<Record<string, string>>): Promise<void> {
    await this.files.ask('copyVolumes', id, copies)
  }

  /** Puts what `snapshot` copied back, or takes it over in a clone; the domain is off. */
  async restore(domain: Domain, folder: string): Promise<void> {
    await this.files.closeDomain(domain.id)
    if (!existsSync(folder) && !this.#configs.keeps(domain)) return
    const { folders } = this.parts
    const shares = domain.record.spec.shares.map(({ id }) => ({ id, overlay: folders.share(domain.id, id) }))
    await this.files.ask('restore', { shares, registry: folders.registry(domain.id) }, folder)
  }

  once(domainId: string): OnceView {
    return this.#once.get(domainId) ?? { files: [], registry: [] }
  }

  async setOnce(domain: Domain, once: OnceView): Promise<OnceView> {
    this.#once.set(domain.id, once)
    if (this.#isServed(domain)) await this.refresh(domain)
    return once
  }

  async view(id: string): Promise<FilesView> {
    const domain = this.parts.domains.get(id)
    const { keyId, spec } = domain.record
    const kept = this.files.isOpen(id) ? await this.files.ask('keptBytes', id).catch(() => ({})) : {}
    const shares = spec.shares.map((share) =>
      shareView(share, {
        engine: spec.engine,
        running: domain.run !== null,
        trouble: this.#troubles.get(id)?.[share.id] || this.#cardTrouble(domain),
        mountedAt: this.#mounted.get(id)?.get(share.name) ?? '',
        keptBytes: (kept as Record<string, number>)[share.id] ?? 0,
        sealed: keyId !== '',
      }),
    )
    return { id, shares, ...this.#meters(domain) }
  }

  /** Where the guest has mounted its registry; '' when it has not. */
  registryMount(id: string): string {
    return this.#mounted.get(id)?.get(REGISTRY_TREE) ?? ''
  }

  publishRegistry(id: string): void {
    this.#publish(id, [], 'registry')
  }

  publish(id: string): void {
    this.#publish(id, [], 'files')
  }

  #meters(domain: Domain): Pick<FilesView, 'devices' | 'group'> {
    const { group } = domain.record.spec
    const devices = devicesOf(domain, (device) => this.#meter.now(`${domain.id}/${device}`))
    if (group === '') return { devices, group: null }
    const members = this.parts.domains.all().filter(({ record }) => record.spec.group === group)
    const view: IoDeviceView = {
      device: '',
      rates: this.#configs.groupRates(group) ?? NO_RATES,
      ...this.#meter.now(`@${group}`),
      enforced: true,
      reason: '',
    }
    return { devices, group: { ...view, name: group, domains: members.map(({ name }) => name) } }
  }

  #isServed(domain: Domain): boolean {
    return this.#serving.has(domain.id) || (domain.run !== null && hasFiles(domain))
  }

  #cardTrouble(domain: Domain): string {
    const lacks = domain.run !== null && this.#needsCard(domain) && domain.run.machine.filesCard === null
    return lacks ? 'The machine has no card for files; it gets one when it is started anew.' : ''
  }

  #needsCard({ record }: Domain): boolean {
    return this.parts.engines.get(record.spec.engine).capabilities.filesCard
  }

  #report(report: FilesReport): void {
    const at = performance.now()
    const fresh = new Set<string>()
    for (const { domainId, device, count } of report.meters) {
      if (this.#meter.take(`${domainId}/${device}`, count, at)) fresh.add(domainId)
    }
    for (const { name, count } of report.groups) this.#meter.take(`@${name}`, count, at)
    const denials = this.denials.take(report)
    for (const id of new Set([...fresh, ...denials.keys()])) this.#publish(id, denials.get(id) ?? [], '')
  }

  async #restarted(reason: string, troubles: ReadonlyMap<string, ShareTroubles>): Promise<void> {
    for (const [id, told] of troubles) this.#troubles.set(id, told)
    const { journal, domains } = this.parts
    await journal.warning(null, 'files.restarted', `The file process was started again: ${reason}.`).catch(complain)
    for (const domain of domains.all()) {
      if (!troubles.has(domain.id)) continue
      this.publish(domain.id)
      if (this.#serving.has(domain.id)) await this.#tellCut(domain)
      const { run } = domain
      if (run?.agentState === 'ready')
        await this.introduce(domain, run).catch((error: unknown) => this.#warn(domain, error))
    }
  }

  /** What its guest had written and not synced may be lost, and it does not know. */
  async #tellCut({ id, name }: Domain): Promise<void> {
    const words = `The disks of ${name} were cut off for a moment: what it had not synced may be lost. Restart it.`
    await this.parts.journal.warning(id, 'files.disks-cut', words).catch(complain)
  }

  async #warn(domain: Domain, error: unknown): Promise<void> {
    const { message } = asVmmError(error, `mount the shares of ${domain.name}`)
    await this.parts.journal.warning(domain.id, 'files.trouble', message).catch(complain)
  }

  #publish(id: string, denials: FileDenialView[], changed: '' | 'files' | 'registry'): void {
    const domain = this.parts.domains.all().find((each) => each.id === id)
    if (!domain) return
    const meters = domain.run ? this.#meters(domain) : null
    this.parts.broadcast.publish({ topic: 'files', payload: { id, meters, denials, changed } })
  }
}

function complain(error: unknown): void {
  console.error('vivarium: what became of files could not be told:', error)
}
