import type { Answer, StringAnswer } from 'dns-packet'
import { inBlock, isPublic, parseAddress, type Block } from '../model/ipv4'
import { REBINDING_RULE } from '../model/policy'
import type { Clock } from './clock'
import { Allowance } from './gateway-allowance'
import type { GatewayClient } from './gateway-client'
import { DnsCache } from './gateway-dns-cache'
import { chainOf, ttlOf } from './gateway-dns-chain'
import { forwardedType, RCODE, readQuery, RECORD, writeAnswer, type DnsQuery } from './gateway-dns-message'
import { ownAnswer } from './gateway-dns-own'
import type { DnsUpstream } from './gateway-dns-upstream'
import { PROTOCOL } from './packet'

export const DNS_PORT = 53
/** Queries of one guest that may be under way, and how many it may send in a second, or at once. */
const OPEN_MOST = 64
const QUERIES_PER_SECOND = 200
const QUERIES_AT_ONCE = 400
const STREAM_MOST = 0xffff

export interface GatewayDnsOptions {
  clock: Clock
  /** The gateway's own address and subnet, to which no name leads but the gateway's. */
  address: number
  subnet: Block
  upstream: DnsUpstream
}

interface Guest {
  open: number
  readonly queries: Allowance
  readonly cache: DnsCache
}

interface Outcome {
  code: number
  records: readonly Answer[]
}

const NOTHING: Outcome = { code: RCODE.ok, records: [] }
const NO_NAME: Outcome = { code: RCODE.noName, records: [] }
const FAILED: Outcome = { code: RCODE.server, records: [] }

/**
 * DNS for guests, with their policy: names that a guest may not resolve do not exist for it, and what names lead to is
 * pinned for that guest before it is told. IPv6 is absent, so that names have no addresses there.
 */
export class GatewayDns {
  private readonly guests = new Map<string, Guest>()

  constructor(private readonly options: GatewayDnsOptions) {}

  /**
   * The answer to a message of a guest, null for none (nonsense, too many, the guest has gone). Over a `stream` it may
   * be 65535 bytes long. Keeps nothing of the message.
   */
  async answer(client: GatewayClient, message: Buffer, stream = false): Promise<Buffer | null> {
    const guest = this.guestOf(client)
    if (guest.open >= OPEN_MOST || !guest.queries.take()) return null
    const query = readQuery(message)
    if (!query || 'refusal' in query) return query?.refusal ?? null
    guest.open++
    try {
      const { code, records } = await this.resolve(client, guest, query)
      if (this.guests.get(client.id) !== guest) return null
      return written(query, { code, records }, stream ? STREAM_MOST : query.size)
    } finally {
      guest.open--
    }
  }

  forget(client: GatewayClient): void {
    this.guests.delete(client.id)
  }

  close(): void {
    this.guests.clear()
    this.options.upstream.close()
  }

  /** Queries under way, for all guests together. */
  counts(): { open: number } {
    return { open: [...this.guests.values()].reduce((sum, guest) => sum + guest.open, 0) }
  }

  private guestOf(client: GatewayClient): Guest {
    const known = this.guests.get(client.id)
    if (known) return known
    const { clock } = this.options
    const queries = new Allowance(clock, QUERIES_PER_SECOND, QUERIES_AT_ONCE)
    const guest = { open: 0, queries, cache: new DnsCache(clock) }
    this.guests.set(client.id, guest)
    return guest
  }

  private async resolve(client: GatewayClient, guest: Guest, query: DnsQuery): Promise<Outcome> {
    const { name, type } = query
    if (name === '') return NOTHING // the root, of which resolvers ask who serves it
    if (name === null) return NO_NAME
    const own = ownAnswer(name, type, this.options)
    if (own) return own
    const { action, rule } = client.mayResolve(name)
    if (action === 'deny') {
      this.note(client, name, rule, 'The name may not be resolved.')
      return NO_NAME
    }
    const outcome = await this.recordsOf(guest, name, type)
    if (type !== RECORD.a || outcome.records.length === 0) return outcome
    return this.pinned(client, guest, name, outcome.records)
  }

  /** What the name has of that type, from the cache or a server. */
  private async recordsOf(guest: Guest, name: string, type: number): Promise<Outcome> {
    const asked = forwardedType(type)
    if (!asked) return NOTHING
    const known = guest.cache.get(name, type)
    if (known) return { code: RCODE.ok, records: known }
    const answer = await this.options.upstream.lookup(name, asked)
    if (!answer) return FAILED
    const records = chainOf(answer.records, name, asked)
    guest.cache.put(name, type, records)
    return { code: answer.code, records }
  }

  /** Leaves out addresses that the name may not lead to, and pins the others. */
  private pinned(client: GatewayClient, guest: Guest, name: string, records: readonly Answer[]): Outcome {
    if (this.guests.get(client.id) !== guest) return FAILED // it has gone
    const left = records.filter((record) => !isAddress(record) || this.mayLead(client, name, record.data))
    const addresses = left.filter(isAddress)
    if (addresses.length === 0) {
      if (left.length === records.length) return { code: RCODE.ok, records } // aliases that lead nowhere
      this.note(client, name, REBINDING_RULE, 'A public name led to a private address.')
      return NOTHING
    }
    for (const record of addresses) client.pin(name, parseAddress(record.data)!, ttlOf(record))
    return { code: RCODE.ok, records: left }
  }

  private mayLead(client: GatewayClient, name: string, text: string): boolean {
    const address = parseAddress(text)
    if (address === null || inBlock(address, this.options.subnet)) return false
    return isPublic(address) || client.mayLeadTo(name, address)
  }

  private note(client: GatewayClient, name: string, rule: string, reason: string): void {
    client.denied({ protocol: PROTOCOL.udp, peer: this.options.address, port: DNS_PORT, name, rule, reason })
  }
}

function isAddress(record: Answer): record is StringAnswer {
  return record.type === 'A'
}

/** A server may have sent what cannot be written again. */
function written(query: DnsQuery, { code, records }: Outcome, most: number): Buffer {
  try {
    return writeAnswer(query, code, records, most)
  } catch {
    return writeAnswer(query, RCODE.server, [], most)
  }
}
