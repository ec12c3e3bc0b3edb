import type { Packet } from 'dns-packet'
import { describe, expect, test } from 'vitest'
import { hasUnsafeText } from '../../vmm/model/safe-text'
import { summarize } from '../../vmm/net/packet-summary'
import { ETHERNET_BYTES, PAYLOAD_AT } from '../../vmm/net/packet'
import { arpFrame, dhcpFrame, dnsFrame, icmpFrame, ipv4, tcpFrame, udpFrame, udpWith } from '../support/network-frames'
import { below, bytes, pick, type Random } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

const summary = (frame: Buffer) => summarize(frame, 0, frame.length, frame.length)
const info = (frame: Buffer) => summary(frame).info

const PING = Buffer.from('0001000261626364', 'hex')
const SYN = Buffer.from('020405b40101080a0000000100000000', 'hex')
const QUESTIONS: Packet['questions'] = [{ type: 'A', name: 'www.example.com' }]
const QUERY: Packet = { type: 'query', id: 0x1a2b, questions: QUESTIONS }
const ANSWER: Packet = {
  type: 'response',
  id: 0x1a2b,
  questions: QUESTIONS,
  answers: [
    { type: 'CNAME', name: 'www.example.com', data: 'example.com' },
    { type: 'A', name: 'example.com', data: '93.184.216.34' },
    { type: 'AAAA', name: 'example.com', data: '2606:2800:220::1' },
  ],
}
const NO_SUCH: Packet = { type: 'response', id: 1, flags: 3, questions: QUESTIONS }

function changed(frame: Buffer, at: number, ...values: number[]): Buffer {
  const copy = Buffer.from(frame)
  copy.set(values, at)
  return copy
}

describe('the line of', () => {
  test.each([
    ['a question for an address', arpFrame(1), 'ARP', 'Who has 10.86.0.1? Tell 10.86.0.2'],
    ['the answer', arpFrame(2), 'ARP', '10.86.0.2 is at 52:54:00:00:00:01'],
    ['an announcement', arpFrame(1, 0x0a56_0002, 0x0a56_0002), 'ARP', 'ARP Announcement for 10.86.0.2'],
    ['a ping', icmpFrame(8, 0, PING), 'ICMP', 'Echo (ping) request  id=0x0001, seq=2, ttl=64'],
    ['its answer', icmpFrame(0, 0, PING), 'ICMP', 'Echo (ping) reply  id=0x0001, seq=2, ttl=64'],
    ['a closed port', icmpFrame(3, 3, PING), 'ICMP', 'Destination unreachable (Port unreachable)'],
    ['a denial', icmpFrame(3, 13, PING), 'ICMP', 'Destination unreachable (Communication administratively filtered)'],
    ['a long way', icmpFrame(11, 0, PING), 'ICMP', 'Time-to-live exceeded (in transit)'],
    ['a datagram', udpFrame({ bytes: 142, port: 9 }), 'UDP', '40000 → 9 Len=100'],
    [
      'a connection that begins',
      tcpFrame({ flags: 2, options: SYN }),
      'TCP',
      '40000 → 80 [SYN] Seq=4294967280 Win=64240 Len=0 MSS=1460',
    ],
    [
      'data',
      tcpFrame({ flags: 0x18, payload: Buffer.alloc(3) }),
      'TCP',
      '40000 → 80 [PSH, ACK] Seq=4294967280 Ack=77 Win=64240 Len=3',
    ],
    ['a reset', tcpFrame({ flags: 4 }), 'TCP', '40000 → 80 [RST] Seq=4294967280 Win=64240 Len=0'],
    ['nothing set', tcpFrame({ flags: 0 }), 'TCP', '40000 → 80 [<None>] Seq=4294967280 Win=64240 Len=0'],
    ['DHCP', dhcpFrame(5), 'DHCP', 'DHCP ACK      - Transaction ID 0x3903f326'],
    ['a DHCP of no known type', dhcpFrame(77), 'DHCP', 'DHCP type 77  - Transaction ID 0x3903f326'],
    ['a DNS question', dnsFrame(QUERY), 'DNS', 'Standard query 0x1a2b A www.example.com'],
    [
      'a DNS answer',
      dnsFrame(ANSWER),
      'DNS',
      'Standard query response 0x1a2b A www.example.com CNAME example.com A 93.184.216.34 AAAA',
    ],
    [
      'a name that there is not',
      dnsFrame(NO_SUCH),
      'DNS',
      'Standard query response 0x0001 No such name A www.example.com',
    ],
    ['another protocol', ipv4(47, Buffer.alloc(30)), 'IPv4', 'GRE (47)'],
    ['IPv6', changed(arpFrame(1), 12, 0x86, 0xdd), 'IPv6', 'Ethernet II, type 0x86dd'],
    ['another ethertype', changed(arpFrame(1), 12, 0x88, 0xb5), '0x88b5', 'Ethernet II, type 0x88b5'],
    ['an 802.3 frame', changed(arpFrame(1), 12, 0, 46), 'LLC', 'IEEE 802.3, length 46'],
  ])('%s', (_, frame, protocol, line) => {
    expect(summary(frame)).toMatchObject({ protocol, info: line })
  })
})

