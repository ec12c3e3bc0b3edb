import type { CheckedArgs, ExplanationView, PolicyCheckView, PolicyTemplateView, PolicyView } from '../contract'
import { parseOrRefuse } from '../../vmm/model/domain'
import { VmmError } from '../../vmm/model/errors'
import { parseAddress } from '../../vmm/model/ipv4'
import { connectionOf, GATEWAY_SUBNET } from '../../vmm/model/network'
import { EMPTY_POLICY, NetworkRuleSchema, type SandboxPolicy } from '../../vmm/model/policy'
import { missingPeers, renamePeer, type PolicyRemark } from '../../vmm/model/policy-domains'
import { PolicyQuestionSchema } from '../../vmm/model/policy-question'
import { parsePolicyText, policyPlace, policyText } from '../../vmm/model/policy-text'
import { POLICY_TEMPLATES, templateOf, withTemplate } from '../../vmm/model/policy-templates'
import { policyWarnings } from '../../vmm/model/policy-warnings'
import { hostAddresses } from '../../vmm/net/host-addresses'
import { explain, type NearDomain } from '../../vmm/net/policy-explain'
import type { AddressBook } from './addresses'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import type { FileService } from './files'
import type { Journal } from './journal'
import { segmentOf, type NetworkService } from './networks'

export interface PoliciesParts {
  domains: DomainService
  addresses: AddressBook
  networks: NetworkService
  files: FileService
  journal: Journal
}

/** What domains may do: stored with them, in force at once. */
export class PolicyService {
  constructor(private readonly parts: PoliciesParts) {}

  get(id: string): PolicyView {
    const { policy } = this.parts.domains.get(id).record.spec
    return {
      policy,
      text: policyText(policy),
      template: templateOf(policy),
      warnings: this.#warnings(policy),
      once: [...this.parts.networks.once(id)],
    }
  }

  async set(id: string, policy: SandboxPolicy): Promise<PolicyView> {
    const domain = this.parts.domains.forVerb(id, 'settings')
    this.requireEnforceable(policy, { name: domain.name, volumes: domain.record.volumes })
    const before = domain.record.spec.policy
    await this.#store(domain, policy)
    const message = `The policy of ${domain.name} was changed (${change(before, policy)}).`
    await this.parts.journal.info(id, 'policy.changed', message)
    return this.get(id)
  }

