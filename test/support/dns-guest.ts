import { decode, encode, type DecodedPacket, type Packet } from 'dns-packet'
import { expect, onTestFinished } from 'vitest'
import { formatAddress } from '../../vmm/model/ipv4'
import { dnsServer, type Answering } from './dns-server'
import { GATEWAY_ADDRESS, GatewayGuest, gatewayOn } from './gateway-guest'

/** A guest that asks a gateway for names, which asks servers that answer as a test says. */
export async function askingGuest(...answering: Answering[]) {
  const servers = await Promise.all(answering.map(dnsServer))
  const made = gatewayOn({ dnsServers: () => servers.map((server) => server.name) })
  onTestFinished(() => {
    made.gateway.close()
    for (const server of servers) server.close()
  })
  const guest = new GatewayGuest()
  let lastPort = 10_000
  /** Sends a query without waiting. */
  const send = (name: string, type = 'A', more: Partial<Packet> = {}): void => {
    const questions = [{ name, type, class: 'IN' }]
    const query = encode({ type: 'query', id: 77, flags: 0x100, questions, ...more } as Packet)
    guest.putUdp(made.gateway, ++lastPort, GATEWAY_ADDRESS, 53, query)
  }
  const answer = async (): Promise<DecodedPacket & { code: number; bytes: number }> => {
    const { payload, source, sourcePort, destinationPort } = await guest.udp()
    expect({ source, sourcePort, destinationPort }).toEqual({
      source: GATEWAY_ADDRESS,
      sourcePort: 53,
      destinationPort: lastPort,
    })
    return { ...decode(payload), code: payload[3]! & 15, bytes: payload.length }
  }
  const ask = (...query: Parameters<typeof send>) => (send(...query), answer())
  return { ...made, guest, servers, send, answer, ask }
}

/** What the records of an answer hold. */
export const data = (reply: DecodedPacket) => reply.answers!.map((record) => ('data' in record ? record.data : null))
/** What was pinned, addresses as text. */
export const pins = (guest: GatewayGuest) => guest.pins.map((pin) => ({ ...pin, address: formatAddress(pin.address) }))
