import { describe, expect, test } from 'vitest'
import { parseAddress } from '../../vmm/model/ipv4'
import { segmentSubnet } from '../../vmm/model/network'
import { dhcpReply, type DhcpFacts } from '../../vmm/net/gateway-dhcp'
import { FIELD, four, readOptions, writeOptions } from '../../vmm/net/gateway-dhcp-options'
import { udpDatagram } from '../../vmm/net/gateway-frames'
import { ETHERNET_BYTES, PROTOCOL } from '../../vmm/net/packet'
import { GATEWAY_ADDRESS, GatewayGuest, gatewayOn } from '../support/gateway-guest'
import { below, bytes, pick } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

const { random } = seededRandom()
const FACTS: DhcpFacts = {
  subnet: { address: parseAddress('10.86.0.0')!, bits: 16 },
  address: GATEWAY_ADDRESS,
  uplink: true,
}
const EVERYBODY = 0xffff_ffff
const guest = new GatewayGuest()
const OWN = guest.address
const OTHER = parseAddress('10.86.0.77')!
const [DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM] = [1, 2, 3, 4, 5, 6, 7, 8] as const

interface Asked {
  clientAddress?: number
  flags?: number
  options?: [number, Uint8Array][]
}

/** A message of a client, without its options. */
function header({ clientAddress = 0, flags = 0 }: Asked = {}): Buffer {
  const head = Buffer.alloc(FIELD.options)
  head.set([1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef])
  head.writeUInt16BE(flags, FIELD.flags)
  head.writeUInt32BE(clientAddress, FIELD.clientAddress)
  head.set(guest.mac, FIELD.hardwareAddress)
  head.writeUInt32BE(0x63825363, FIELD.cookie)
  return head
}

function message(type: number, asked: Asked = {}): Buffer {
  return Buffer.concat([header(asked), writeOptions([[53, Uint8Array.of(type)], ...(asked.options ?? [])])])
}

function answer(type: number, asked: Asked = {}) {
  const reply = dhcpReply(guest, FACTS, message(type, asked))
  return (
    reply && { ...reply, options: readOptions(reply.message), yours: reply.message.readUInt32BE(FIELD.yourAddress) }
  )
}

describe('a guest that asks for an address', () => {
  test('is offered its own, with all that it needs', () => {
    const offer = answer(DISCOVER)!

    expect(offer).toMatchObject({ yours: OWN, to: OWN, leases: false })
    expect(Object.fromEntries(offer.options)).toEqual({
      53: Buffer.of(OFFER),
      51: four(86_400),
      54: four(GATEWAY_ADDRESS),
      1: four(parseAddress('255.255.0.0')!),
      3: four(GATEWAY_ADDRESS),
      6: four(GATEWAY_ADDRESS),
      26: Buffer.of(5, 220),
      28: four(parseAddress('10.86.255.255')!),
    })
    expect(offer.message.subarray(4, 8)).toEqual(Buffer.from('deadbeef', 'hex'))
    expect(offer.message.subarray(FIELD.hardwareAddress, FIELD.hardwareAddress + 6)).toEqual(Buffer.from(guest.mac))
    expect(offer.message.length).toBeGreaterThanOrEqual(300)
  })

  test('is told of no router and no DNS where there is no uplink', () => {
    const reply = dhcpReply(guest, { ...FACTS, uplink: false }, message(DISCOVER))!

    expect([...readOptions(reply.message).keys()].sort((a, b) => a - b)).toEqual([1, 26, 28, 51, 53, 54])
  })

  test('that wants a broadcast gets one', () => {
    expect(answer(DISCOVER, { flags: 0x8000 })).toMatchObject({ to: EVERYBODY })
  })

  test('gets its identifier back, as long as it may be', () => {
    const id = bytes(random, 255)
    const offer = answer(DISCOVER, { options: [[61, id]] })!

    expect(offer.options.get(61)).toEqual(id)
    expect(offer.message.length + 28).toBeLessThanOrEqual(576) // what every client takes
  })
})

describe('a request', () => {
  const server: [number, Uint8Array] = [54, four(GATEWAY_ADDRESS)]
  test.each<[string, Asked]>([
    ['that selects the offer', { options: [server, [50, four(OWN)]] }],
    ['after a reboot', { options: [[50, four(OWN)]] }],
    ['that renews or rebinds', { clientAddress: OWN }],
  ])('%s is granted', (_name, asked) => {
    const ack = answer(REQUEST, asked)!

    expect(ack.options.get(53)).toEqual(Buffer.of(ACK))
    expect(ack).toMatchObject({ yours: OWN, leases: true, to: OWN })
  })

  test.each<[string, Asked]>([
    ['that selects another address', { options: [server, [50, four(OTHER)]] }],
    ['after a reboot elsewhere', { options: [[50, four(OTHER)]] }],
    ['that renews another address', { clientAddress: OTHER }],
    ['for no address', {}],
  ])('%s is refused to everybody, so that it is heard', (_name, asked) => {
    const nak = answer(REQUEST, asked)!

    expect(Object.fromEntries(nak.options)).toEqual({ 53: Buffer.of(NAK), 54: four(GATEWAY_ADDRESS) })
    expect(nak).toMatchObject({ yours: 0, leases: false, to: EVERYBODY })
  })

  test('to another server is not answered', () => {
    expect(
      answer(REQUEST, {
        options: [
          [54, four(OTHER)],
          [50, four(OWN)],
        ],
      }),
    ).toBeNull()
  })
})

