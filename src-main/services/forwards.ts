import type { CheckedArgs } from '../contract'
import { VmmError } from '../../vmm/model/errors'
import { forwardKey } from '../../vmm/model/network'
import type { Network } from '../../vmm/net/network'
import type { ForwardReport } from '../../vmm/net/network-protocol'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import type { Journal } from './journal'

export interface ForwardsParts {
  domains: DomainService
  journal: Journal
  network: Network
}

/** Ports of the host that lead to guests: kept with the domain, open while it runs. */
export class ForwardService {
  readonly #reports = new Map<string, ForwardReport[]>()

  constructor(private readonly parts: ForwardsParts) {}

  /** What became of a domain's forwards; null while no machine runs. */
  of(domainId: string): readonly ForwardReport[] | null {
    return this.#reports.get(domainId) ?? null
  }

  /** Opens those of a running domain. */
  async open(domain: Domain): Promise<void> {
    if (!domain.run) return
    await this.take(domain, await this.parts.network.setForwards(domain.id, domain.record.spec.forwards))
  }

  /** What became of them, as the worker tells it. */
  async take(domain: Domain, reports: ForwardReport[]): Promise<void> {
    this.#reports.set(domain.id, reports)
    for (const { key, failure } of reports) {
      if (!failure) continue
      const message = `${key} does not lead to ${domain.name}: ${failure.message} ${failure.hint}`
      await this.parts.journal.warning(domain.id, 'network.forward-failed', message.trim())
    }
  }

  forget(domainId: string): void {
    this.#reports.delete(domainId)
  }

  /** Keeps a forward with the domain, and opens it if it runs. One that cannot be opened is not kept. */
  async add({ id, forward }: CheckedArgs<'network.addForward'>): Promise<void> {
    const { domains, network, journal } = this.parts
    const domain = domains.forVerb(id, 'settings')
    const { forwards } = domain.record.spec
    this.#requireFree(forwardKey(forward))
    const [report] = (domain.run ? await network.setForwards(id, [...forwards, forward]) : []).slice(-1)
    if (report?.failure) {
      await network.setForwards(id, forwards)
      throw VmmError.fromFailure(report.failure)
    }
    await domains.store(domain, ({ spec }) => ({ spec: { ...spec, forwards: [...spec.forwards, forward] } }))
    await this.open(domain)
    const { protocol, hostAddress, hostPort, guestPort } = forward
    const where = `${hostAddress}:${hostPort} (${protocol}) of the host leads to port ${guestPort} of ${domain.name}`
    await journal.info(id, 'network.forward-added', `${where}.`)
  }

  async remove({ id, key }: CheckedArgs<'network.removeForward'>): Promise<void> {
    const { domains, journal } = this.parts
    const domain = domains.forVerb(id, 'settings')
    const kept = domain.record.spec.forwards.filter((forward) => forwardKey(forward) !== key)
    if (kept.length === domain.record.spec.forwards.length) {
      throw new VmmError('not-found', 'There is no such port forward.', { hint: 'Look at the list.' })
    }
    await domains.store(domain, ({ spec }) => ({ spec: { ...spec, forwards: kept } }))
    await this.open(domain)
    await journal.info(id, 'network.forward-removed', `${key} does not lead to ${domain.name} any more.`)
  }

  #requireFree(key: string): void {
    const other = this.parts.domains.all().find(({ record }) => record.spec.forwards.map(forwardKey).includes(key))
    if (!other) return
    throw new VmmError('conflict', `${key} leads to ${other.name} already.`, { hint: 'Choose another host port.' })
  }
}
