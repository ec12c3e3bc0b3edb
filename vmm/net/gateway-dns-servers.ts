import { Resolver } from 'node:dns'
import { isIP, isIPv4 } from 'node:net'
import type { Clock } from './clock'

const DNS_PORT = 53
/** How long the host's own list is taken as known, milliseconds: it changes with the network it is in. */
const KNOWN_MS = 10_000

export interface DnsServer {
  address: string
  port: number
  family: 4 | 6
}

/** `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:53`; null for anything else. */
export function parseServer(text: string): DnsServer | null {
  const [, bracketed, plain, portText] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const address = isIP(text) ? text : (bracketed ?? plain ?? '')
  const port = isIP(text) || portText === undefined ? DNS_PORT : Number(portText)
  if (!isIP(address) || port < 1 || port > 65_535) return null
  return { address, port, family: isIPv4(address) ? 4 : 6 }
}

/** Which servers to ask: those that were named, or the host's. */
export class DnsServers {
  private host: DnsServer[] = []
  private readAt = -Infinity

  constructor(
    private readonly clock: Clock,
    private readonly named: () => readonly string[],
  ) {}

  list(): readonly DnsServer[] {
    const named = this.named()
    return named.length > 0 ? parseAll(named) : this.ofHost()
  }

  private ofHost(): DnsServer[] {
    if (this.clock.now() - this.readAt < KNOWN_MS) return this.host
    this.readAt = this.clock.now()
    this.host = parseAll(new Resolver().getServers()) // a new one reads the system's settings anew
    return this.host
  }
}

function parseAll(texts: readonly string[]): DnsServer[] {
  return texts.map(parseServer).filter((server) => server !== null)
}
