import type { NetworksView } from '../contract'
import type { NETWORK_CALLS } from '../contract/network-calls'
import { formatAddress } from '../../vmm/model/ipv4'
import { connectionOf, GATEWAY_NETWORK } from '../../vmm/model/network'
import { macsOf } from '../../vmm/machine/identity'
import type { AddressBook } from './addresses'
import type { CaptureService } from './captures'
import type { DomainService } from './domains'
import type { Handlers } from './call-handlers'
import type { MirrorService } from './mirrors'
import { segmentOf, type NetworkService } from './networks'
import type { PolicyService } from './policies'

export interface NetworkHandlerParts {
  domains: DomainService
  addresses: AddressBook
  networks: NetworkService
  policies: PolicyService
  mirrors: MirrorService
  captures: CaptureService
}

const DONE = {}

/** Handlers of the calls about networks. */
export function makeNetworkHandlers(parts: NetworkHandlerParts): Pick<Handlers, keyof typeof NETWORK_CALLS> {
  const { networks, policies, mirrors, captures } = parts
  const changed = (id: string) => {
    networks.publish(id)
    return networks.view(id)
  }
  return {
    'network.get': ({ id }) => networks.view(id),
    'network.load': ({ id }) => networks.samples(id),
    'network.flows': ({ id }) => networks.flows(id),
    'network.denials': ({ id }) => networks.denials.of(parts.domains.get(id).id),
    'network.allowOnce': ({ id, seq }) => policies.allowOnce(id, seq),
    'network.forgetOnce': ({ id }) => policies.forgetOnce(id),
    'network.connect': (change) => networks.connect(change),
    'network.addForward': async (wanted) => {
      await networks.forwards.add(wanted)
      return await changed(wanted.id)
    },
    'network.removeForward': async (which) => {
      await networks.forwards.remove(which)
      return await changed(which.id)
    },

    'policy.get': ({ id }) => policies.get(id),
    'policy.set': ({ id, policy }) => policies.set(id, policy),
    'policy.check': ({ id, text }) => policies.check(id, text),
    'policy.templates': () => policies.templates(),
    'policy.explain': (question) => policies.explain(question),

    'networks.get': () => networksView(parts),
    'mirrors.add': (wanted) => mirrors.add(wanted),
    'mirrors.remove': async ({ mirrorId }) => {
      await mirrors.remove(mirrorId)
      return DONE
    },
    'captures.start': (wanted) => captures.start(wanted),
    'captures.stop': ({ captureId }) => captures.stop(captureId),
    'captures.remove': async ({ captureId }) => {
      await captures.remove(captureId)
      return DONE
    },
    'captures.read': ({ captureId, file, offset }) => captures.read(captureId, file, offset),
    'captures.packets': ({ captureId, after, waitMs }, client) =>
      captures.packets(captureId, after, waitMs, client.signal),
  }
}

/** All networks of the host with who is on them. */
async function networksView(parts: NetworkHandlerParts): Promise<NetworksView> {
  const { addresses, networks, mirrors, captures } = parts
  const names = [GATEWAY_NETWORK, ...addresses.segmentNames()]
  const segments = names.map(async (name) => {
    const subnet = await addresses.subnetOf(name)
    return {
      name,
      subnet: `${formatAddress(subnet.address)}/${subnet.bits}`,
      gateway: formatAddress(subnet.address + 1),
      ports: portsOn(name, parts),
    }
  })
  return {
    segments: await Promise.all(segments),
    mirrors: mirrors.views(),
    captures: await captures.views(),
    restarts: networks.network.restarts,
    trouble: networks.trouble,
  }
}

function portsOn(segment: string, { domains, addresses, networks }: NetworkHandlerParts) {
  return domains.all().flatMap(({ id, name, record }) => {
    const macs = macsOf(record.mac, record.spec.nics.length)
    return record.spec.nics.flatMap((_, nic) => {
      const connection = connectionOf(record.spec.connections, nic)
      if (segmentOf(connection) !== segment) return []
      const lease = addresses.find(id, nic, segment)
      return {
        domainId: id,
        domainName: name,
        nic,
        mac: macs[nic] ?? '',
        address: lease ? formatAddress(lease.address) : '',
        plugged: connection.plugged,
        linked: networks.meter.port(id, nic)?.linked ?? false,
        leasedAt: lease?.leasedAt ?? null,
        ...networks.meter.rates(id, nic),
      }
    })
  })
}
