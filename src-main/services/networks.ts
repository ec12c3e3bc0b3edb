import type { CheckedArgs, DenialView, FlowView, NetworkSampleView, NetworkView } from '../contract'
import { asVmmError, VmmError } from '../../vmm/model/errors'
import { formatAddress } from '../../vmm/model/ipv4'
import { connectionOf, GATEWAY_NETWORK, type NicConnection } from '../../vmm/model/network'
import type { NetworkRule } from '../../vmm/model/policy'
import { macsOf } from '../../vmm/machine/identity'
import { Network, type SpawnNetwork } from '../../vmm/net/network'
import type { ForwardReport, NetworkReport } from '../../vmm/net/network-protocol'
import type { GuestRun } from '../../vmm/machine/guest-run'
import type { AddressBook } from './addresses'
import type { Broadcast } from './broadcast'
import { DenialLog, protocolName } from './denials'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import { ForwardService } from './forwards'
import type { Journal } from './journal'
import { NetworkMeter } from './network-meter'
import { networkView } from './network-view'

/** Flows that a client is shown. */
const FLOWS_SHOWN = 500

export interface NetworksParts {
  domains: DomainService
  addresses: AddressBook
  broadcast: Broadcast
  journal: Journal
  spawnNetwork: SpawnNetwork
}

/** Plugs running domains into the virtual networks, and tells what goes on there. */
export class NetworkService {
  readonly meter = new NetworkMeter()
  readonly denials: DenialLog
  readonly network: Network
  readonly forwards: ForwardService
  /** Why the network's worker had to be started again the last time; '' for never. */
  trouble = ''
  /** Told of every report of the worker, and of its having been started again. */
  onReport: (report: NetworkReport) => void = () => undefined
  onRestart: () => Promise<void> = () => Promise.resolve()
  readonly #once = new Map<string, NetworkRule[]>()

  constructor(private readonly parts: NetworksParts) {
    this.denials = new DenialLog(parts.domains, parts.journal)
    this.network = new Network(parts.spawnNetwork, {
      report: (report) => this.#report(report),
      restarted: (reason, forwards) => void this.#restarted(reason, forwards),
    })
    const { domains, journal } = parts
    this.forwards = new ForwardService({ domains, journal, network: this.network })
  }

  /** Whom the gateway asks for names; those of the host when none are named. */
  askNamesOf(servers: readonly string[]): void {
    this.network.setDnsServers(servers).catch(complain)
  }

  /** A machine lives: its cards are plugged in, its policy holds, its ports of the host are open. */
  async attach(domain: Domain, run: GuestRun): Promise<void> {
    await this.#tellDomain(domain)
    for (const nic of domain.record.spec.nics.keys()) await this.#plug(domain, run, nic)
    await this.forwards.open(domain)
    this.publish(domain.id)
  }

  /** A guest has become itself: now it may see that its cables are in. */
  async introduce(domain: Domain, run: GuestRun): Promise<void> {
    for (const nic of domain.record.spec.nics.keys()) {
      if (connectionOf(domain.record.spec.connections, nic).plugged) await run.machine.setLink(nic, true)
    }
    await run.connect()
  }

  /** The machine has ended. What was allowed for its run only is over. */
  async detach(domainId: string): Promise<void> {
    this.#once.delete(domainId)
    this.forwards.forget(domainId)
    this.meter.forget(domainId)
    await this.network.removeDomain(domainId)
    this.publish(domainId)
  }

  /** The domain is gone for good. */
  async forget(domainId: string): Promise<void> {
    this.parts.addresses.forget(domainId)
    this.denials.forget(domainId)
    for (const segment of this.segmentNames()) await this.#forgetUnused(segment)
  }

  /** Tells the network anew who a running domain is and what it may do. */
  async refresh(domain: Domain): Promise<void> {
    if (domain.run) await this.#tellDomain(domain)
    this.publish(domain.id)
  }

  once(domainId: string): readonly NetworkRule[] {
    return this.#once.get(domainId) ?? []
  }

  /** Rules that hold until the machine ends, before all others. */
  async setOnce(domain: Domain, rules: NetworkRule[]): Promise<void> {
    this.#once.set(domain.id, rules)
    await this.refresh(domain)
  }

