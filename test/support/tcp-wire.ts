/**
 * Frames of TCP as the tests read and write them: plain code of its own, byte by byte, so that it shares no mistake
 * with what it tests.
 */
export interface WireSegment {
  sourcePort: number
  destinationPort: number
  sequence: number
  acknowledged: number
  flags: string
  window: number
  /** Kind and content of each option. */
  options: [number, Buffer][]
  payload: Buffer
}

export interface WireEnds {
  source: string
  destination: string
}

const FLAGS = ['F', 'S', 'R', 'P', 'A']

export function wireFrame({ source, destination }: WireEnds, segment: Partial<WireSegment>): Buffer {
  const options = Buffer.concat(
    (segment.options ?? []).map(([kind, content]) => Buffer.concat([Buffer.from([kind, content.length + 2]), content])),
  )
  const padded = Buffer.concat([options, Buffer.alloc((4 - (options.length % 4)) % 4, 1)])
  const payload = segment.payload ?? Buffer.alloc(0)
  const tcp = Buffer.alloc(20)
  tcp.writeUInt16BE(segment.sourcePort ?? 0, 0)
  tcp.writeUInt16BE(segment.destinationPort ?? 0, 2)
  tcp.writeUInt32BE(segment.sequence ?? 0, 4)
  tcp.writeUInt32BE(segment.acknowledged ?? 0, 8)
  tcp[12] = ((20 + padded.length) / 4) * 16
  for (const flag of segment.flags ?? '') tcp[13]! |= 1 << FLAGS.indexOf(flag)
  tcp.writeUInt16BE(segment.window ?? 0xffff, 14)
  const whole = Buffer.concat([tcp, padded, payload])
  whole.writeUInt16BE(onesSum(Buffer.concat([pseudoHeader(source, destination, whole.length), whole])), 16)
  const ip = Buffer.from('450000000000400040060000', 'hex')
  ip.writeUInt16BE(20 + whole.length, 2)
  const header = Buffer.concat([ip, ipBytes(source), ipBytes(destination)])
  header.writeUInt16BE(onesSum(header), 10)
  return Buffer.concat([Buffer.from('5254000000010a56000000010800', 'hex'), header, whole])
}

/** What a frame holds; throws when anything in it is not as it must be. */
export function readWire(frame: Buffer): WireSegment & WireEnds {
  if (frame.length < 54 || frame.readUInt16BE(12) !== 0x0800 || frame[14] !== 0x45) throw new Error('no plain IPv4')
  const ip = frame.subarray(14, 34)
  if (onesSum(ip) !== 0) throw new Error('header checksum')
  if (ip.readUInt16BE(2) !== frame.length - 14) throw new Error('length of the packet')
  const tcp = frame.subarray(34)
  const source = [...ip.subarray(12, 16)].join('.')
  const destination = [...ip.subarray(16, 20)].join('.')
  if (onesSum(Buffer.concat([pseudoHeader(source, destination, tcp.length), tcp])) !== 0) throw new Error('checksum')
  const headerBytes = (tcp[12]! >> 4) * 4
  return {
    source,
    destination,
    sourcePort: tcp.readUInt16BE(0),
    destinationPort: tcp.readUInt16BE(2),
    sequence: tcp.readUInt32BE(4),
    acknowledged: tcp.readUInt32BE(8),
    flags: FLAGS.filter((_flag, bit) => tcp[13]! & (1 << bit)).join(''),
    window: tcp.readUInt16BE(14),
    options: readOptions(tcp.subarray(20, headerBytes)),
    payload: Buffer.from(tcp.subarray(headerBytes)),
  }
}

function readOptions(options: Buffer): [number, Buffer][] {
  const read: [number, Buffer][] = []
  for (let at = 0; at < options.length && options[at] !== 0;) {
    if (options[at] === 1) {
      at++
      continue
    }
    const length = options[at + 1]!
    read.push([options[at]!, Buffer.from(options.subarray(at + 2, at + length))])
    at += length
  }
  return read
}

function ipBytes(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number))
}

function pseudoHeader(source: string, destination: string, bytes: number): Buffer {
  return Buffer.concat([ipBytes(source), ipBytes(destination), Buffer.from([0, 6, bytes >> 8, bytes & 255])])
}

function onesSum(data: Buffer): number {
  let sum = 0
  for (let at = 0; at < data.length; at += 2) sum += data[at]! * 256 + (data[at + 1] ?? 0)
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000)
  return 0xffff - sum
}
