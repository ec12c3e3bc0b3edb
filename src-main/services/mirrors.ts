import { randomUUID } from 'node:crypto'
import type { CheckedArgs, MirrorView } from '../contract'
import { VmmError } from '../../vmm/model/errors'
import type { NetworkReport } from '../../vmm/net/network-protocol'
import type { MirrorRecord, Storage } from '../../storage'
import type { DomainService } from './domains'
import type { Journal } from './journal'
import type { NetworkService } from './networks'

export interface MirrorsParts {
  storage: Storage
  domains: DomainService
  networks: NetworkService
  journal: Journal
}

/** Copies of what goes over one network card, to another one that listens. */
export class MirrorService {
  readonly #mirrors = new Map<string, MirrorRecord>()
  #reports: NetworkReport['mirrors'] = []

  constructor(private readonly parts: MirrorsParts) {}

  async load(): Promise<void> {
    for (const mirror of await this.parts.storage.networks.mirrors()) {
      this.#mirrors.set(mirror.id, mirror)
      await this.#tell(mirror)
    }
  }

  take({ mirrors }: NetworkReport): void {
    this.#reports = mirrors
  }

  /** Those whose domains are listed. */
  views(): MirrorView[] {
    return [...this.#mirrors.values()].flatMap((mirror) => this.#view(mirror) ?? [])
  }

  async add({ source, target, stage, direction }: CheckedArgs<'mirrors.add'>): Promise<MirrorView> {
    for (const { id, nic } of [source, target]) this.#requireCard(id, nic)
    if (source.id === target.id && source.nic === target.nic) {
      throw new VmmError('invalid', 'A network card cannot be its own mirror.', { hint: 'Choose another target.' })
    }
    const isSame = (one: MirrorRecord): boolean =>
      one.sourceDomain === source.id &&
      one.sourceNic === source.nic &&
      one.targetDomain === target.id &&
      one.targetNic === target.nic
    if ([...this.#mirrors.values()].some(isSame)) {
      throw new VmmError('conflict', 'There is such a mirror already.', { hint: 'Remove that one first.' })
    }
    const mirror: MirrorRecord = {
      id: randomUUID(),
      sourceDomain: source.id,
      sourceNic: source.nic,
      targetDomain: target.id,
      targetNic: target.nic,
      stage,
      direction,
    }
    await this.parts.storage.networks.addMirror(mirror)
    this.#mirrors.set(mirror.id, mirror)
    await this.#tell(mirror)
    const [from, to] = [this.parts.domains.get(source.id).name, this.parts.domains.get(target.id).name]
    await this.parts.journal.info(
      source.id,
      'mirror.added',
      `What goes over the network of ${from} is copied to ${to}.`,
    )
    this.parts.networks.publish('')
    const view = this.#view(mirror)
    if (!view) throw new VmmError('not-found', 'A domain of the mirror is gone.')
    return view
  }

  async remove(id: string): Promise<void> {
    const mirror = this.#mirrors.get(id)
    if (!mirror) throw new VmmError('not-found', 'There is no such mirror.', { hint: 'Look at the list.' })
    await this.parts.storage.networks.removeMirror(id)
    this.#mirrors.delete(id)
    await this.parts.networks.network.removeMirror(id)
    await this.parts.journal.info(mirror.sourceDomain, 'mirror.removed', 'A copy of its network traffic was ended.')
    this.parts.networks.publish('')
  }

  /** Mirrors go with either of their domains. */
  async forget(domainId: string): Promise<void> {
    for (const mirror of this.#mirrors.values()) {
      if (mirror.sourceDomain !== domainId && mirror.targetDomain !== domainId) continue
      this.#mirrors.delete(mirror.id)
      await this.parts.networks.network.removeMirror(mirror.id)
    }
  }

  async #tell({ id, sourceDomain, sourceNic, targetDomain, targetNic, stage, direction }: MirrorRecord): Promise<void> {
    const [source, target] = [`${sourceDomain}/${sourceNic}`, `${targetDomain}/${targetNic}`]
    await this.parts.networks.network.setMirror({ id, source, target, stage, direction })
  }

  #requireCard(id: string, nic: number): void {
    const domain = this.parts.domains.get(id)
    if (nic < domain.record.spec.nics.length) return
    throw new VmmError('not-found', `${domain.name} has no such network card.`, { hint: 'Look at its hardware.' })
  }

  #view(mirror: MirrorRecord): MirrorView | null {
    const domains = this.parts.domains.all()
    const nameOf = (id: string): string | undefined => domains.find((domain) => domain.id === id)?.name
    const { id, sourceDomain, sourceNic, targetDomain, targetNic, stage, direction } = mirror
    const [from, to] = [nameOf(sourceDomain), nameOf(targetDomain)]
    if (from === undefined || to === undefined) return null
    const report = this.#reports.find((each) => each.id === id)
    return {
      id,
      source: { domainId: sourceDomain, domainName: from, nic: sourceNic },
      target: { domainId: targetDomain, domainName: to, nic: targetNic },
      stage,
      direction,
      active: report?.active ?? false,
      frames: report?.frames ?? 0,
      dropped: report?.dropped ?? 0,
    }
  }
}
