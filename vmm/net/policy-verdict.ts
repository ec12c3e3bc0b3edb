/** What the policy of a domain says about one flow or one name. */
export interface Verdict {
  action: 'allow' | 'deny'
  /** Name of the rule that decided; one of Vivarium's own where no rule of the policy did. */
  rule: string
  /** Place of that rule in the policy; -1 for Vivarium's own. */
  index: number
  /** Names of the `log` rules that matched before. */
  logged: readonly string[]
}

/** Where the other side of a flow is. */
export type Place = 'host' | 'neighbour' | 'outside'

/** The other side of a flow. */
export interface PeerFacts {
  address: number
  place: Place
  /** The domain behind the address, for a neighbour that is known. */
  domain: { name: string; group: string } | null
  /** DNS names that lead to the address for this guest. */
  names: readonly string[]
}

/** The beginning of a flow. */
export interface FlowFacts {
  /** Who began it: `out` is the guest. */
  direction: 'out' | 'in'
  /** IP protocol number. */
  protocol: number
  /** Port of whoever is called; 0 where there are none. */
  port: number
  peer: PeerFacts
}
