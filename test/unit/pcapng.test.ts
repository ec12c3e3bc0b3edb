import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Packet } from 'dns-packet'
import { describe, expect, test } from 'vitest'
import { blockSpace, fileHeader, packetBlockBytes, packetOptions, wholeBlocks, writePacket } from '../../vmm/net/pcapng'
import { NO_TCPDUMP, NO_TSHARK, readWithTcpdump, readWithTshark } from '../support/capture-readers'
import { arpFrame, dhcpFrame, dnsFrame, icmpFrame, tcpFrame, udpFrame } from '../support/network-frames'
import { bytes } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { temporaryFolder } from '../support/temporary-folder'

const INTERFACES = [
  { name: 'web / nic 0', description: 'card of the domain “web”, 10.86.0.2' },
  { name: 'segment lab', description: '' },
]
const TIME_MS = 1_700_000_000_123.456
const ASKS: Packet = { type: 'query', id: 7, questions: [{ type: 'A', name: 'example.com' }] }

interface Kept {
  frame: Buffer
  timeMs?: number
  snap?: number
  interfaceIndex?: number
  comment?: string
}

/** The packets as a file with its header; from odd places of a larger buffer. */
function fileOf(packets: readonly Kept[], snapBytes = 65_535): { file: string; space: ReturnType<typeof blockSpace> } {
  const header = fileHeader(INTERFACES, snapBytes)
  const space = blockSpace(1024 * 1024)
  space.bytes.fill(0xee) // what was there before must not shine through
  space.bytes.set(header)
  let at = header.length
  for (const { frame, timeMs = TIME_MS, snap = frame.length, interfaceIndex = 0, comment = '' } of packets) {
    const source = Buffer.concat([Buffer.from('odd'), frame, Buffer.from('after')])
    const options = packetOptions(comment)
    const captured = Math.min(snap, frame.length)
    const end = writePacket(
      space,
      at,
      { interfaceIndex, timeMs, originalBytes: frame.length },
      source,
      3,
      3 + captured,
      options,
    )
    expect(end).toBe(at + packetBlockBytes(captured, options.length))
    at = end
  }
  const file = join(temporaryFolder(), 'written.pcapng')
  writeFileSync(file, space.bytes.subarray(0, at))
  return { file, space }
}

const EVERY_KIND = [
  arpFrame(1),
  arpFrame(2),
  icmpFrame(8, 0, Buffer.from('0001000161626364', 'hex')),
  udpFrame({ bytes: 61 }),
  udpFrame({ bytes: 62 }),
  udpFrame({ bytes: 63 }),
  udpFrame({ bytes: 64 }),
  udpFrame({ bytes: 1514 }),
  tcpFrame({ flags: 2, options: Buffer.of(2, 4, 5, 0xb4) }),
  tcpFrame({ payload: Buffer.from('GET / HTTP/1.0\r\n\r\n'), flags: 0x18 }),
  dhcpFrame(1),
  dnsFrame(ASKS),
]

describe.skipIf(NO_TSHARK)(`tshark ${NO_TSHARK}`, () => {
  test('finds every frame, at its time, on its interface, and none malformed', () => {
    const packets = EVERY_KIND.map((frame, index) => ({
      frame,
      timeMs: TIME_MS + index * 1000.001,
      interfaceIndex: index % 2,
    }))

    const read = readWithTshark(fileOf(packets).file)

    expect(read.map((packet) => packet.bytes)).toEqual(EVERY_KIND.map((frame) => frame.length))
    expect(read.map((packet) => packet.timeUs)).toEqual(packets.map(({ timeMs }) => Math.floor(timeMs * 1000)))
    expect(read.map((packet) => packet.interface)).toEqual(
      packets.map(({ interfaceIndex }) => INTERFACES[interfaceIndex]!.name),
    )
    expect(read.filter((packet) => packet.malformed)).toEqual([])
  })

  test('is told how long a frame was of which only the beginning was kept', () => {
    const read = readWithTshark(fileOf([{ frame: udpFrame({ bytes: 1514 }), snap: 99 }], 99).file)

    expect(read).toMatchObject([{ bytes: 1514, malformed: false }])
  })

  test('shows comments, in any script', () => {
    const comment = 'denied by “no chat” 漢字 😀'

    const read = readWithTshark(fileOf([{ frame: udpFrame({ bytes: 61 }), comment }, { frame: arpFrame(1) }]).file)

    expect(read.map((packet) => packet.comment)).toEqual([comment, ''])
  })

  test('reads names that are too long or empty, and times of the next centuries', () => {
    const header = fileHeader([{ name: '漢'.repeat(50_000), description: '' }], 100)
    const file = join(temporaryFolder(), 'names.pcapng')
    const space = blockSpace(256)
    const facts = { interfaceIndex: 0, timeMs: 5e12 + 0.5, originalBytes: 60 }
    const end = writePacket(space, 0, facts, arpFrame(1), 0, 60)
    writeFileSync(file, Buffer.concat([header, space.bytes.subarray(0, end)]))

    const [packet] = readWithTshark(file)

    expect(packet).toMatchObject({ timeUs: 5e15 + 500, bytes: 60 })
    expect(packet?.interface).toMatch(/^漢+$/)
  })
})

describe.skipIf(NO_TCPDUMP)(`tcpdump ${NO_TCPDUMP}`, () => {
  test('reads every frame', () => {
    const { lines, complaints } = readWithTcpdump(fileOf(EVERY_KIND.map((frame) => ({ frame }))).file)

    expect(complaints).toBe('')
    expect(lines.length).toBe(EVERY_KIND.length)
    expect(lines[0]).toContain('1700000000.123456 ARP, Request who-has 10.86.0.1 tell 10.86.0.2')
    expect(lines.at(-1)).toContain('A? example.com.')
  })
})

test('nothing of what was in the buffer before is in the file', () => {
  const frame = bytes(seededRandom().random, 61).map((byte) => byte & 0x7f)
  const { space } = fileOf([{ frame: Buffer.from(frame) }])
  const header = fileHeader(INTERFACES, 65_535)
  const block = space.bytes.subarray(header.length, header.length + packetBlockBytes(61))

  expect(block.subarray(28, 28 + 61)).toEqual(Buffer.from(frame))
  expect([...block.subarray(28 + 61, 28 + 64)]).toEqual([0, 0, 0])
})

test('whole blocks are counted up to the last that fits', () => {
  const { space } = fileOf([{ frame: udpFrame({ bytes: 100 }) }, { frame: udpFrame({ bytes: 200 }) }])
  const header = fileHeader(INTERFACES, 65_535).length
  const [first, second] = [packetBlockBytes(100), packetBlockBytes(200)]

  expect(wholeBlocks(space, header + first + second)).toEqual({ bytes: header + first + second, packets: 2 })
  expect(wholeBlocks(space, header + first + second - 1)).toEqual({ bytes: header + first, packets: 1 })
  expect(wholeBlocks(space, header + 5)).toEqual({ bytes: header, packets: 0 })
  expect(wholeBlocks(space, 0)).toEqual({ bytes: 0, packets: 0 })
})
