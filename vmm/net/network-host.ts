import { toFailure } from '../model/errors'
import { forwardKey, GATEWAY_NETWORK, type Forward } from '../model/network'
import type { Clock } from './clock'
import { FrameLink } from './frame-link'
import { Gateway } from './gateway'
import { hostAddresses } from './host-addresses'
import type { OpenForward } from './gateway-forward'
import { NetworkCaptures } from './network-captures'
import { NetworkMirrors } from './network-mirrors'
import type {
  DomainConfig,
  FlowReport,
  ForwardReport,
  NetworkCommands,
  NetworkReport,
  SegmentConfig,
} from './network-protocol'
import { Notes } from './notes'
import { Port } from './port'
import type { PortConfig } from './port-config'
import { calledPort } from './port-policy'
import { Segment } from './segment'

/** Of every gateway: locally administered, and the same everywhere, as guests remember it. */
const GATEWAY_MAC = Uint8Array.of(0x52, 0x54, 0, 0x56, 0x49, 0x01)

/** Addresses of the host are looked at anew every so many ticks. */
const HOST_ADDRESSES_EVERY = 20

export interface NetworkHostOptions {
  clock: Clock
  /** Milliseconds since the Unix epoch. */
  wallClock(): number
}

/** Everything that the network's worker owns: segments with their gateways, ports, mirrors and captures. */
export class NetworkHost implements NetworkCommands {
  readonly #segments = new Map<string, { segment: Segment; gateway: Gateway }>()
  readonly #domains = new Map<string, DomainConfig>()
  readonly #ports = new Map<string, Port>()
  /** Ports of the host that are open, by domain, with the card that they lead to. */
  readonly #forwards = new Map<string, { port: Port; open: Map<string, OpenForward> }>()
  readonly #notes: Notes
  readonly #mirrors = new NetworkMirrors(this.#ports)
  readonly #captures: NetworkCaptures
  #dnsServers: readonly string[] = []
  #hostAddresses: ReadonlySet<number> = hostAddresses()
  #ticks = 0

  constructor(private readonly options: NetworkHostOptions) {
    this.#notes = new Notes(options.clock, options.wallClock)
    this.#captures = new NetworkCaptures(this.#ports, options.wallClock)
  }

  setDnsServers(servers: readonly string[]): void {
    this.#dnsServers = servers
  }

  setSegment({ name, subnet, uplink }: SegmentConfig): void {
    const known = this.#segments.get(name)
    if (known?.segment.options.subnet.address === subnet.address) return
    known?.gateway.close() // nobody was on it any more, and it has come again elsewhere
    const { clock, wallClock } = this.options
    const gateway = new Gateway({
      clock,
      subnet,
      mac: GATEWAY_MAC,
      uplink,
      dnsServers: () => this.#dnsServers,
      leased: (client) => {
        const port = this.#ports.get(client.id)
        if (port) port.leasedAt = wallClock()
      },
    })
    const isHost = (address: number): boolean => this.#hostAddresses.has(address)
    const segment = new Segment({ clock, name, subnet, gatewayMac: GATEWAY_MAC, uplink, gateway, isHost })
    this.#segments.set(name, { segment, gateway })
  }

  setDomain(config: DomainConfig): void {
    const { domainId, name, group } = config
    const before = this.#domains.get(domainId)
    this.#domains.set(domainId, config)
    for (const port of this.#portsOf(domainId)) {
      this.#cut(port, port.apply(config.policy, config.once))
      this.#segmentOf(port)?.rename(domainId, { name, group })
    }
    if (before?.name !== name || before.group !== group) this.#decideAnew(domainId)
  }

