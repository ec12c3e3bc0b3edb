import { expect, test } from 'vitest'
import { framed } from '../../vmm/net/frame-splitter'
import { Mirror } from '../../vmm/net/mirror'
import { ETHERNET_BYTES, ETHERTYPE, PAYLOAD_AT, PROTOCOL, writeHeaders } from '../../vmm/net/packet'
import type { Tap } from '../../vmm/net/tap'
import { memorySegment, type MemoryGuest } from '../support/memory-segment'
import { SimulatedClock } from '../support/simulated-clock'

/** Three guests of a segment, and what the line of each was given. */
function trial() {
  const plugIn = memorySegment(new SimulatedClock())
  const guests = [plugIn(1), plugIn(2), plugIn(3)] as const
  const given = guests.map(({ line }) => {
    const frames: Buffer[] = []
    line.onFrame = (frame) => frames.push(frame)
    return frames
  })
  return { guests, given }
}

/** A frame of `from` for `to`: a UDP datagram, or the beginning of a connection that both policies deny. */
function frameOf(from: MemoryGuest, to: MemoryGuest, kind: 'allowed' | 'denied'): Buffer {
  const frame = Buffer.alloc(80)
  const protocol = kind === 'allowed' ? PROTOCOL.udp : PROTOCOL.tcp
  const header = { to: to.port.mac, from: from.port.mac, source: from.port.address, destination: to.port.address }
  writeHeaders(frame, { ...header, protocol }, frame.length - PAYLOAD_AT)
  frame.writeUInt16BE(40_000, PAYLOAD_AT)
  frame.writeUInt16BE(kind === 'allowed' ? 9 : 6667, PAYLOAD_AT + 2)
  frame.set(kind === 'allowed' ? [0, frame.length - PAYLOAD_AT] : [], PAYLOAD_AT + 4)
  if (kind === 'denied') frame.set([0x50, 2], PAYLOAD_AT + 12)
  return frame
}

function arpOf(from: MemoryGuest, to: MemoryGuest): Buffer {
  const frame = Buffer.alloc(60)
  frame.fill(0xff, 0, 6)
  frame.set(from.port.mac, 6)
  frame.writeUInt16BE(ETHERTYPE.arp, 12)
  frame.set([0, 1, 8, 0, 6, 4, 0, 1], ETHERNET_BYTES)
  frame.set(from.port.mac, ETHERNET_BYTES + 8)
  frame.writeUInt32BE(from.port.address, ETHERNET_BYTES + 14)
  frame.writeUInt32BE(to.port.address, ETHERNET_BYTES + 24)
  return frame
}

function tap(port: { taps: readonly Tap[] }, beforePolicy: boolean): { sent: Buffer[]; received: Buffer[] } {
  const seen = { sent: [] as Buffer[], received: [] as Buffer[] }
  const keep = (list: Buffer[]) => (buffer: Buffer, at: number, end: number) =>
    void list.push(Buffer.from(buffer.subarray(at, end)))
  port.taps = [...port.taps, { beforePolicy, sent: keep(seen.sent), received: keep(seen.received) }]
  return seen
}

test('before the policy everything is seen, after it what was let pass; each frame once', () => {
  const { guests, given } = trial()
  const [one, two] = guests
  const [before, after] = [tap(one.port, true), tap(one.port, false)]
  const [farBefore, farAfter] = [tap(two.port, true), tap(two.port, false)]
  const [allowed, denied, arp] = [frameOf(one, two, 'allowed'), frameOf(one, two, 'denied'), arpOf(one, two)]

  one.line.give(Buffer.concat([arp, allowed, denied, allowed].map(framed)))

  expect(before.sent).toEqual([arp, allowed, denied, allowed])
  expect(after.sent).toEqual([arp, allowed, allowed])
  expect(farBefore.received).toEqual([arp, allowed, allowed])
  expect(farAfter.received).toEqual([arp, allowed, allowed])
  expect([...given[1]!].sort(Buffer.compare)).toEqual([arp, allowed, allowed].sort(Buffer.compare))
})

test('frames reach their guest as they were, watched or not', () => {
  const { guests, given } = trial()
  const [one, two] = guests
  const frames = Array.from({ length: 20 }, (_, index) => {
    const frame = frameOf(one, two, 'allowed')
    frame[60] = index
    return frame
  })

  one.line.give(Buffer.concat(frames.slice(0, 10).map(framed)))
  tap(two.port, false)
  one.line.give(Buffer.concat(frames.slice(10).map(framed)))

  expect(given[1]).toEqual(frames)
})

test('a port whose cable is out gets nothing from its neighbours', () => {
  const { guests, given } = trial()
  const [one, two] = guests
  two.port.plugged = false

  one.line.give(framed(frameOf(one, two, 'allowed')))

  expect(given[1]).toEqual([])
  expect(two.port.dropped).toBe(1)
})

test('a mirror shows a port to a third one, and the source gets what it would have got', () => {
  const { guests, given } = trial()
  const [one, two, watcher] = guests
  const deliver = (buffer: Buffer, at: number, end: number): boolean => watcher.port.sendMirrored(buffer, at, end)
  const mirror = new Mirror({ sent: true, received: true, beforePolicy: false, deliver })
  two.port.taps = [mirror]
  const [there, back] = [frameOf(one, two, 'allowed'), frameOf(two, one, 'allowed')]

  one.line.give(Buffer.concat([framed(there), framed(there)]))
  two.line.give(framed(back))
  watcher.port.plugged = false
  one.line.give(framed(there))

  expect(given[1]).toEqual([there, there, there])
  expect(given[2]).toEqual([there, there, back])
  expect({ frames: mirror.frames, dropped: mirror.dropped }).toEqual({ frames: 3, dropped: 1 })
})
