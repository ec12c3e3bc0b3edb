import type { NetworkView } from '../contract'
import { connectionOf, forwardKey } from '../../vmm/model/network'
import { templateOf } from '../../vmm/model/policy-templates'
import { macsOf } from '../../vmm/machine/identity'
import type { ForwardReport } from '../../vmm/net/network-protocol'
import type { Domain } from './domain'
import type { NetworkMeter } from './network-meter'

export interface NetworkViewParts {
  meter: NetworkMeter
  /** Reserved for each card, in their order. */
  addresses: readonly string[]
  /** What became of the forwards; null while no machine runs. */
  forwards: readonly ForwardReport[] | null
}

/** What clients see of a domain's place in the networks. */
export function networkView(domain: Domain, { meter, addresses, forwards }: NetworkViewParts): NetworkView {
  const { id, record } = domain
  const { spec } = record
  const macs = macsOf(record.mac, spec.nics.length)
  return {
    id,
    nics: spec.nics.map(({ model }, index) => {
      const port = meter.port(id, index)
      return {
        index,
        model,
        mac: macs[index] ?? '',
        ...connectionOf(spec.connections, index),
        address: addresses[index] ?? '',
        linked: port?.linked ?? false,
        leased: (port?.leasedAt ?? 0) > 0,
        upBytes: port?.counters.upBytes ?? 0,
        downBytes: port?.counters.downBytes ?? 0,
        ...meter.rates(id, index),
        dropped: port?.counters.dropped ?? 0,
        spoofed: port?.counters.spoofed ?? 0,
      }
    }),
    forwards: spec.forwards.map((forward) => {
      const key = forwardKey(forward)
      const report = forwards?.find((each) => each.key === key)
      const failure = report?.failure
      const reason = failure ? `${failure.message} ${failure.hint}`.trim() : ''
      return { ...forward, key, state: failure ? 'failed' : report ? 'listening' : 'off', reason }
    }),
    template: templateOf(spec.policy),
    ruleCount: spec.policy.network.rules.length,
  }
}
