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

/** Answers DNS over TCP on a connection of a guest (RFC 7766). */
export function serveDns(clock: Clock, dns: GatewayDns, client: GatewayClient, stream: Duplex): void {
  const reader = new MessageReader(QUERY_MOST)
  let stopTimer = clock.later(IDLE_MS, () => stream.destroy())
  const stay = (): void => {
    stopTimer()
    stopTimer = clock.later(IDLE_MS, () => stream.destroy())
  }
  let open = 0
  let ended = false
  const answer = async (message: Buffer): Promise<void> => {
    open++
    const reply = await dns.answer(client, message, true)
    open--
    if (stream.destroyed) return
    stay()
    if (!reply || stream.writableLength > UNREAD_MOST) stream.destroy()
    else stream.write(lengthPrefixed(reply))
    if (ended && open === 0) stream.end()
  }
  stream.on('error', () => stream.destroy())
  stream.on('close', () => stopTimer())
  stream.on('end', () => {
    ended = true
    if (open === 0) stream.end()
  })
  stream.on('data', (chunk: Buffer) => {
    const messages = reader.read(chunk)
    if (!messages) return void stream.destroy()
    for (const message of messages) void answer(message)
  })
}
