/**
 * Writes pcapng files (IETF draft-ietf-opsawg-pcapng): blocks of whole 32-bit words, in the byte order of this host,
 * which the first block tells. Wireshark and tcpdump read them.
 */

const SECTION_HEADER = 0x0a0d0d0a
const INTERFACE_DESCRIPTION = 1
const ENHANCED_PACKET = 6
const BYTE_ORDER_MAGIC = 0x1a2b3c4d
const LINKTYPE_ETHERNET = 1
const OPTION = { comment: 1, userAppl: 4, ifName: 2, ifDescription: 3, ifTsresol: 9 } as const
/** Type, length, interface, time (two words), both lengths; and the length again at the end. */
const PACKET_HEADER_BYTES = 28
const PACKET_BYTES = PACKET_HEADER_BYTES + 4
/** Longest text in an option, bytes; longer ones are cut. */
const TEXT_MOST = 1024
/** Times are in microseconds: ten to the minus sixth. */
const TSRESOL = 6

export interface CaptureInterface {
  name: string
  description: string
}

/** The beginning of a file: a section header and one description for each interface, in order. */
export function fileHeader(interfaces: readonly CaptureInterface[], snapBytes: number): Buffer {
  const section = Buffer.alloc(16)
  words(section).set([BYTE_ORDER_MAGIC, 0, 0xffff_ffff, 0xffff_ffff]) // length of the section: not said
  new Uint16Array(section.buffer, section.byteOffset + 4, 2).set([1, 0]) // version
  const descriptions = interfaces.map(({ name, description }) => {
    const link = Buffer.alloc(8)
    new Uint16Array(link.buffer, link.byteOffset, 1).set([LINKTYPE_ETHERNET])
    words(link)[1] = snapBytes
    const about = [option(OPTION.ifName, name), option(OPTION.ifDescription, description)]
    return block(INTERFACE_DESCRIPTION, [link, ...about, option(OPTION.ifTsresol, Buffer.of(TSRESOL)), END_OF_OPTIONS])
  })
  return Buffer.concat([
    block(SECTION_HEADER, [section, option(OPTION.userAppl, 'Vivarium'), END_OF_OPTIONS]),
    ...descriptions,
  ])
}

/** Room that a packet of which `captured` bytes are kept takes. */
export function packetBlockBytes(captured: number, options = 0): number {
  return PACKET_BYTES + padded(captured) + options
}

/** The options of a packet with a comment, or nothing without one. */
export function packetOptions(comment: string): Buffer {
  return comment === '' ? Buffer.alloc(0) : Buffer.concat([option(OPTION.comment, comment), END_OF_OPTIONS])
}

/** Bytes to write blocks into, also seen as the words that blocks are made of. */
export interface BlockSpace {
  readonly bytes: Buffer
  readonly words: Uint32Array
}

export function blockSpace(size: number): BlockSpace {
  const bytes = Buffer.alloc(size)
  return { bytes, words: words(bytes) }
}

export interface PacketFacts {
  /** Place of the interface in the file's header. */
  interfaceIndex: number
  /** Since 1970, milliseconds; fractions count. */
  timeMs: number
  /** Length of the frame on its way, of which `to` - `from` bytes are kept. */
  originalBytes: number
}

/**
 * Writes the packet that `source` has from `from` to `to`. `at` is a multiple of four with room for
 * `packetBlockBytes`. Returns where the block ends.
 */
export function writePacket(
  { bytes, words }: BlockSpace,
  at: number,
  { interfaceIndex, timeMs, originalBytes }: PacketFacts,
  source: Uint8Array,
  from: number,
  to: number,
  options?: Buffer,
): number {
  const captured = to - from
  const length = packetBlockBytes(captured, options?.length)
  const word = at >>> 2
  const us = Math.floor(timeMs * 1000)
  const high = Math.floor(us / 2 ** 32)
  const dataAt = at + PACKET_HEADER_BYTES
  const dataEnd = dataAt + padded(captured)
  words[(dataEnd >>> 2) - 1] = 0 // padding; what else is in that word is written below
  words[word] = ENHANCED_PACKET
  words[word + 1] = length
  words[word + 2] = interfaceIndex
  words[word + 3] = high
  words[word + 4] = us - high * 2 ** 32
  words[word + 5] = captured
  words[word + 6] = originalBytes
  bytes.set(source.subarray(from, to), dataAt)
  if (options) bytes.set(options, dataEnd)
  words[((at + length) >>> 2) - 1] = length
  return at + length
}

/** How many of the first `end` bytes are whole blocks, and how many of those are packets. */
export function wholeBlocks({ words }: BlockSpace, end: number): { bytes: number; packets: number } {
  let at = 0
  let packets = 0
  while (at + 8 <= end) {
    const length = words[(at >>> 2) + 1]!
    if (at + length > end) break
    if (words[at >>> 2] === ENHANCED_PACKET) packets++
    at += length
  }
  return { bytes: at, packets }
}

function block(type: number, parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const whole = Buffer.alloc(body.length + 12)
  const all = words(whole)
  all[0] = type
  all[1] = all[all.length - 1] = whole.length
  whole.set(body, 8)
  return whole
}

const END_OF_OPTIONS = Buffer.alloc(4)

function option(code: number, value: Buffer | string): Buffer {
  const bytes = typeof value === 'string' ? cutText(value) : value
  const whole = Buffer.alloc(4 + padded(bytes.length))
  new Uint16Array(whole.buffer, whole.byteOffset, 2).set([code, bytes.length])
  whole.set(bytes, 4)
  return whole
}

/** UTF-8 of at most `TEXT_MOST` bytes that ends with a whole character. */
function cutText(text: string): Buffer {
  const bytes = Buffer.from(text.slice(0, TEXT_MOST))
  let end = Math.min(bytes.length, TEXT_MOST)
  while (end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return bytes.subarray(0, end)
}

function padded(length: number): number {
  return (length + 3) & ~3
}

function words(buffer: Buffer): Uint32Array {
  return new Uint32Array(buffer.buffer, buffer.byteOffset, buffer.length / 4)
}
