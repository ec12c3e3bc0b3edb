import type { Duplex } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { FILES_CARD, FILES_CARD_TEXT } from '../../vmm/files/files-card'
import { FilesLink } from '../../vmm/files/files-link'
import { framed } from '../../vmm/net/frame-splitter'
import { ETHERTYPE, macBytes } from '../../vmm/net/packet'
import { MemoryLine } from '../support/memory-segment'
import { below } from '../support/random-values'
import { realClock } from '../support/real-clock'
import { seededRandom } from '../support/seeded-random'
import { TcpPeer } from '../support/tcp-peer'
import { readWire, wireFrame, type WireSegment } from '../support/tcp-wire'

const ENDS = { source: FILES_CARD_TEXT.guest, destination: FILES_CARD_TEXT.server }
const MIB = 1024 * 1024

/** A link whose guest is the test. */
function linkOf(serve: (stream: Duplex) => void) {
  let line!: MemoryLine
  const frames: Buffer[] = []
  const peers = new Map<number, TcpPeer>()
  const link = new FilesLink({
    path: '',
    clock: realClock,
    serve,
    openLine: (options) => (line = new MemoryLine(options)),
  })
  line.onFrame = (frame) => {
    const copy = Buffer.from(frame)
    frames.push(copy)
    const peer = copy.readUInt16BE(12) === ETHERTYPE.ipv4 ? peers.get(copy.readUInt16BE(36)) : undefined
    if (peer) setImmediate(() => peer.take(copy))
  }
  const give = (...given: Buffer[]) => line.give(Buffer.concat(given.map(framed)))
  const call = (guest: number): TcpPeer => {
    const emit = (frame: Buffer) => void setImmediate(() => give(frame))
    const peer = new TcpPeer({ clock: realClock, ends: ENDS, ports: { guest, peer: FILES_CARD.port }, emit })
    peers.set(guest, peer)
    peer.connect()
    return peer
  }
  const syn = (sourcePort: number, more: Partial<WireSegment> = {}, ends = ENDS) =>
    wireFrame(ends, { sourcePort, destinationPort: FILES_CARD.port, flags: 'S', sequence: 1000, ...more })
  return { link, give, call, syn, frames }
}

const echo = (stream: Duplex): void => void stream.pipe(stream, { end: false })
const settled = () => new Promise((resolve) => setTimeout(resolve, 20))

