import type { SandboxPolicy, NetworkRule } from '../model/policy'
import type { Clock } from './clock'
import { FlowTable, type Flow } from './flow-table'
import type { Lane } from './lane'
import type { NoteFacts } from './notes'
import { PROTOCOL } from './packet'
import { Pins } from './pins'
import { compilePolicy, type CompiledPolicy } from './policy-compile'
import type { PeerFacts, Verdict } from './policy-verdict'
import type { Shaper } from './shaper'

/** Flows of one card at most. */
const FLOWS_MOST = 8192
/** How long a flow may be silent before it is forgotten, milliseconds. */
const IDLE_MS = {
  tcp: 2 * 60 * 60_000,
  unanswered: 30_000,
  closing: 30_000,
  udp: 180_000,
  other: 15_000,
  denied: 5000,
}
/** When the table is full, what has not been answered for this long gives way. */
const CROWDED_MS = 2000
/** … which is looked for this often: a guest that floods would have each of its packets look at every flow. */
const SWEEP_EVERY_MS = 100
/** Rules of Vivarium's own. */
export const FORWARD_RULE = 'port forward'
const SERVICE_RULE = 'gateway services'
const CROWDED_RULE = 'too many connections'

export interface PortPolicyOptions {
  clock: Clock
  /** What there is to know of an address, seen from this port. */
  peerAt(address: number): Omit<PeerFacts, 'names'>
  /** Whether the gateway itself offers this. */
  isService(protocol: number, peer: number, port: number): boolean
  note(facts: Omit<NoteFacts, 'domainId' | 'nic'>): void
  up: Lane
  down: Lane
}

interface RuleLimits {
  up: Shaper | null
  down: Shaper | null
}

/** The policy as it holds for one network card: decided once a flow, kept with the flow, decided anew when it changes. */
export class PortPolicy {
  readonly flows: FlowTable
  readonly pins: Pins
  #compiled: CompiledPolicy = compilePolicy([])
  #limits = new Map<number, RuleLimits>()
  #crowdedAt = -Infinity

  constructor(private readonly options: PortPolicyOptions) {
    this.flows = new FlowTable(options.clock.random32())
    this.pins = new Pins(() => options.clock.now())
  }

  /** Puts a policy into force, also for flows that are open; returns those that are forbidden now. */
  apply(policy: SandboxPolicy, once: readonly NetworkRule[]): Flow[] {
    this.#compiled = compilePolicy(policy.network.rules, once)
    this.#setLimits()
    return this.decideAnew()
  }

  /** Decides all flows once more, as when a neighbour came, went or was renamed. */
  decideAnew(): Flow[] {
    const forbidden: Flow[] = []
    for (const flow of this.flows) {
      if (flow.rule === SERVICE_RULE || flow.rule === FORWARD_RULE) continue
      const before = flow.allowed
      const names = [...new Set([...flow.names, ...this.pins.namesOf(flow.peer)])]
      this.#settle(flow, this.#decide(flow.direction, flow.protocol, flow.peer, names, flow))
      if (before && !flow.allowed) forbidden.push(flow)
    }
    return forbidden
  }

  mayTalk(peer: number): boolean {
    return this.#compiled.mayTalk({ ...this.options.peerAt(peer), names: [] })
  }

  mayResolve(name: string): Verdict {
    return this.#compiled.mayResolve(name)
  }

  mayLeadTo(name: string, address: number): boolean {
    return this.#compiled.mayLeadTo(name, address)
  }

  /**
   * The flow of a packet that no flow is known of, allowed or not; it is kept unless the table is full. A packet from
   * the middle of a connection, as after a start of Vivarium, may be of one that the other side began.
   */
  begin(
    direction: 'out' | 'in',
    isBeginning: boolean,
    protocol: number,
    peer: number,
    guestPort: number,
    peerPort: number,
  ): Flow {
    const ports = { guestPort, peerPort }
    const names = this.pins.namesOf(peer)
    let side = direction
    let verdict = this.#decide(side, protocol, peer, names, ports)
    if (verdict.action === 'deny' && !isBeginning) {
      const other = direction === 'out' ? 'in' : 'out'
      const reversed = this.#decide(other, protocol, peer, names, ports)
      if (reversed.action === 'allow') [side, verdict] = [other, reversed]
    }
    const flow = this.#newFlow(side, protocol, peer, guestPort, peerPort, names)
    this.#settle(flow, verdict)
    if (!this.#keep(flow) && flow.allowed) {
      this.#settle(flow, { action: 'deny', rule: CROWDED_RULE, index: -1, logged: [] })
    }
    for (const rule of verdict.logged) this.#note(flow, 'log', rule, 'The rule asks for a note.')
    return flow
  }