test('addresses are those of IPv4, and of Ethernet where there are none', () => {
  expect(summary(udpFrame({ bytes: 60 }))).toMatchObject({ source: '10.86.0.2', destination: '10.86.0.1' })
  expect(summary(arpFrame(1))).toMatchObject({ source: '52:54:00:00:00:01', destination: 'Broadcast' })
})

test('a part of a datagram is told as one, and its bytes are no header', () => {
  const part = changed(udpWith(Buffer.alloc(100), 53, 53), ETHERNET_BYTES + 6, 0x20, 5)

  expect(summary(part)).toMatchObject({
    protocol: 'IPv4',
    info: 'Fragmented IP protocol (proto=UDP 17, off=40, ID=0000)',
  })
})

describe('what is not as it should be', () => {
  test.each([
    ['an IPv4 header too short', changed(udpFrame({ bytes: 60 }), ETHERNET_BYTES, 0x44), 'Bogus IPv4 header'],
    ['another version', changed(udpFrame({ bytes: 60 }), ETHERNET_BYTES, 0x65), 'Bogus IPv4 header: version 6'],
    ['a TCP header beyond its packet', changed(tcpFrame(), PAYLOAD_AT + 12, 0xf0), 'Bogus header length (60)'],
    ['a DNS name beyond its message', changed(dnsFrame(QUERY), PAYLOAD_AT + 20, 60), '[Malformed Packet]'],
    ['a DNS name that leads to itself', changed(dnsFrame(QUERY), PAYLOAD_AT + 20, 0xc0, 12), '[Malformed Packet]'],
    ['a DNS message of two bytes', udpWith(Buffer.of(1, 2), 40_000, 53), '40000 → 53 Len=2 [Malformed Packet]'],
    ['a DHCP option beyond its message', changed(dhcpFrame(1), PAYLOAD_AT + 8 + 241, 250), 'DHCP Unknown'],
    ['a frame of five bytes', Buffer.alloc(5), '[Malformed Packet]'],
    ['nothing at all', Buffer.alloc(0), '[Malformed Packet]'],
  ])('%s', (_, frame, part) => {
    expect(info(frame)).toContain(part)
  })

  test('what was cut by the capture is not called malformed', () => {
    const frame = tcpFrame({ payload: Buffer.alloc(500) })

    expect(summarize(frame, 0, 40, frame.length).info).toBe('40000 → 80 [Packet size limited during capture]')
    expect(summarize(frame, 0, 60, frame.length).info).toMatch(/Len=500$/)
  })

  test('what is not printable in a name is escaped, and the line stays short', () => {
    const label = '\u001b[2J\u0000.\\é'
    const name = Buffer.concat([Buffer.of(Buffer.byteLength(label)), Buffer.from(label), Buffer.of(0, 0, 1, 0, 1)])
    const head = Buffer.from('000101000001000000000000', 'hex')
    expect(info(udpWith(Buffer.concat([head, name]), 40_000, 53))).toBe(
      'Standard query 0x0001 A \\027[2J\\000\\046\\092\\195\\169',
    )

    const labels = Buffer.concat(Array.from({ length: 3 }, () => Buffer.concat([Buffer.of(63), Buffer.alloc(63, 1)])))
    const long = info(udpWith(Buffer.concat([head, labels, Buffer.of(0, 0, 1, 0, 1)]), 40_000, 53))
    expect(long.length).toBe(240)
    expect(long.endsWith('…')).toBe(true)
  })
})

describe('whatever the bytes are', () => {
  const kinds = [
    arpFrame(1),
    icmpFrame(3, 1, PING),
    udpFrame({ bytes: 100 }),
    tcpFrame({ flags: 2, options: SYN }),
    dhcpFrame(3),
    dnsFrame(QUERY),
    dnsFrame(ANSWER),
  ]

  function hostile(random: Random): Buffer {
    if (below(random, 8) === 0) return bytes(random, below(random, 200))
    const frame = Buffer.from(pick(random, kinds))
    for (let count = 1 + below(random, 6); count > 0; count--) frame[below(random, frame.length)] = below(random, 256)
    return below(random, 3) === 0 ? frame.subarray(0, below(random, frame.length)) : frame
  }

  test('a line comes out, short, safe, and of nothing but the frame', () => {
    const { random } = seededRandom()
    for (let round = 0; round < 30_000; round++) {
      const frame = hostile(random)
      const around = Buffer.concat([Buffer.alloc(below(random, 9), 0x41), frame, Buffer.alloc(400, 0x42)])
      const at = around.length - 400 - frame.length

      const line = summarize(around, at, at + frame.length, frame.length)

      expect(line).toEqual(summary(frame))
      const text = Object.values(line).join(' ')
      if (hasUnsafeText(text) || text.length > 340) expect.fail(JSON.stringify({ frame: frame.toString('hex'), line }))
    }
  })
})
