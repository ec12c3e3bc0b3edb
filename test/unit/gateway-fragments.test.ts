import { describe, expect, test } from 'vitest'
import { Reassembler } from '../../vmm/net/gateway-fragments'
import { datagramFrames } from '../../vmm/net/gateway-frames'
import { checksum, ETHERNET_BYTES, IPV4_BYTES, readIpv4, writeIpv4, type Ipv4Packet } from '../../vmm/net/packet'
import { below, bytes, pick } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { SimulatedClock } from '../support/simulated-clock'

const { random } = seededRandom()
const ENDS = { source: 0x0a560005, destination: 0x0a560001, protocol: 17 }

/** A fragment with any offset and any length, as a hostile guest writes it. */
function fragment(offset: number, payload: Uint8Array, more: boolean, id = 1): Ipv4Packet {
  const packet = Buffer.alloc(IPV4_BYTES + payload.length)
  writeIpv4(packet, 0, { ...ENDS, id }, payload.length)
  packet.writeUInt16BE((more ? 0x2000 : 0) | (offset >> 3), 6)
  packet.writeUInt16BE(0, 10)
  packet.writeUInt16BE(checksum(packet, 0, IPV4_BYTES), 10)
  packet.set(payload, IPV4_BYTES)
  return readIpv4(packet, 0, packet.length)!
}

function reassembler(limits?: { datagrams: number; bytes: number }) {
  const clock = new SimulatedClock()
  return { clock, reassembler: new Reassembler(clock, limits) }
}

describe('fragments of a guest', () => {
  test('come together in any order, however often they come, to what was sent', () => {
    for (let round = 0; round < 200; round++) {
      const payload = bytes(random, 1481 + below(random, 8000))
      const header = { to: new Uint8Array(6), from: new Uint8Array(6), ...ENDS, id: round }
      const packets = datagramFrames(header, payload).map((frame) => readIpv4(frame, ETHERNET_BYTES, frame.length)!)
      const { reassembler: own } = reassembler()
      const mixed = [...packets, pick(random, packets)].sort(() => random() - 0.5)
      const wholes = mixed.map((packet) => own.add(packet)).filter((whole) => whole !== null)

      expect(wholes).toHaveLength(1)
      const whole = readIpv4(wholes[0]!, 0, wholes[0]!.length)!
      expect(whole.buffer.subarray(whole.payloadAt, whole.end).equals(payload)).toBe(true)
      expect(whole).toMatchObject({ ...ENDS, id: round, fragmentOffset: 0, moreFragments: false })
    }
  })

  test('keep nothing of the buffer they came in', () => {
    const { reassembler: own } = reassembler()
    const first = fragment(0, Buffer.alloc(64, 1), true)
    own.add(first)
    first.buffer.fill(9)
    const whole = own.add(fragment(64, Buffer.alloc(8, 2), false))!

    expect(whole.subarray(IPV4_BYTES)).toEqual(Buffer.concat([Buffer.alloc(64, 1), Buffer.alloc(8, 2)]))
  })

  test.each<[string, Ipv4Packet[]]>([
    ['overlap by their end', [fragment(0, Buffer.alloc(64), true), fragment(56, Buffer.alloc(64), false)]],
    ['overlap by their beginning', [fragment(64, Buffer.alloc(64), false), fragment(0, Buffer.alloc(72), true)]],
    ['lie within another (teardrop)', [fragment(0, Buffer.alloc(128), true), fragment(48, Buffer.alloc(48), true)]],
    ['repeat a place with other bytes', [fragment(0, Buffer.alloc(64, 1), true), fragment(0, Buffer.alloc(64), true)]],
    ['end twice', [fragment(128, Buffer.alloc(8), false), fragment(64, Buffer.alloc(8), false)]],
    ['go on beyond the end', [fragment(64, Buffer.alloc(8), false), fragment(128, Buffer.alloc(64), true)]],
    ['end before others', [fragment(128, Buffer.alloc(64), true), fragment(64, Buffer.alloc(8), false)]],
    ['are tiny', [fragment(0, Buffer.alloc(8), true)]],
    ['are empty', [fragment(64, Buffer.alloc(0), false)]],
    ['are no multiple of 8 bytes', [fragment(0, Buffer.alloc(65), true)]],
    ['are too long together (ping of death)', [fragment(65_528, Buffer.alloc(64), false)]],
  ])('are dropped with the whole datagram when they %s', (_name, hostile) => {
    const { reassembler: own } = reassembler()
    for (const packet of hostile) expect(own.add(packet)).toBeNull()

    expect(own.counts()).toEqual({ datagrams: 1, bytes: 0 })
    expect(own.add(fragment(0, Buffer.alloc(64), true))).toBeNull()
    expect(own.add(fragment(64, Buffer.alloc(8), false))).toBeNull()
  })

  test('are waited for 30 seconds', () => {
    const { clock, reassembler: own } = reassembler()
    own.add(fragment(0, Buffer.alloc(64), true))
    clock.advance(29_999)
    expect(own.counts().datagrams).toBe(1)
    clock.advance(1)

    expect(own.counts()).toEqual({ datagrams: 0, bytes: 0 })
    expect(clock.timers).toBe(0)
    expect(own.add(fragment(64, Buffer.alloc(8), false))).toBeNull()
  })

  test('of many datagrams make room by the oldest', () => {
    const { reassembler: own } = reassembler({ datagrams: 4, bytes: 1 << 20 })
    for (let id = 1; id <= 6; id++) own.add(fragment(0, Buffer.alloc(64), true, id))

    expect(own.counts()).toEqual({ datagrams: 4, bytes: 256 })
    expect(own.add(fragment(64, Buffer.alloc(8), false, 6))).not.toBeNull()
    expect(own.add(fragment(64, Buffer.alloc(8), false, 1))).toBeNull()
  })

  test('never hold more than they may, whatever comes', () => {
    const limits = { datagrams: 8, bytes: 20_000 }
    const { clock, reassembler: own } = reassembler(limits)
    for (let round = 0; round < 20_000; round++) {
      const payload = Buffer.alloc(below(random, 200) * (random() < 0.8 ? 8 : 1))
      const whole = own.add(fragment(below(random, 300) * 8, payload, random() < 0.7, below(random, 12)))
      if (whole) expect(readIpv4(whole, 0, whole.length)).not.toBeNull()
      const held = own.counts()
      expect(held.datagrams <= limits.datagrams && held.bytes >= 0 && held.bytes <= limits.bytes).toBe(true)
      if (random() < 0.001) clock.advance(31_000)
    }
    own.clear()

    expect(own.counts()).toEqual({ datagrams: 0, bytes: 0 })
    expect(clock.timers).toBe(0)
  })
})
