import { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import { parseAddress } from '../../vmm/model/ipv4'
import { macBytes, readIpv4 } from '../../vmm/net/packet'
import { TcpGateway } from '../../vmm/net/tcp-gateway'
import { TcpSegment } from '../../vmm/net/tcp-segment'
import { below, bytes, pick, type Random } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { SimulatedClock } from '../support/simulated-clock'
import { TcpCard } from '../support/tcp-card'
import { GUEST, HOST } from '../support/tcp-line'
import { SYN_OPTIONS, TcpScript } from '../support/tcp-script'
import { wireFrame, type WireSegment } from '../support/tcp-wire'

const FLAGS = ['', 'S', 'SA', 'A', 'A', 'A', 'PA', 'FA', 'F', 'R', 'RA', 'SR', 'SF', 'FSRPA']

/** A segment that is formed well and says anything. */
function oddSegment(random: Random, sequence: number, acknowledged: number): Partial<WireSegment> {
  const near = (place: number): number => {
    const step = pick(random, [0, 0, 1, -1, 100, -100, 65_535, -70_000, 2 ** 31, 2 ** 31 - 1, below(random, 2 ** 32)])
    return (place + step) >>> 0
  }
  const blocks = bytes(random, 8 * below(random, 4))
  for (let at = 0; at < blocks.length; at += 4) blocks.writeUInt32BE(near(acknowledged), at)
  const options: [number, Buffer][] =
    random() < 0.5 ? [[5, blocks]] : [[below(random, 256), bytes(random, below(random, 20))]]
  return {
    flags: pick(random, FLAGS),
    sequence: near(sequence),
    acknowledged: near(acknowledged),
    window: pick(random, [0, 1, 100, 65_535]),
    options: random() < 0.7 ? options : [],
    payload: bytes(random, pick(random, [0, 0, 1, 5, 300])),
  }
}

test('segments that are cut, mangled or noise are read or are none', () => {
  const { random } = seededRandom()
  const segment = new TcpSegment()
  for (let round = 0; round < 20_000; round++) {
    const frame = wireFrame({ source: GUEST, destination: HOST }, oddSegment(random, 5, 5))
    for (let flips = below(random, 4); flips > 0; flips--)
      frame[34 + below(random, frame.length - 34)] = below(random, 256)
    const packet = readIpv4(frame, 14, frame.length)!
    const end = pick(random, [packet.end, packet.payloadAt + below(random, frame.length - packet.payloadAt + 1)])

    if (!segment.read({ ...packet, end })) continue
    expect(segment.payloadAt).toBeGreaterThanOrEqual(packet.payloadAt + 20)
    expect(segment.payloadAt).toBeLessThanOrEqual(end)
    expect(segment.sackBlocks).toBeLessThanOrEqual(4)
  }
})

test('no order of segments breaks a connection, and what it holds is bounded', () => {
  const { random } = seededRandom()
  for (let round = 0; round < 150; round++) {
    const script = pick(random, [() => new TcpScript().open(), () => new TcpScript().half()])()
    const acts: (() => void)[] = [
      () => script.write(bytes(random, below(random, 5000))),
      () => script.end(),
      () => script.clock.advance(below(random, 700)),
      () => (script.room = !script.room),
      () => script.connection.roomAgain(),
      () => script.connection.drained(),
      () => (script.host.holds = !script.host.holds),
      () => (script.host.pending = 0),
      () => (script.host.keeping = pick(random, ['all', 'in order', 'nothing'])),
    ]
    for (let step = 0; step < 120 && script.host.reason === null; step++) {
      const last = script.sent.at(-1)
      const odd = oddSegment(random, last?.acknowledged ?? script.guestFirst, last?.sequence ?? script.ourFirst)
      if (random() < 0.7) script.say(odd.flags!, 0, 0, odd)
      else pick(random, acts)()
      expect(script.connection.early).toBeLessThan(2 ** 20 + 1024 * 600)
    }
    if (script.host.reason === null) script.connection.abort()
    expect(script.clock.timers).toBe(0)
    expect(script.connection.queued + script.connection.early).toBe(0)
  }
})

test('crumbs out of order take bounded memory, and the whole comes through', () => {
  const { random } = seededRandom()
  const script = new TcpScript().open()
  const data = bytes(random, 20_000)
  for (let at = 1; at < 6000; at += 2) script.say('A', 1 + at, 1, { payload: data.subarray(at, at + 1) })
  expect(script.connection.early).toBeLessThan(1024 * 300)

  for (let at = 0; at < data.length; at += 1000) script.say('A', 1 + at, 1, { payload: data.subarray(at, at + 1000) })

  expect(Buffer.concat(script.host.received).equals(data)).toBe(true)
  expect(script.connection.early).toBe(0)
})

test('a guest that reports crumbs of what it got makes no more work than it is worth', () => {
  const script = new TcpScript().open().say('A', 1, 1, { window: 65_535 })
  script.write(Buffer.alloc(60_000))
  const blocks = Buffer.alloc(24)
  for (let at = 3; at < 59_000; at += 6) {
    for (const [index, edge] of [at, at + 1, at + 2, at + 3, at + 4, at + 5].entries())
      blocks.writeUInt32BE((script.ourFirst + edge) >>> 0, index * 4)
    script.say('A', 1, 1, { options: [[5, blocks]] })
  }
  script.sent = []

  script.say('A', 1, 60_001)
  script.write('and on')

  expect(script.take()).toEqual(['PA 60001 1 6'])
})

test('hostile segments at the gateway reach nobody that was not called, and take bounded memory', () => {
  const { random } = seededRandom()
  const dialled = new Set<string>()
  const called = new Set<string>()
  const clock = new SimulatedClock(random)
  const gateway = new TcpGateway({
    clock,
    gatewayMac: macBytes('0a:56:00:00:00:01'),
    gatewayAddress: parseAddress('10.86.0.1')!,
    uplink: true,
    dial: (address, port) => {
      dialled.add(`${address} ${port}`)
      const stream = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() })
      if (random() < 0.7) process.nextTick(() => stream.emit('connect'))
      return stream
    },
  })
  const card = new TcpCard(gateway, GUEST, clock)
  for (let round = 0; round < 20_000; round++) {
    const last = card.stray.at(-1)
    const odd = oddSegment(random, last?.acknowledged ?? 0, last?.sequence ?? 0)
    const port = below(random, 4)
    const destination = pick(random, [HOST, '198.51.100.1'])
    if (odd.flags!.includes('S') && !/[AR]/.test(odd.flags!)) called.add(`${destination} ${port}`)
    const more = odd.flags === 'S' ? { ...odd, options: SYN_OPTIONS } : odd
    const frame = wireFrame(
      { source: GUEST, destination },
      { ...more, sourcePort: below(random, 6), destinationPort: port },
    )
    if (random() < 0.1) frame[34 + below(random, frame.length - 34)]! ^= 1 << below(random, 8)
    card.send(frame)
    if (round % 50 === 0) clock.advance(below(random, 500))
    card.stray.splice(0, card.stray.length - 5)
  }

  for (const who of dialled) expect(called).toContain(who)
  const { connections, halfOpen, held } = gateway.counts()
  expect(connections).toBeLessThanOrEqual(6 * 4 * 2)
  expect(halfOpen).toBeLessThanOrEqual(connections)
  expect(held).toBeLessThan(64 * 2 ** 20)
  gateway.close()
  expect(clock.timers).toBe(0)
})

test('what goes to a guest is formed well whatever it says', () => {
  const { random } = seededRandom()
  const script = new TcpScript().open().write(bytes(random, 20_000))
  for (let round = 0; round < 500 && script.host.reason === null; round++) {
    const odd = oddSegment(random, script.guestFirst + 1, script.ourFirst + 1)
    // the script reads every frame with a reader of its own, which throws at anything odd
    script.say(odd.flags!.replace(/[SR]/g, ''), 0, 0, odd)
  }
  expect(script.sent.length).toBeGreaterThan(0)
})