  /** The flow of what the gateway itself begins for a port forward. */
  beginForwarded(protocol: number, peer: number, guestPort: number, peerPort: number): Flow {
    const flow = this.#newFlow('in', protocol, peer, guestPort, peerPort, [])
    this.#settle(flow, { action: 'allow', rule: FORWARD_RULE, index: -1, logged: [] })
    this.#keep(flow)
    return flow
  }

  /** Notes that a packet of a flow was refused. */
  refuse(flow: Flow): void {
    const reason =
      flow.rule === CROWDED_RULE
        ? `There are ${FLOWS_MOST} open connections already.`
        : flow.index >= 0
          ? 'The rule denies it.'
          : 'No rule allows it.'
    this.#note(flow, 'deny', flow.rule, reason)
  }

  /** Forgets flows that have been silent for too long. */
  sweep(crowded = false): void {
    const now = this.options.clock.now()
    for (const flow of this.flows) if (now - flow.lastAt > idleMs(flow, crowded)) this.flows.remove(flow)
  }

  forgetFlows(): void {
    for (const flow of this.flows) this.flows.remove(flow)
  }

  close(): void {
    for (const { up, down } of this.#limits.values()) {
      up?.close()
      down?.close()
    }
  }

  #decide(
    direction: 'out' | 'in',
    protocol: number,
    peer: number,
    names: readonly string[],
    ports: { guestPort: number; peerPort: number },
  ): Verdict {
    const port = calledPort({ direction, protocol, ...ports })
    if (direction === 'out' && this.options.isService(protocol, peer, port)) {
      return { action: 'allow', rule: SERVICE_RULE, index: -1, logged: [] }
    }
    return this.#compiled.decide({ direction, protocol, port, peer: { ...this.options.peerAt(peer), names } })
  }

  #newFlow(
    direction: 'out' | 'in',
    protocol: number,
    peer: number,
    guestPort: number,
    peerPort: number,
    names: readonly string[],
  ): Flow {
    const now = this.options.clock.now()
    return {
      direction,
      protocol,
      peer,
      guestPort,
      peerPort,
      names,
      allowed: false,
      rule: '',
      index: -1,
      upShaper: null,
      downShaper: null,
      upBytes: 0,
      downBytes: 0,
      startedAt: now,
      lastAt: now,
      answered: false,
      closing: false,
    }
  }

  /** False when there is no place for it. */
  #keep(flow: Flow): boolean {
    const now = this.options.clock.now()
    if (this.flows.size >= FLOWS_MOST && now - this.#crowdedAt >= SWEEP_EVERY_MS) {
      this.#crowdedAt = now
      this.sweep(true)
    }
    if (this.flows.size >= FLOWS_MOST) return false
    this.flows.add(flow)
    return true
  }

  #settle(flow: Flow, verdict: Verdict): void {
    const limits = this.#limits.get(verdict.index)
    flow.allowed = verdict.action === 'allow'
    flow.rule = verdict.rule
    flow.index = verdict.index
    flow.upShaper = limits?.up ?? null
    flow.downShaper = limits?.down ?? null
  }

  #setLimits(): void {
    const { up, down } = this.options
    this.close()
    this.#limits = new Map()
    for (const [index, { upBits, downBits, burstBytes }] of this.#compiled.rules.entries()) {
      if (upBits === 0 && downBits === 0) continue
      this.#limits.set(index, {
        up: upBits > 0 ? up.ruleShaper(upBits, burstBytes) : null,
        down: downBits > 0 ? down.ruleShaper(downBits, burstBytes) : null,
      })
    }
  }

  #note(flow: Flow, action: 'deny' | 'log', rule: string, reason: string): void {
    const { direction, protocol, peer, names, index } = flow
    const domain = this.options.peerAt(peer).domain?.name ?? ''
    const peerName = names[0] ?? domain
    this.options.note({ action, direction, protocol, peer, peerName, port: calledPort(flow), rule, index, reason })
  }
}

/** The port of whoever is called; 0 where there are none. */
export function calledPort({
  direction,
  protocol,
  guestPort,
  peerPort,
}: Pick<Flow, 'direction' | 'protocol' | 'guestPort' | 'peerPort'>): number {
  if (protocol !== PROTOCOL.tcp && protocol !== PROTOCOL.udp) return 0
  return direction === 'out' ? peerPort : guestPort
}

function idleMs({ protocol, allowed, answered, closing }: Flow, crowded: boolean): number {
  if (!allowed) return crowded ? 0 : IDLE_MS.denied
  if (!answered) return crowded ? CROWDED_MS : protocol === PROTOCOL.icmp ? IDLE_MS.other : IDLE_MS.unanswered
  if (closing) return crowded ? CROWDED_MS : IDLE_MS.closing
  if (protocol === PROTOCOL.tcp) return IDLE_MS.tcp
  return protocol === PROTOCOL.udp ? IDLE_MS.udp : IDLE_MS.other
}
