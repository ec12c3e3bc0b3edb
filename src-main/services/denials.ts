import type { DenialView } from '../contract'
import { formatAddress } from '../../vmm/model/ipv4'
import { safeText } from '../../vmm/model/safe-text'
import type { NetworkReport } from '../../vmm/net/network-protocol'
import type { Note } from '../../vmm/net/notes'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import type { Journal } from './journal'

/** Denials kept of each domain for its window. */
const KEPT = 200
const PROTOCOL_NAMES: Record<number, string> = { 1: 'icmp', 6: 'tcp', 17: 'udp' }

export function protocolName(protocol: number): string {
  return PROTOCOL_NAMES[protocol] ?? String(protocol)
}

/** What policies refused: for the window the newest, for ever in the log. */
export class DenialLog {
  readonly #kept = new Map<string, DenialView[]>()
  /** Denials that are in the log already; repetitions are not written again. */
  readonly #logged = new Map<string, number>()

  constructor(
    private readonly domains: DomainService,
    private readonly journal: Journal,
  ) {}

  of(domainId: string): DenialView[] {
    return [...(this.#kept.get(domainId) ?? [])]
  }

  find(domainId: string, seq: number): DenialView | undefined {
    return this.#kept.get(domainId)?.find((denial) => denial.seq === seq)
  }

  /** Takes what is new; returns the denials among it, by domain. */
  take({ notes, untold }: NetworkReport): Map<string, DenialView[]> {
    const fresh = new Map<string, DenialView[]>()
    const running = new Map(this.domains.all().map((domain) => [domain.id, domain]))
    for (const note of notes) {
      const domain = running.get(note.domainId)
      if (!domain) continue
      this.#log(domain, note)
      if (note.action !== 'deny') continue
      const view = viewOf(note)
      this.#keep(view)
      fresh.set(note.domainId, [...(fresh.get(note.domainId) ?? []), view])
    }
    for (const [id, count] of untold) {
      const domain = running.get(id)
      if (domain) this.#write(domain, 'network.denied', `${count} further packets of ${domain.name} were refused.`)
    }
    return fresh
  }

  forget(domainId: string): void {
    this.#kept.delete(domainId)
    this.#logged.delete(domainId)
  }

  #keep(view: DenialView): void {
    const kept = (this.#kept.get(view.domainId) ?? []).filter(({ seq }) => seq !== view.seq)
    kept.push(view)
    this.#kept.set(view.domainId, kept.slice(-KEPT))
  }

  #log(domain: Domain, note: Note): void {
    if (note.seq <= (this.#logged.get(domain.id) ?? 0)) return
    this.#logged.set(domain.id, note.seq)
    const { direction, protocol, peer, peerName, port, rule, action, reason } = note
    const where = `${peerName ? `${peerName} (${formatAddress(peer)})` : formatAddress(peer)}${port > 0 ? ` port ${port}` : ''}`
    const what = `${protocolName(protocol)} ${direction === 'out' ? 'to' : 'from'} ${where}`
    if (action === 'deny') {
      this.#write(domain, 'network.denied', `${domain.name} was refused ${what} by '${rule}'. ${reason}`)
    } else {
      this.#write(domain, 'network.noted', `${domain.name}: ${what}, noted by '${rule}'.`)
    }
  }

  /** A log that cannot be written, as on a full disk, must not end the network. */
  #write(domain: Domain, event: string, message: string): void {
    const level = event === 'network.denied' ? 'warning' : 'info'
    this.journal[level](domain.id, event, message).catch((error: unknown) => {
      console.error('vivarium: a denial could not be logged:', error)
    })
  }
}

function viewOf(note: Note): DenialView {
  const { seq, at, domainId, nic, direction, protocol, peer, peerName, port, rule, index, reason, count } = note
  return {
    seq,
    at,
    domainId,
    nic,
    direction,
    protocol: protocolName(protocol),
    peer: formatAddress(peer),
    peerName: safeText(peerName, 253),
    port,
    rule,
    index,
    reason,
    count,
  }
}