describe('the card for files', () => {
  test('joins several connections at once to whoever serves, each to its own stream', async () => {
    const served: Duplex[] = []
    const { link, call } = linkOf((stream) => {
      served.push(stream)
      echo(stream)
    })
    const peers = [call(40_001), call(40_002)]
    const sent = peers.map((_, index) => Buffer.alloc(MIB, `stream ${index} `))
    for (const [index, peer] of peers.entries()) peer.write(sent[index]!)

    for (const peer of peers) await expect.poll(() => peer.receivedBytes).toBe(MIB)
    for (const [index, peer] of peers.entries()) expect(Buffer.concat(peer.received).equals(sent[index]!)).toBe(true)
    expect(link.connections).toBe(2)

    for (const peer of peers) peer.end()
    for (const peer of peers) await expect.poll(() => peer.ended && peer.finished).toBe(true)
    await expect.poll(() => served.every((stream) => stream.destroyed)).toBe(true)
    expect(link.connections).toBe(0)
    link.close()
  })

  test('sends segments as large as the link takes, to a guest that takes them', async () => {
    let stream!: Duplex
    const { link, give, syn, frames } = linkOf((served) => (stream = served))
    const mss = Buffer.from([FILES_CARD.segmentBytes >> 8, FILES_CARD.segmentBytes & 255])
    give(syn(40_001, { options: [[2, mss]] }))
    await settled()
    const answer = readWire(frames.pop()!)
    expect(answer).toMatchObject({ flags: 'SA', acknowledged: 1001 })
    expect(answer.options.find(([kind]) => kind === 2)?.[1]).toEqual(mss)

    const sequence = answer.sequence + 1
    give(syn(40_001, { flags: 'A', sequence: 1001, acknowledged: sequence, window: 0xffff }))
    stream.write(Buffer.alloc(FILES_CARD.segmentBytes, 'x'))
    await settled()
    expect(frames.map((frame) => readWire(frame).payload.length)).toEqual([FILES_CARD.segmentBytes])
    link.close()
  })

  test('leads nowhere but to the port of 9P', async () => {
    let calls = 0
    const { link, give, syn, frames } = linkOf(() => calls++)
    const others = [
      syn(40_001, { destinationPort: 80 }),
      syn(40_001, { destinationPort: 53 }),
      syn(40_001, {}, { ...ENDS, destination: '10.86.0.1' }),
      syn(40_001, {}, { ...ENDS, destination: '127.0.0.1' }),
      syn(40_001, {}, { ...ENDS, source: '169.254.86.3' }),
      syn(40_001, {}, { source: ENDS.destination, destination: ENDS.destination }),
    ]
    for (const protocol of [1, 17, 47]) others.push(patched(syn(40_001), (ip) => (ip[9] = protocol)))
    others.push(patched(syn(40_001), (ip) => ip.writeUInt16BE(0x2000, 6)))
    others.push(patched(syn(40_001), (ip) => ip.writeUInt16BE(1, 6)))
    give(...others)
    give(Buffer.alloc(0), Buffer.alloc(13), Buffer.alloc(14), Buffer.alloc(65_549, 1))
    await settled()

    expect({ calls, frames: frames.length, connections: link.connections }).toEqual({
      calls: 0,
      frames: 0,
      connections: 0,
    })
    give(syn(40_001))
    await settled()
    expect({ calls, connections: link.connections }).toEqual({ calls: 1, connections: 1 })
    link.close()
  })

  test('answers who has the address of the file server, and no other question', async () => {
    const { link, give, frames } = linkOf(() => undefined)
    give(whoHas('10.86.0.1'), whoHas('8.8.8.8'), whoHas(FILES_CARD_TEXT.guest), whoHas(FILES_CARD_TEXT.server))
    await settled()

    expect(frames).toHaveLength(1)
    expect(frames[0]!.subarray(22, 28)).toEqual(Buffer.from(macBytes(FILES_CARD.serverMac)))
    link.close()
  })

  test('bounds the connections of a guest that only calls', async () => {
    let calls = 0
    const { link, give, syn } = linkOf(() => calls++)
    for (let port = 1; port <= 2000; port++) give(syn(port))
    await settled()

    expect(calls).toBeLessThanOrEqual(64)
    expect(link.connections).toBeLessThanOrEqual(128)
    link.close()
  })

  test('takes any frames, also ones that are nearly right', async () => {
    const { random, seed } = seededRandom()
    let bytes = 0
    const { link, give, syn } = linkOf((stream) => stream.on('data', (chunk: Buffer) => (bytes += chunk.length)))
    for (let round = 0; round < 5000; round++) {
      const frame = syn(1 + below(random, 4), {
        flags: ['S', 'SA', 'A', 'FA', 'R', 'RA', 'PA', 'SF'][below(random, 8)]!,
        sequence: 1000 + below(random, 3),
        acknowledged: below(random, 2 ** 32),
        payload: Buffer.alloc(below(random, 200)),
        options: [[below(random, 10), Buffer.alloc(below(random, 8), below(random, 256))]],
      })
      if (random() < 0.5) frame[below(random, frame.length)] = below(random, 256)
      give(frame.subarray(0, random() < 0.2 ? below(random, frame.length) : frame.length))
    }
    await settled()
    expect(link.connections, `seed ${seed}`).toBeLessThanOrEqual(4)
    expect(bytes).toBe(0)
    link.close()
  })
})

/** The frame with a change to its IPv4 header, whose checksum is right. */
function patched(frame: Buffer, change: (ip: Buffer) => void): Buffer {
  const ip = frame.subarray(14, 34)
  change(ip)
  ip.writeUInt16BE(0, 10)
  let sum = 0
  for (let at = 0; at < 20; at += 2) sum += ip.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  ip.writeUInt16BE(~sum & 0xffff, 10)
  return frame
}

function whoHas(address: string): Buffer {
  const frame = Buffer.alloc(42)
  frame.fill(0xff, 0, 6)
  frame.set(macBytes(FILES_CARD.guestMac), 6)
  frame.writeUInt16BE(ETHERTYPE.arp, 12)
  frame.set([0, 1, 8, 0, 6, 4, 0, 1], 14)
  frame.set(macBytes(FILES_CARD.guestMac), 22)
  frame.set(FILES_CARD_TEXT.guest.split('.').map(Number), 28)
  frame.set(address.split('.').map(Number), 38)
  return frame
}
