import type { RecordType } from 'dns-packet'
import type { Clock } from './clock'
import { overTcp, overUdp, type Exchange } from './gateway-dns-exchange'
import { RCODE, readAnswer, writeQuestion, type DnsAnswer } from './gateway-dns-message'
import type { DnsServer, DnsServers } from './gateway-dns-servers'

const ATTEMPTS = 3
/** Questions under way for all guests together; each has a socket. */
const OPEN_MOST = 512

/** Asks the host's DNS servers, in turn when one does not answer. */
export class DnsUpstream {
  /** Which server answered last, as a place in the list. */
  private good = 0
  private readonly open = new Set<() => void>()
  private closed = false

  constructor(
    private readonly clock: Clock,
    private readonly servers: DnsServers,
  ) {}

  /** What a server says of a name; null when none does. */
  async lookup(name: string, type: RecordType): Promise<DnsAnswer | null> {
    const servers = this.servers.list()
    for (let attempt = 0; attempt < ATTEMPTS && servers.length > 0; attempt++) {
      if (this.closed || this.open.size >= OPEN_MOST) return null
      const place = (this.good + attempt) % servers.length
      const answer = await this.ask(servers[place]!, name, type)
      if (answer?.code !== RCODE.ok && answer?.code !== RCODE.noName) continue
      this.good = place
      return answer
    }
    return null
  }

  /** Ends every question that is under way. */
  close(): void {
    this.closed = true
    for (const end of this.open) end()
  }

  private async ask(server: DnsServer, name: string, type: RecordType): Promise<DnsAnswer | null> {
    const id = this.clock.random32() & 0xffff
    const exchange: Exchange<DnsAnswer> = {
      clock: this.clock,
      server,
      question: writeQuestion(id, name, type),
      read: (message) => readAnswer(message, id, name, type),
      open: this.open,
    }
    const answer = await overUdp(exchange)
    if (!answer?.truncated) return answer
    const whole = await overTcp(exchange)
    return whole?.truncated ? null : whole
  }
}
