import { randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import type { DomainView } from '../contract'
import type { DomainPatch, DomainSpec, DomainState } from '../../vmm/model/domain'
import { VmmError } from '../../vmm/model/errors'
import { refuseUnsupported } from '../../vmm/model/capabilities'
import { HARDWARE_FIELDS } from '../../vmm/model/hardware'
import type { Verb } from '../../vmm/model/verbs'
import type { EngineCatalog } from '../../vmm/engine/catalog'
import { newMac } from '../../vmm/machine/identity'
import type { DamagedDomain, DomainRecord, SnapshotRecord, Storage } from '../../storage'
import type { Broadcast } from './broadcast'
import { Domain } from './domain'
import { damagedView, domainView } from './domain-view'
import type { Folders } from './folders'
import type { ImageService } from './images'
import type { Journal } from './journal'

/** Changes of one turn of the event loop go out as one event. */
const PUBLISH_AFTER_MS = 10

/** What changes of a domain's record, or how that follows from what it is when its turn has come. */
export type Change = Partial<Omit<DomainRecord, 'id'>> | ((record: DomainRecord) => Partial<Omit<DomainRecord, 'id'>>)

export interface DomainsParts {
  storage: Storage
  broadcast: Broadcast
  journal: Journal
  folders: Folders
  engines: EngineCatalog
  images: ImageService
  /** Key that seals what is kept of a new domain; '' for none. */
  newSealing(): Pick<DomainRecord, 'keyId' | 'volumes'>
}

/** All domains that are not in the trash: what is stored, what runs, and what clients see of them. */
export class DomainService {
  readonly #domains = new Map<string, Domain>()
  readonly #damaged = new Map<string, DamagedDomain>()
  /** Every snapshot by id; here because views and the trash count them. */
  readonly snapshots = new Map<string, SnapshotRecord>()
  /** Names of domains that are being stored. */
  readonly #claimed = new Set<string>()
  readonly #changed = new Set<string>()
  readonly #removed = new Set<string>()
  #publishing = false

  constructor(private readonly parts: DomainsParts) {}

  async load(): Promise<void> {
    for (const snapshot of await this.parts.storage.snapshots.list()) this.snapshots.set(snapshot.id, snapshot)
    for (const stored of await this.parts.storage.domains.list()) {
      if (stored.ok && stored.record.trashedAt === null) this.#domains.set(stored.record.id, new Domain(stored.record))
      if (!stored.ok && stored.damaged.trashedAt === null) this.#damaged.set(stored.damaged.id, stored.damaged)
    }
  }

  all(): Domain[] {
    return [...this.#domains.values()]
  }

  views(): DomainView[] {
    const damaged = [...this.#damaged.values()].map(damagedView)
    return [...damaged, ...this.all().map((domain) => this.view(domain))]
  }

  /** The domain, or kind `not-found`; a damaged one is kind `damaged`. */
  get(id: string): Domain {
    const domain = this.#domains.get(id)
    if (domain) return domain
    const damaged = this.#damaged.get(id)
    if (damaged)
      throw new VmmError('damaged', damaged.damage, { hint: 'Delete the domain; the others are not affected.' })
    throw new VmmError('not-found', 'There is no such domain.', { hint: 'Look at the list; it may have been deleted.' })
  }

  /** The domain, if `verb` is possible on it now. */
  forVerb(id: string, verb: Verb): Domain {
    const domain = this.get(id)
    domain.require(verb)
    return domain
  }

  isDamaged(id: string): boolean {
    return this.#damaged.has(id)
  }

  /** Of 24 random bits, one that another domain has comes up sooner than one thinks. */
  async freeMac(): Promise<string> {
    for (;;) {
      const mac = newMac()
      if (!(await this.parts.storage.domains.hasMac(mac))) return mac
    }
  }

  /** How what is kept of a domain that is made now is sealed. Throws kind `denied` while the keys are locked. */
  newSealing(): Pick<DomainRecord, 'keyId' | 'volumes'> {
    return this.parts.newSealing()
  }

  async create(spec: DomainSpec, ephemeral: boolean): Promise<Domain> {
    this.requireFreeName(spec.name)
    refuseUnsupported(spec, this.parts.engines.get(spec.engine))
    const image = this.parts.images.get(spec.imageId)
    for (const { imageId, kind } of spec.disks) if (imageId !== '') this.parts.images.requireKind(imageId, kind)
    const domain = new Domain({
      id: randomUUID(),
      spec,
      mac: await this.freeMac(),
      state: 'off',
      stateReason: '',
      stateVersion: '',
      currentSnapshot: null,
      ephemeral,
      createdAt: Date.now(),
      trashedAt: null,
      ...this.newSealing(),
    })
    await this.insert(domain)
    await this.parts.journal.info(domain.id, 'domain.created', `${spec.name} was created from ${image.name}.`)
    return domain
  }

  /** Stores a new domain with its folder and lists it. Nothing is left of one that cannot be stored. */
  async insert(domain: Domain): Promise<void> {
    const { folder } = this.parts.folders.present(domain.id)
    await this.claimName(domain.name, async () => {
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 })
        await this.parts.storage.domains.insert(domain.record)
      } catch (error) {
        await rm(folder, { recursive: true, force: true })
        throw error
      }
      this.adopt(domain)
    })
    await this.parts.images.publish()
  }

  /** Lists a domain that is stored. */
  adopt(domain: Domain): void {
    this.#domains.set(domain.id, domain)
    this.publish(domain)
  }

  async update(id: string, patch: DomainPatch): Promise<Domain> {
    const onlyName = Object.keys(patch).every((key) => key === 'name')
    const domain = this.forVerb(id, onlyName ? 'rename' : 'settings')
    const { spec, state } = domain.record
    const name = patch.name ?? spec.name
    const touched = ['memoryMiB' as const, ...HARDWARE_FIELDS].filter(
      (field) => field in patch && !isDeepStrictEqual(patch[field as keyof DomainPatch], spec[field]),
    )
    if (touched.length > 0 && state !== 'off' && state !== 'crashed') {
      throw new VmmError('state', 'Memory and hardware can be changed only while the domain is off.', {
        hint: state === 'saved' ? 'Discard the saved state first.' : 'Shut it down first.',
        context: { fields: touched },
      })
    }
    if (patch.template && state !== 'off') {
      throw new VmmError('state', 'Only a domain that is off can become a template.', { hint: 'Shut it down first.' })
    }
    const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined))
    refuseUnsupported({ ...spec, ...given }, this.parts.engines.get(spec.engine))
    if (patch.diskLimits) await domain.run?.machine.setDiskLimits(patch.diskLimits)
    const store = () => this.store(domain, (record) => ({ spec: { ...record.spec, ...given } }))
    await (name === spec.name ? store() : this.claimName(name, store))
    const what = name === spec.name ? `The settings of ${name} were changed.` : `${spec.name} was renamed to ${name}.`
    await this.parts.journal.info(id, 'domain.changed', what)
    return domain
  }

  /** Stores what changed and tells the clients. Changes of one domain are stored one after another. */
  store(domain: Domain, change: Change): Promise<void> {
    return domain.inTurn(async () => {
      const record = changed(domain.record, change)
      await this.parts.storage.domains.update(record)
      domain.record = record
      this.publish(domain)
    })
  }

  /**
   * As `store`, for what has become of a machine: it is so even where the disk is too full to say it. Never rejects;
   * after a restart, recovery finds out anew.
   */
  observe(domain: Domain, change: Change): Promise<void> {
    return domain.inTurn(async () => {
      domain.record = changed(domain.record, change)
      this.publish(domain)
      await this.parts.storage.domains.update(domain.record).catch((error: unknown) => {
        console.error(`vivarium: the state of ${domain.id} could not be stored:`, error)
      })
    })
  }

  async setState(domain: Domain, state: DomainState, stateReason = ''): Promise<void> {
    await this.store(domain, { state, stateReason })
  }

  /** Takes a domain off the list; its record and files stay. */
  unlist(id: string): void {
    this.#domains.delete(id)
    this.#damaged.delete(id)
    this.#changed.delete(id)
    this.#removed.add(id)
    this.#publishSoon()
  }

  publish(domain: Domain): void {
    if (!this.#domains.has(domain.id)) return
    this.#removed.delete(domain.id)
    this.#changed.add(domain.id)
    this.#publishSoon()
  }

  view(domain: Domain): DomainView {
    const { id, spec } = domain.record
    return domainView(domain, {
      image: this.parts.images.find(spec.imageId),
      engine: this.parts.engines.find(spec.engine),
      snapshotCount: [...this.snapshots.values()].filter((snapshot) => snapshot.domainId === id).length,
    })
  }

  /** A name like `name` that no domain has yet. */
  freeName(name: string): string {
    const taken = new Set([...this.#claimed, ...this.all().map((domain) => domain.name)])
    for (let number = 2; ; number++) {
      const candidate = `${name.slice(0, 90)} ${number}`
      if (!taken.has(candidate)) return candidate
    }
  }

  /** Throws kind `conflict` when another domain has the name. */
  requireFreeName(name: string): void {
    if (!this.isTaken(name)) return
    throw new VmmError('conflict', `There is already a domain named '${name}'.`, { hint: 'Choose another name.' })
  }

  isTaken(name: string): boolean {
    return this.#claimed.has(name) || this.all().some((domain) => domain.name === name)
  }

  /** Keeps a name from others while `work` stores whose it is. */
  async claimName<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.requireFreeName(name)
    this.#claimed.add(name)
    try {
      return await work()
    } finally {
      this.#claimed.delete(name)
    }
  }

  #publishSoon(): void {
    if (this.#publishing) return
    this.#publishing = true
    setTimeout(() => {
      this.#publishing = false
      const changed = [...this.#changed].map((id) => this.#domains.get(id)).filter((domain) => domain !== undefined)
      const payload = { changed: changed.map((domain) => this.view(domain)), removed: [...this.#removed] }
      this.#changed.clear()
      this.#removed.clear()
      this.parts.broadcast.publish({ topic: 'domains', payload })
    }, PUBLISH_AFTER_MS)
  }
}

function changed(record: DomainRecord, change: Change): DomainRecord {
  return { ...record, ...(typeof change === 'function' ? change(record) : change) }
}
