import { describe, expect, test } from 'vitest'
import { parseAddress } from '../../vmm/model/ipv4'
import { segmentSubnet } from '../../vmm/model/network'
import { udpDatagram } from '../../vmm/net/gateway-frames'
import { checksum, ETHERTYPE, macBytes, PROTOCOL } from '../../vmm/net/packet'
import { GATEWAY_ADDRESS, GATEWAY_MAC, GatewayGuest, gatewayOn } from '../support/gateway-guest'
import { bytes } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

const { random } = seededRandom()
const OUTSIDE = parseAddress('198.51.100.7')!

function echo(payload: Uint8Array): Buffer {
  const message = Buffer.concat([Buffer.of(8, 0, 0, 0, 0x12, 0x34, 0, 1), payload])
  message.writeUInt16BE(checksum(message, 0, message.length), 2)
  return message
}

function arpFor(guest: GatewayGuest, asked: number, operation = 1): Buffer {
  const frame = Buffer.alloc(60) // padded, as short frames are
  frame.fill(0xff, 0, 6)
  frame.set(guest.mac, 6)
  frame.writeUInt16BE(ETHERTYPE.arp, 12)
  frame.set([0, 1, 8, 0, 6, 4, 0, operation], 14)
  frame.set(guest.mac, 22)
  frame.writeUInt32BE(guest.address, 28)
  frame.writeUInt32BE(asked, 38)
  return frame
}

describe('ARP', () => {
  const ask = (asked: number, operation?: number): Buffer[] => {
    const { gateway } = gatewayOn()
    const guest = new GatewayGuest()
    const frame = arpFor(guest, asked, operation)
    gateway.receive(guest, Buffer.concat([Buffer.alloc(7), frame]), 7, 7 + frame.length)
    return guest.frames
  }

  test('the gateway answers for itself and for every neighbour', () => {
    for (const asked of [GATEWAY_ADDRESS, parseAddress('10.86.200.3')!]) {
      const [reply] = ask(asked)

      expect(reply!.subarray(0, 6)).toEqual(Buffer.from(macBytes('52:54:00:00:00:05')))
      expect(reply!.subarray(20, 28)).toEqual(Buffer.from([0, 2, ...GATEWAY_MAC]))
      expect(reply!.readUInt32BE(28)).toBe(asked)
      expect(reply!.readUInt32BE(38)).toBe(parseAddress('10.86.0.5'))
    }
  })

  test.each(['10.86.0.5', '10.86.0.0', '10.86.255.255', '10.87.0.9', '192.0.2.1', '0.0.0.0'])('not for %s', (asked) => {
    expect(ask(parseAddress(asked)!)).toEqual([])
  })

  test('nor to an answer, nor to half a request', () => {
    expect(ask(GATEWAY_ADDRESS, 2)).toEqual([])
    const { gateway } = gatewayOn()
    const guest = new GatewayGuest()
    const frame = arpFor(guest, GATEWAY_ADDRESS)
    for (let end = 0; end < 42; end++) gateway.receive(guest, frame, 0, end)

    expect(guest.frames).toEqual([])
  })
})

describe('a ping', () => {
  test.each([0, 1, 56, 1472, 1473, 20_001, 65_507])('of %i bytes comes back whole from the gateway', async (length) => {
    const { gateway } = gatewayOn()
    const guest = new GatewayGuest()
    const payload = bytes(random, length)
    guest.put(gateway, PROTOCOL.icmp, GATEWAY_ADDRESS, echo(payload))
    const { buffer, payloadAt, end, source } = await guest.packet()

    expect(source).toBe(GATEWAY_ADDRESS)
    expect(buffer.subarray(payloadAt, payloadAt + 2)).toEqual(Buffer.of(0, 0))
    expect(checksum(buffer, payloadAt, end)).toBe(0)
    expect(buffer.subarray(payloadAt + 4, end).equals(Buffer.concat([Buffer.of(0x12, 0x34, 0, 1), payload]))).toBe(true)
    expect(guest.frames.every((frame) => frame.length <= 1514)).toBe(true)
  })

  test('with a wrong checksum is lost', () => {
    const { gateway } = gatewayOn()
    const guest = new GatewayGuest()
    const message = echo(Buffer.from('hello'))
    message[3]! ^= 1
    guest.put(gateway, PROTOCOL.icmp, GATEWAY_ADDRESS, message)

    expect(guest.frames).toEqual([])
  })

  test('is refused where it cannot be carried: no answer is made up', async () => {
    const { gateway } = gatewayOn()
    const guest = new GatewayGuest()
    guest.put(gateway, PROTOCOL.icmp, OUTSIDE, echo(Buffer.from('hello')))
    const refusal = await guest.icmp()

    expect(refusal).toMatchObject({ type: 3, code: 13, source: GATEWAY_ADDRESS })
    expect(refusal.body.readUInt32BE(16)).toBe(OUTSIDE)
  })
})