describe('other messages', () => {
  test('an address refused or given back changes nothing', () => {
    expect(answer(DECLINE, { options: [[50, four(OWN)]] })).toBeNull()
    expect(answer(RELEASE, { clientAddress: OWN })).toBeNull()
    expect(answer(DISCOVER)).toMatchObject({ yours: OWN })
  })

  test('a guest with its address gets the rest, without a lease', () => {
    const ack = answer(INFORM, { clientAddress: OWN })!

    expect(ack).toMatchObject({ yours: 0, to: OWN, leases: false })
    expect(ack.options.has(51)).toBe(false)
    expect(ack.options.get(6)).toEqual(four(GATEWAY_ADDRESS))
    expect(answer(INFORM, { clientAddress: OTHER })).toBeNull()
  })

  test.each<[string, (bytes: Buffer) => void]>([
    ['for another card', (bytes) => (bytes[FIELD.hardwareAddress] = 9)],
    ['from a relay', (bytes) => bytes.writeUInt32BE(OTHER, FIELD.relayAddress)],
    ['that is a reply', (bytes) => (bytes[0] = 2)],
    ['without the cookie', (bytes) => (bytes[FIELD.cookie] = 0)],
    ['of other hardware', (bytes) => (bytes[2] = 16)],
  ])('one %s is not answered', (_name, spoil) => {
    const asked = message(DISCOVER)
    spoil(asked)

    expect(dhcpReply(guest, FACTS, asked)).toBeNull()
  })
})

describe('hostile options', () => {
  test('a length beyond the end, or no end, harms nothing', () => {
    const open = Buffer.concat([header(), Buffer.of(53, 1, DISCOVER)])
    const beyond = Buffer.concat([header(), Buffer.of(53, 1, DISCOVER, 61, 200, 1, 2)])

    expect(dhcpReply(guest, FACTS, open)).not.toBeNull()
    expect(readOptions(dhcpReply(guest, FACTS, beyond)!.message).has(61)).toBe(false)
  })

  test('options in the fields of file and server name are read where the message says so', () => {
    const head = header()
    head.set([50, 4, ...four(OWN), 255], FIELD.file)
    const overloaded = Buffer.concat([head, Buffer.of(53, 1, REQUEST, 52, 1, 1, 255)])
    const not = Buffer.concat([head, Buffer.of(53, 1, REQUEST, 255)])

    expect(dhcpReply(guest, FACTS, overloaded)).toMatchObject({ leases: true })
    expect(dhcpReply(guest, FACTS, not)).toMatchObject({ leases: false })
  })

  test('never throw and never give another address', () => {
    for (let round = 0; round < 30_000; round++) {
      const asked = Buffer.concat([
        header(),
        Buffer.of(53, 1, pick(random, [1, 3, 8])),
        bytes(random, below(random, 80)),
      ])
      for (let count = below(random, 6); count > 0; count--) asked[below(random, asked.length)] = below(random, 256)
      const reply = dhcpReply(guest, FACTS, asked.subarray(0, asked.length - below(random, 20)))
      if (reply) expect([0, OWN]).toContain(reply.message.readUInt32BE(FIELD.yourAddress))
    }
  })
})

describe('through the gateway', () => {
  const discover = (destination: number) =>
    udpDatagram({ source: 0, sourcePort: 68, destination, destinationPort: 67 }, message(DISCOVER))

  test('a broadcast is answered with a frame to the card, from port 67 to port 68', async () => {
    const { gateway } = gatewayOn()
    const card = new GatewayGuest()
    card.put(gateway, PROTOCOL.udp, EVERYBODY, discover(EVERYBODY), 0)
    const [frame] = card.frames
    const udp = await card.udp()

    expect(frame!.subarray(0, 6)).toEqual(Buffer.from(card.mac))
    expect(frame!.readUInt32BE(ETHERNET_BYTES + 16)).toBe(OWN)
    expect(udp).toMatchObject({ source: GATEWAY_ADDRESS, sourcePort: 67, destinationPort: 68 })
  })

  test('whoever runs the network is told who has an address', () => {
    const leased: string[] = []
    const subnet = segmentSubnet(3)
    const { gateway } = gatewayOn({ subnet, uplink: false, leased: (client) => leased.push(client.id) })
    const card = new GatewayGuest('card', subnet.address + 9)
    const ends = { source: 0, sourcePort: 68, destination: EVERYBODY, destinationPort: 67 }
    const request = message(REQUEST, { options: [[50, four(card.address)]] })
    card.put(gateway, PROTOCOL.udp, EVERYBODY, udpDatagram(ends, request), 0)

    expect(leased).toEqual(['card'])
  })
})