  removeDomain(domainId: string): void {
    for (const port of this.#portsOf(domainId)) this.removePort(port.id)
    this.#domains.delete(domainId)
    this.#forwards.delete(domainId)
    this.#notes.forget(domainId)
  }

  endFlows(domainId: string): void {
    for (const port of this.#portsOf(domainId)) {
      this.#segments.get(port.segment.name)?.gateway.abort(port)
      port.policy.forgetFlows()
    }
  }

  setPort(config: PortConfig, segmentName: string): void {
    const place = this.#segments.get(segmentName)
    const domain = this.#domains.get(config.domainId)
    if (!place || !domain) throw new Error(`The port ${config.id} has no segment or no domain.`)
    const known = this.#ports.get(config.id)
    if (known?.segment === place.segment && known.config.path === config.path) {
      known.plugged = config.plugged
      return
    }
    if (known) this.removePort(config.id)
    const { clock } = this.options
    const port = new Port(config, place.segment, {
      clock,
      notes: this.#notes,
      openLine: (options) => new FrameLink(options),
    })
    this.#ports.set(port.id, port)
    port.apply(domain.policy, domain.once)
    place.segment.add(port, domain)
    this.#mirrors.settle()
    this.#captures.settle()
    this.#decideAnew(config.domainId)
  }

  removePort(id: string): void {
    const port = this.#ports.get(id)
    if (!port) return
    this.#ports.delete(id)
    this.#segmentOf(port)?.remove(port)
    port.close()
    this.#mirrors.settle()
    this.#captures.settle()
    this.#decideAnew(port.config.domainId)
  }

  async setForwards(domainId: string, forwards: readonly Forward[]): Promise<ForwardReport[]> {
    const port = this.#portsOf(domainId).find(({ segment }) => segment.name === GATEWAY_NETWORK)
    const gateway = this.#segments.get(GATEWAY_NETWORK)?.gateway
    if (!port || !gateway) return []
    const known = this.#forwards.get(domainId)
    // those of a card that is gone went with it
    const open = known?.port === port ? known.open : new Map<string, OpenForward>()
    this.#forwards.set(domainId, { port, open })
    const wanted = new Map(forwards.map((forward) => [`${forwardKey(forward)}>${forward.guestPort}`, forward]))
    for (const [key, forward] of open) {
      if (wanted.has(key)) continue
      open.delete(key)
      await forward.close()
    }
    const reports: ForwardReport[] = []
    for (const [key, forward] of wanted) {
      let failure: ForwardReport['failure'] = null
      try {
        if (!open.has(key)) open.set(key, await gateway.forward(port, forward))
      } catch (error) {
        failure = toFailure(error, 'open the port')
      }
      reports.push({ domainId, key: forwardKey(forward), failure })
    }
    return reports
  }

  setMirror(...[config]: Parameters<NetworkCommands['setMirror']>): void {
    this.#mirrors.set(config)
  }

  removeMirror(id: string): void {
    this.#mirrors.remove(id)
  }

  startCapture(...[config]: Parameters<NetworkCommands['startCapture']>): void {
    this.#captures.start(config)
  }

  stopCapture(id: string): ReturnType<NetworkCommands['stopCapture']> {
    return this.#captures.stop(id)
  }

  packets(captureId: string, after: number, limit: number): ReturnType<NetworkCommands['packets']> {
    return this.#captures.packets(captureId, after, limit)
  }

  flows(domainId: string, limit: number): FlowReport[] {
    const now = this.options.clock.now()
    const wall = this.options.wallClock()
    const reports = this.#portsOf(domainId).flatMap((port) =>
      [...port.policy.flows].map((flow): FlowReport => {
        const { direction, protocol, peer, guestPort, peerPort, allowed, rule, upBytes, downBytes } = flow
        return {
          nic: port.config.nic,
          direction,
          protocol,
          peer,
          peerName: flow.names[0] ?? port.segment.peerAt(peer).domain?.name ?? '',
          port: calledPort(flow),
          guestPort: direction === 'out' ? guestPort : peerPort,
          allowed,
          rule,
          upBytes,
          downBytes,
          startedAt: wall - (now - flow.startedAt),
          lastAt: wall - (now - flow.lastAt),
        }
      }),
    )
    return reports.sort((one, other) => other.lastAt - one.lastAt).slice(0, limit)
  }

  /** To be called a few times a second: what has happened since. */
  tick(): NetworkReport {
    if (this.#ticks++ % HOST_ADDRESSES_EVERY === 0) this.#hostAddresses = hostAddresses()
    for (const port of this.#ports.values()) port.tick()
    const { notes, untold } = this.#notes.take()
    return {
      at: this.options.wallClock(),
      ports: [...this.#ports.values()].map(({ id, linked, leasedAt, counters, dropped }) => ({
        id,
        linked,
        leasedAt,
        counters: { ...counters, dropped },
      })),
      mirrors: this.#mirrors.reports(),
      captures: this.#captures.reports(),
      notes,
      untold,
    }
  }

  /** Resolves when captures are whole on disk. */
  async close(): Promise<void> {
    for (const id of [...this.#ports.keys()]) this.removePort(id)
    for (const { gateway } of this.#segments.values()) gateway.close()
    await this.#captures.close()
  }

  #segmentOf(port: Port): Segment | undefined {
    return this.#segments.get(port.segment.name)?.segment
  }

  #portsOf(domainId: string): Port[] {
    return [...this.#ports.values()].filter((port) => port.config.domainId === domainId)
  }

  /** Who a neighbour is has changed for all others on its segments. */
  #decideAnew(domainId: string): void {
    for (const port of this.#ports.values()) {
      if (port.config.domainId !== domainId) this.#cut(port, port.policy.decideAnew())
    }
  }

  /** Ends what the gateway still does for flows that are forbidden now. */
  #cut(port: Port, forbidden: ReturnType<Port['apply']>): void {
    if (forbidden.length === 0) return
    const keys = new Set(
      forbidden.map(({ protocol, peer, peerPort, guestPort }) => key(protocol, peer, peerPort, guestPort)),
    )
    this.#segments
      .get(port.segment.name)
      ?.gateway.abort(port, (flow) => keys.has(key(flow.protocol, flow.peer, flow.port, flow.guestPort)))
  }
}

function key(protocol: number, peer: number, port: number, guestPort: number): string {
  return `${protocol}/${peer}/${port}/${guestPort}`
}
