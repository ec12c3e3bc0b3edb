import { encode } from 'dns-packet'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { checksum, ETHERNET_BYTES, ETHERTYPE, MTU, PAYLOAD_AT, PROTOCOL, writeHeaders } from '../../vmm/net/packet'
import { udpDatagram } from '../../vmm/net/gateway-frames'
import { UDP_FLOWS_MOST } from '../../vmm/net/gateway-udp'
import { DENIED, GATEWAY_ADDRESS, GATEWAY_MAC, GatewayGuest, gatewayOn } from '../support/gateway-guest'
import { below, bytes, pick } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

/** Nothing of this goes to anybody: the sockets of the host are counted, and answer what they are sent. */
const sockets = vi.hoisted(() => ({ open: 0, most: 0 }))
vi.mock('../../vmm/net/gateway-udp-flow', () => ({
  UdpFlowSocket: class {
    constructor(
      _address: number,
      _port: number,
      private readonly events: { message(payload: Buffer): void },
    ) {
      sockets.most = Math.max(sockets.most, ++sockets.open)
    }
    send(payload: Buffer): void {
      this.events.message(payload)
    }
    close(): void {
      sockets.open--
    }
  },
}))

const { random } = seededRandom()
const { gateway, clock } = gatewayOn()
const guest = new GatewayGuest()
guest.mayResolve = () => DENIED
afterAll(() => gateway.close())

const OUTSIDE = [GATEWAY_ADDRESS, 0x7f000001, 0xffffffff, 0x0a56ffff, 0, 0xe0000001, 0x0a560099]

/** A frame that looks like something, before it is spoilt. */
function frame(): Buffer {
  const destination = pick(random, OUTSIDE)
  const protocol = pick(random, [PROTOCOL.icmp, PROTOCOL.udp, PROTOCOL.udp, PROTOCOL.tcp, below(random, 256)])
  const payload = protocol === PROTOCOL.udp ? datagram(destination) : bytes(random, below(random, 60))
  const source = random() < 0.9 ? guest.address : 0
  const whole = Buffer.alloc(PAYLOAD_AT + payload.length)
  writeHeaders(whole, { to: GATEWAY_MAC, from: guest.mac, source, destination, protocol }, payload.length)
  whole.set(payload, PAYLOAD_AT)
  if (random() < 0.1) whole.writeUInt16BE(ETHERTYPE.arp, 12)
  return whole
}

function datagram(destination: number): Buffer {
  const port = pick(random, [53, 53, 67, 67, 1 + below(random, 65_535)])
  const dns = encode({ type: 'query', id: 1, questions: [{ name: 'a.example', type: 'A' }] })
  const dhcp = Buffer.alloc(300, below(random, 256))
  dhcp.set([1, 1, 6])
  dhcp.set(guest.mac, 28)
  dhcp.set([0x63, 0x82, 0x53, 0x63, 53, 1, below(random, 9)], 236)
  const payload = pick(random, [dns, dhcp, bytes(random, below(random, 40))])
  for (let count = below(random, 3); count > 0; count--) payload[below(random, payload.length)] = below(random, 256)
  const sourcePort = port === 67 ? 68 : 1 + below(random, 65_535)
  return udpDatagram({ source: guest.address, sourcePort, destination, destinationPort: port }, payload)
}

/** Changes bytes of the headers, most times so that the checksum of the IPv4 header holds again. */
function spoil(whole: Buffer): void {
  for (let count = below(random, 4); count > 0; count--) {
    whole[below(random, Math.min(whole.length, PAYLOAD_AT + 12))] = below(random, 256)
  }
  if (random() < 0.1) return
  const end = Math.min(whole.length, ETHERNET_BYTES + (whole[ETHERNET_BYTES]! & 15) * 4)
  if (end < PAYLOAD_AT) return
  whole.writeUInt16BE(0, ETHERNET_BYTES + 10)
  whole.writeUInt16BE(checksum(whole, ETHERNET_BYTES, end), ETHERNET_BYTES + 10)
}

describe('hostile frames of a guest', () => {
  test('never throw, get frames no longer than the MTU, and leave the gateway within its bounds', async () => {
    let sent = 0
    for (let round = 0; round < 60_000; round++) {
      const whole = frame()
      spoil(whole)
      const before = Buffer.alloc(below(random, 9), 0xee)
      const buffer = Buffer.concat([before, whole, Buffer.alloc(below(random, 9), 0xee)])
      const end = before.length + (random() < 0.9 ? whole.length : below(random, whole.length + 1))
      gateway.receive(guest, buffer, before.length, end)
      if (round % 1000 === 0) await new Promise((resolve) => setImmediate(resolve))
      for (const one of guest.frames.splice(0)) {
        sent++
        if (one.length > MTU + ETHERNET_BYTES) throw new Error(`A frame of ${one.length} bytes`)
      }
      while (guest.take());
      if (random() < 0.0005) clock.advance(40_000)
    }
    expect(sent).toBeGreaterThan(0)
    expect(sockets.most).toBeGreaterThan(1)
    expect(sockets.most).toBeLessThanOrEqual(UDP_FLOWS_MOST)
    gateway.forget(guest)

    expect(sockets.open).toBe(0)
    expect(clock.timers).toBe(0)
  })
})