describe('what leads nowhere', () => {
  const send = async (to: string, options = {}) => {
    const { gateway } = gatewayOn(options)
    const guest = new GatewayGuest()
    guest.putUdp(gateway, 1000, parseAddress(to)!, 2000, 'hello')
    expect(gateway.counts().udpFlows).toBe(0)
    return guest.take() ? { frames: guest.frames } : null
  }

  test.each(['127.0.0.1', '0.0.0.1', '10.86.0.9'])('%s is refused and never dialled', async (to) => {
    const answer = await send(to)

    expect(answer!.frames[0]!.subarray(34, 36)).toEqual(Buffer.of(3, 1))
  })

  test.each(['224.0.0.251', '255.255.255.255', '10.86.255.255', '240.0.0.1'])(
    '%s is passed over in silence',
    async (to) => {
      expect(await send(to)).toBeNull()
    },
  )

  test('a segment has no way out, and nothing of the host', async () => {
    const subnet = segmentSubnet(0)
    const { gateway } = gatewayOn({ subnet, uplink: false })
    const guest = new GatewayGuest('guest', subnet.address + 5)
    guest.putUdp(gateway, 1000, OUTSIDE, 53, 'hello')
    expect(await guest.icmp()).toMatchObject({ type: 3, code: 1 })
    guest.putUdp(gateway, 1000, subnet.address + 1, 53, 'hello')
    expect(await guest.icmp()).toMatchObject({ type: 3, code: 3 })
    guest.put(gateway, PROTOCOL.icmp, subnet.address + 1, echo(Buffer.alloc(8)))
    expect(await guest.icmp()).toMatchObject({ type: 0 })
  })

  test('a packet whose time is over is reported, as traceroute wants', async () => {
    const { gateway } = gatewayOn()
    const guest = new GatewayGuest()
    const ends = { source: guest.address, sourcePort: 1000, destination: OUTSIDE, destinationPort: 33_434 }
    const frame = Buffer.alloc(34 + 12)
    frame.writeUInt16BE(ETHERTYPE.ipv4, 12)
    frame.set([0x45, 0, 0, 32, 0, 0, 0, 0, 1, 17, 0, 0], 14)
    frame.writeUInt32BE(guest.address, 26)
    frame.writeUInt32BE(OUTSIDE, 30)
    frame.writeUInt16BE(checksum(frame, 14, 34), 24)
    frame.set(udpDatagram(ends, Buffer.alloc(4)), 34)
    gateway.receive(guest, frame, 0, frame.length)

    expect(await guest.icmp()).toMatchObject({ type: 11, code: 0 })
  })

  test('other protocols are refused', async () => {
    const { gateway } = gatewayOn()
    const guest = new GatewayGuest()
    guest.put(gateway, 47, OUTSIDE, Buffer.alloc(16))

    expect(await guest.icmp()).toMatchObject({ type: 3, code: 2 })
  })

  test('errors are never answered by errors, and other senders not at all', () => {
    const { gateway } = gatewayOn()
    const guest = new GatewayGuest()
    guest.put(gateway, PROTOCOL.icmp, OUTSIDE, Buffer.alloc(36, 3))
    guest.put(gateway, PROTOCOL.icmp, GATEWAY_ADDRESS, echo(Buffer.alloc(8)), parseAddress('10.86.0.6')!)

    expect(guest.frames).toEqual([])
  })
})
