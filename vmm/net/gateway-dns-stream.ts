import type { Duplex } from 'node:stream'
import type { Clock } from './clock'
import type { GatewayClient } from './gateway-client'
import type { GatewayDns } from './gateway-dns'
import { lengthPrefixed, MessageReader } from './gateway-dns-framing'

const QUERY_MOST = 1232
/** A connection on which nothing comes is ended (RFC 7766 6.2.3 lets servers choose; some seconds are usual). */
const IDLE_MS = 10_000
/** What may wait for a guest that does not read, bytes; more ends the connection. */
const UNREAD_MOST = 256 * 1024

export interface DnsStreamOptions {
  clock: Clock
  dns: GatewayDns
  client: GatewayClient
  stream: Duplex
}

/** Answers DNS over TCP on a connection of a guest (RFC 7766), until that ends it or is silent. */
export function serveDns(options: DnsStreamOptions): void {
  new DnsStream(options)
}

class DnsStream {
  private readonly reader = new MessageReader(QUERY_MOST)
  private stopTimer: () => void = () => {}
  /** Queries without an answer yet. */
  private open = 0
  private ended = false

  constructor(private readonly options: DnsStreamOptions) {
    const { stream } = options
    stream.on('error', () => stream.destroy())
    stream.on('close', () => this.stopTimer())
    stream.on('end', () => {
      this.ended = true
      this.endIfDone()
    })
    stream.on('data', (chunk: Buffer) => this.read(chunk))
    this.stay()
  }

  private stay(): void {
    const { clock, stream } = this.options
    this.stopTimer()
    this.stopTimer = clock.later(IDLE_MS, () => stream.destroy())
  }

  private read(chunk: Buffer): void {
    const messages = this.reader.read(chunk)
    if (messages === null) this.options.stream.destroy()
    for (const message of messages ?? []) void this.answer(message)
  }

  private async answer(message: Buffer): Promise<void> {
    const { dns, client, stream } = this.options
    this.open++
    const reply = await dns.answer(client, message, true)
    this.open--
    if (stream.destroyed) return
    if (!reply || stream.writableLength > UNREAD_MOST) return void stream.destroy()
    stream.write(lengthPrefixed(reply))
    this.stay()
    this.endIfDone()
  }

  private endIfDone(): void {
    if (this.ended && this.open === 0) this.options.stream.end()
  }
}