  async view(id: string): Promise<NetworkView> {
    const domain = this.parts.domains.get(id)
    const addresses: string[] = []
    for (const nic of domain.record.spec.nics.keys()) {
      addresses.push(formatAddress(await this.#addressOf(domain, nic)))
    }
    return networkView(domain, { meter: this.meter, addresses, forwards: this.forwards.of(id) })
  }

  /** Names of the segments that there are, without the gateway's network. */
  segmentNames(): string[] {
    return this.parts.addresses.segmentNames()
  }

  samples(id: string): NetworkSampleView[] {
    return this.meter.samples(this.parts.domains.get(id).id)
  }

  async flows(id: string): Promise<FlowView[]> {
    const flows = await this.network.flows(this.parts.domains.get(id).id, FLOWS_SHOWN)
    return flows.map(({ protocol, peer, allowed, ...flow }) => ({
      ...flow,
      protocol: protocolName(protocol),
      peer: formatAddress(peer),
      action: allowed ? 'allow' : 'deny',
    }))
  }

  /** Plugs a card in elsewhere, or pulls its cable; also while the guest runs. */
  async connect({ id, nic, ...change }: CheckedArgs<'network.connect'>): Promise<NetworkView> {
    const domain = this.parts.domains.forVerb(id, 'settings')
    const { spec } = domain.record
    if (nic >= spec.nics.length) throw noCard(domain)
    const before = connectionOf(spec.connections, nic)
    const mode = change.mode ?? before.mode
    const segment = mode === 'gateway' ? '' : (change.segment ?? before.segment)
    if (mode === 'segment' && segment === '') {
      throw new VmmError('invalid', 'The segment has no name.', { hint: 'Name the segment that the card goes to.' })
    }
    const after: NicConnection = { mode, segment, plugged: change.plugged ?? before.plugged }
    await domain.alone(async () => {
      await this.parts.addresses.addressOf(id, nic, segmentOf(after))
      const connections = spec.nics.map((_, index) => (index === nic ? after : connectionOf(spec.connections, index)))
      await this.parts.domains.store(domain, (record) => ({ spec: { ...record.spec, connections } }))
      if (domain.run) await this.#replug(domain, domain.run, nic, before, after)
      await this.#forgetUnused(segmentOf(before))
    })
    await this.parts.journal.info(id, 'network.connected', `${domain.name}: network card ${nic + 1} ${words(after)}.`)
    this.publish(id)
    this.publish('')
    return await this.view(id)
  }

  async #tellDomain({ id, record: { spec } }: Domain): Promise<void> {
    const { name, group, policy } = spec
    await this.network.setDomain({ domainId: id, name, group, policy, once: this.once(id) })
  }

  async #plug(domain: Domain, run: GuestRun, nic: number): Promise<void> {
    const path = run.machine.frameLinks[nic]
    if (path === undefined) return
    const { id, record } = domain
    const connection = connectionOf(record.spec.connections, nic)
    const segment = segmentOf(connection)
    const subnet = await this.parts.addresses.subnetOf(segment)
    await this.network.setSegment({ name: segment, subnet, uplink: segment === GATEWAY_NETWORK })
    const mac = macsOf(record.mac, record.spec.nics.length)[nic] ?? record.mac
    const address = await this.#addressOf(domain, nic)
    const { plugged } = connection
    await this.network.setPort({ id: `${id}/${nic}`, domainId: id, nic, mac, address, path, plugged }, segment)
    if (run.isItself) await run.machine.setLink(nic, plugged)
  }

  async #replug(domain: Domain, run: GuestRun, nic: number, before: NicConnection, after: NicConnection) {
    const moved = segmentOf(before) !== segmentOf(after)
    // the cable is out for a moment: a guest that watches it asks for its new address
    if (moved && run.isItself) await run.machine.setLink(nic, false)
    await this.#plug(domain, run, nic)
    if (moved) await this.forwards.open(domain)
    if (after.plugged && (moved || !before.plugged)) {
      await run.connect().catch(() => undefined) // it does not answer just now, and asks by itself some time
    }
  }

  #addressOf({ id, record }: Domain, nic: number): Promise<number> {
    return this.parts.addresses.addressOf(id, nic, segmentOf(connectionOf(record.spec.connections, nic)))
  }

  /** A segment is there as long as a card is on it. */
  async #forgetUnused(segment: string): Promise<void> {
    const used = this.parts.domains
      .all()
      .some(({ record }) =>
        record.spec.nics.some((_, nic) => segmentOf(connectionOf(record.spec.connections, nic)) === segment),
      )
    if (!used) await this.parts.addresses.forgetSegment(segment)
  }

  #report(report: NetworkReport): void {
    const { domains, addresses } = this.parts
    const nics = new Map(domains.all().map(({ id, record }) => [id, record.spec.nics.length]))
    const samples = this.meter.take(report, (id) => nics.get(id) ?? 0)
    const denials = this.denials.take(report)
    for (const id of new Set([...samples.keys(), ...denials.keys()])) {
      this.publish(id, { sample: samples.get(id) ?? null, denials: denials.get(id) ?? [], changed: false })
    }
    for (const { id: portId, leasedAt } of report.ports) {
      const [id = '', nic = ''] = portId.split('/')
      const domain = domains.all().find((each) => each.id === id)
      const lease =
        domain && addresses.find(id, Number(nic), segmentOf(connectionOf(domain.record.spec.connections, Number(nic))))
      if (!lease || leasedAt === 0 || lease.leasedAt === leasedAt) continue
      addresses.setLeasedAt({ ...lease, leasedAt }).catch(complain)
      this.publish(id)
    }
    this.onReport(report)
  }

  async #restarted(reason: string, forwards: readonly ForwardReport[]): Promise<void> {
    this.trouble = reason
    for (const domain of this.parts.domains.all()) {
      const own = forwards.filter(({ domainId }) => domainId === domain.id)
      if (own.length > 0) await this.forwards.take(domain, own).catch(complain)
      if (domain.run) this.publish(domain.id)
    }
    const message = `The virtual network had failed (${reason}) and was started again. Connections to the host were cut; guests can make new ones.`
    await this.onRestart().catch(complain)
    await this.parts.journal.error(null, 'network.restarted', message).catch(complain)
    this.publish('')
  }

  /** Tells clients what has changed; '' for more than one domain. */
  publish(
    id: string,
    what: { sample: NetworkSampleView | null; denials: DenialView[]; changed: boolean } = {
      sample: null,
      denials: [],
      changed: true,
    },
  ): void {
    this.parts.broadcast.publish({ topic: 'network', payload: { id, ...what } })
  }
}

/** The segment that a card is on; that of the gateway has the name ''. */
export function segmentOf({ mode, segment }: NicConnection): string {
  return mode === 'gateway' ? GATEWAY_NETWORK : segment
}

function words({ mode, segment, plugged }: NicConnection): string {
  if (!plugged) return 'is unplugged'
  return mode === 'gateway' ? 'is connected to the gateway' : `is connected to the segment ${segment}`
}

function noCard(domain: Domain): VmmError {
  return new VmmError('not-found', `${domain.name} has no such network card.`, { hint: 'Look at its hardware.' })
}

function complain(error: unknown): void {
  console.error('vivarium: what goes on in the network could not be stored:', asVmmError(error, 'store it').message)
}