  /** Refuses, with the path, what names a domain or a group that there is not. */
  requireEnforceable(policy: SandboxPolicy, { name, volumes }: { name: string; volumes: boolean }): void {
    if (!volumes) refuseDiskLimits(policy)
    const [missing] = missingPeers(policy, this.#names(name))
    if (!missing) return
    const { path, message } = missing
    const words = `The policy is not valid at '${path}': ${message}`
    throw new VmmError('invalid', words, { hint: 'Correct the name, or make the domain first.', context: { path } })
  }

  check(id: string, text: string): PolicyCheckView {
    const domain = this.parts.domains.get(id)
    try {
      const policy = parsePolicyText(text)
      if (!domain.record.volumes) refuseDiskLimits(policy)
      const [missing] = missingPeers(policy, this.#names(domain.name))
      if (missing) return refused({ ...missing, ...policyPlace(text, missing.path) })
      return { policy, fault: null, warnings: this.#warnings(policy) }
    } catch (error) {
      if (!(error instanceof VmmError)) throw error
      const { path, line, column } = error.context
      const message = `${error.message} ${error.hint}`.trim()
      return refused({ path: textOf(path), message, line: numberOf(line), column: numberOf(column) })
    }
  }

  templates(): PolicyTemplateView[] {
    return POLICY_TEMPLATES.map(({ id, name, summary }) => ({
      id,
      name,
      description: summary,
      policy: withTemplate(EMPTY_POLICY, id),
    }))
  }

  explain({ id, policy, ...question }: CheckedArgs<'policy.explain'>): ExplanationView {
    const domain = this.parts.domains.get(id)
    const asked = parseOrRefuse(PolicyQuestionSchema, question, 'question')
    const { rules } = (policy ?? domain.record.spec.policy).network
    const around = { near: this.#near(domain), once: this.parts.networks.once(id), hostAddresses: hostAddresses() }
    const { action, rule, index, logged, sentence } = explain(rules, asked, around)
    return { action, rule, index, logged: [...logged], sentence }
  }

  /** Allows what was refused until the machine ends. */
  async allowOnce(id: string, seq: number): Promise<PolicyView> {
    const domain = this.parts.domains.get(id)
    domain.requireRun()
    const denial = this.parts.networks.denials.find(id, seq)
    if (!denial) {
      throw new VmmError('not-found', 'That refusal is too long ago.', {
        hint: 'Let the guest try again, or edit the rule.',
      })
    }
    const { direction, protocol, peer, peerName, port } = denial
    const hasPort = (protocol === 'tcp' || protocol === 'udp') && port > 0
    // a refused name has led to no address yet: what it leads to is not known before it resolves
    const isName = peerName.includes('.') && direction === 'out'
    const isQuestion = isName && port === 53
    const once = this.parts.networks.once(id)
    const rule = parseOrRefuse(
      NetworkRuleSchema,
      {
        name: `allowed once: ${(isName ? peerName : peer).slice(0, 60)} ${isQuestion ? 'any' : protocol} ${hasPort && !isQuestion ? port : ''}`.trim(),
        action: 'allow',
        direction,
        protocol: isQuestion || !['tcp', 'udp', 'icmp'].includes(protocol) ? 'any' : protocol,
        peers: [isName ? peerName : this.#isHost(peer) ? 'host' : peer],
        ports: hasPort && !isQuestion ? [String(port)] : [],
      },
      'rule',
    )
    await this.parts.networks.setOnce(domain, [...once.filter(({ name }) => name !== rule.name), rule])
    await this.parts.journal.warning(id, 'policy.allowed-once', `${domain.name}: ${rule.name}, until it stops.`)
    return this.get(id)
  }

  async forgetOnce(id: string): Promise<PolicyView> {
    const domain = this.parts.domains.get(id)
    await this.parts.networks.setOnce(domain, [])
    await this.parts.journal.info(id, 'policy.once-forgotten', `${domain.name}: what was allowed once is over.`)
    return this.get(id)
  }

  /** A domain has another name or group: policies that name it follow, and neighbours see it as it is now. */
  async follow(domain: Domain, before: { name: string; group: string }): Promise<void> {
    const { name, group } = domain.record.spec
    if (name === before.name && group === before.group) return
    if (name !== before.name) await this.#rename('domain', before.name, name)
    // a group that others are in still has its name
    const isRenamed = before.group !== '' && group !== '' && !this.#names('').groups.includes(before.group)
    if (isRenamed) await this.#rename('group', before.group, group)
    await this.parts.networks.refresh(domain)
  }

  async #rename(kind: 'domain' | 'group', from: string, to: string): Promise<void> {
    for (const domain of this.parts.domains.all()) {
      const renamed = renamePeer(domain.record.spec.policy, kind, from, to)
      if (renamed !== domain.record.spec.policy) await this.#store(domain, renamed)
    }
  }

  async #store(domain: Domain, policy: SandboxPolicy): Promise<void> {
    await this.parts.domains.store(domain, ({ spec }) => ({ spec: { ...spec, policy } }))
    await this.parts.networks.refresh(domain)
    await this.parts.files.follow(domain)
  }

  #warnings(policy: SandboxPolicy): PolicyRemark[] {
    return policyWarnings(policy, this.#names(''))
  }

  /** A domain that is just being made may name itself. */
  #names(ownName: string): { domains: string[]; groups: string[] } {
    const specs = this.parts.domains.all().map(({ record }) => record.spec)
    const groups = specs.map(({ group }) => group).filter((group) => group !== '')
    return { domains: [ownName, ...specs.map(({ name }) => name)], groups: [...new Set(groups)] }
  }

  /** Other domains on the networks of this one. */
  #near(domain: Domain): NearDomain[] {
    const segmentsOf = ({ record: { spec } }: Domain): string[] =>
      spec.nics.map((_, nic) => segmentOf(connectionOf(spec.connections, nic)))
    const own = new Set(segmentsOf(domain))
    return this.parts.domains.all().flatMap((other) => {
      if (other === domain) return []
      const leases = segmentsOf(other).map((segment, nic) =>
        own.has(segment) ? this.parts.addresses.find(other.id, nic, segment)?.address : undefined,
      )
      const addresses = leases.filter((address) => address !== undefined)
      const { name, group } = other.record.spec
      return segmentsOf(other).some((segment) => own.has(segment)) ? [{ name, group, addresses }] : []
    })
  }

  #isHost(peer: string): boolean {
    const address = parseAddress(peer)
    return address !== null && (address === GATEWAY_SUBNET.address + 1 || hostAddresses().has(address))
  }
}

/** Disks are not served by the file process yet, which alone could hold them to a rate of the policy. */
function refuseDiskLimits({ limits }: SandboxPolicy): void {
  const place = limits.io.findIndex(({ device }) => device.startsWith('disk'))
  if (place === -1) return
  const path = `limits.io.${place}.device`
  throw new VmmError(
    'unsupported',
    `The policy is not valid at '${path}': the disks of this domain are not sealed, and do not pass these limits.`,
    {
      hint: 'Limit its disks in its settings.',
      context: { path },
    },
  )
}

function refused(fault: NonNullable<PolicyCheckView['fault']>): PolicyCheckView {
  return { policy: null, fault, warnings: [] }
}

function change(before: SandboxPolicy, after: SandboxPolicy): string {
  const count = (policy: SandboxPolicy): string => {
    const { length } = policy.network.rules
    return templateOf(policy) || `${length} ${length === 1 ? 'rule' : 'rules'}`
  }
  return `${count(before)} before, ${count(after)} now`
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0
}
