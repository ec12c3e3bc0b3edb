import type { NetworkRule, SandboxPolicy } from './policy'
import { parsePeer } from './policy-peer'

/** What a policy says of other domains: it names them, and their groups, as people do. */

export interface KnownNames {
  /** Names of all domains. */
  domains: readonly string[]
  /** Names of all groups. */
  groups: readonly string[]
}

/** A place in a policy, such as `network.rules.3.peers.0`, and what is to be said of it. */
export interface PolicyRemark {
  path: string
  message: string
}

/** The peers that name a domain or a group which does not exist. */
export function missingPeers(policy: SandboxPolicy, { domains, groups }: KnownNames): PolicyRemark[] {
  const known = { domain: new Set(domains), group: new Set(groups) }
  return policy.network.rules.flatMap((rule, index) =>
    rule.peers.flatMap((text, at) => {
      const peer = parsePeer(text)
      if ((peer?.kind !== 'domain' && peer?.kind !== 'group') || known[peer.kind].has(peer.name)) return []
      const noun = peer.kind === 'domain' ? 'domain' : 'group'
      return [{ path: `network.rules.${index}.peers.${at}`, message: `There is no ${noun} called '${peer.name}'.` }]
    }),
  )
}

/** The policy after a domain or a group was given another name; the same object when it did not name it. */
export function renamePeer(policy: SandboxPolicy, kind: 'domain' | 'group', from: string, to: string): SandboxPolicy {
  const before = `${kind}:${from}`
  const { rules } = policy.network
  if (!rules.some(({ peers }) => peers.includes(before))) return policy
  const renamed = (rule: NetworkRule): NetworkRule => ({
    ...rule,
    peers: rule.peers.map((peer) => (peer === before ? `${kind}:${to}` : peer)),
  })
  return { ...policy, network: { ...policy.network, rules: rules.map(renamed) } }
}
