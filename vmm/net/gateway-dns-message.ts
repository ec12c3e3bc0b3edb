import { decode, encode, type Answer, type RecordType } from 'dns-packet'
import { dnsName } from '../model/policy-peer'

/**
 * DNS messages (RFC 1035, RFC 6891) of guests and servers, which are hostile: counts are bounded before dns-packet
 * reads the rest, and whatever it throws at means 'none'.
 */

export const RCODE = { ok: 0, format: 1, server: 2, noName: 3, notImplemented: 4, refused: 5, badVersion: 16 } as const
export const RECORD = { a: 1, cname: 5, ptr: 12, opt: 41 } as const
/** Types that servers are asked for, as dns-packet names them. */
const FORWARDED: ReadonlyMap<number, RecordType> = new Map([
  [RECORD.a, 'A'],
  [2, 'NS'],
  [RECORD.cname, 'CNAME'],
  [6, 'SOA'],
  [RECORD.ptr, 'PTR'],
  [15, 'MX'],
  [16, 'TXT'],
  [33, 'SRV'],
  [44, 'SSHFP'],
  [52, 'TLSA'],
  [257, 'CAA'],
])
const CLASS_IN = 1
const HEADER_BYTES = 12
const NAME_MOST = 255
const QUERY_MOST = 1232
/** Records of one message of a server that are looked at. */
const RECORDS_MOST = 512
/** Least and most that a guest may say it takes over UDP: what needs no fragments (DNS Flag Day 2020). */
const SIZE_LEAST = 512
const SIZE_MOST = 1232

export interface DnsQuery {
  id: number
  /** In lower case, without a final dot; '' for the root; null for what is no host name. */
  name: string | null
  /** Type by its number. */
  type: number
  /** The question as it came, which goes back the same. */
  question: Buffer
  recursion: boolean
  /** Longest answer over UDP, bytes. */
  size: number
  /** Whether the guest speaks EDNS, which the answer then does too. */
  edns: boolean
}

/** The type as dns-packet names it; null for those that are not asked on. */
export function forwardedType(type: number): RecordType | null {
  return FORWARDED.get(type) ?? null
}

/** The query in a message; an answer that refuses it; null for what deserves none. Copies what it keeps. */
export function readQuery(message: Buffer): DnsQuery | { refusal: Buffer } | null {
  if (message.length < HEADER_BYTES || message.length > QUERY_MOST) return null
  const flags = message.readUInt16BE(2)
  if (flags & 0x8000) return null
  const id = message.readUInt16BE(0)
  const bare = { id, question: Buffer.alloc(0), recursion: (flags & 0x100) !== 0, size: SIZE_LEAST, edns: false }
  const refuse = (code: number, query: AnswerHead = bare) => ({ refusal: writeAnswer(query, code, [], SIZE_LEAST) })
  if ((flags >> 11) & 15) return refuse(RCODE.notImplemented)
  if (message.readUInt16BE(4) !== 1) return refuse(RCODE.format)
  const nameEnd = questionNameEnd(message)
  if (nameEnd === null || nameEnd + 4 > message.length) return refuse(RCODE.format)
  const question = Buffer.from(message.subarray(HEADER_BYTES, nameEnd + 4))
  const asked = { ...bare, question }
  const options = readEdns(message)
  if (!options) return refuse(RCODE.format, asked)
  const head = { ...asked, ...options }
  if (options.version > 0) return refuse(RCODE.badVersion, head)
  if (message.readUInt16BE(nameEnd + 2) !== CLASS_IN) return refuse(RCODE.refused, head)
  return { ...head, name: plainName(message, nameEnd), type: message.readUInt16BE(nameEnd) }
}

/** Where the name of the question ends: labels to the root, of which none is a pointer. */
function questionNameEnd(message: Buffer): number | null {
  for (let at = HEADER_BYTES; at < message.length && at < HEADER_BYTES + NAME_MOST;) {
    const length = message[at]!
    if (length > 63) return null
    at += 1 + length
    if (length === 0) return at
  }
  return null
}

function plainName(message: Buffer, end: number): string | null {
  const labels: string[] = []
  for (let at = HEADER_BYTES; at < end - 1; at += 1 + message[at]!) {
    labels.push(message.toString('latin1', at + 1, at + 1 + message[at]!))
  }
  if (labels.length === 0) return ''
  // a dot within a label would make two of it
  return labels.some((label) => label.includes('.')) ? null : dnsName(labels.join('.'))
}

/** What a guest says of itself beyond the question; null for a message that cannot be read. */
function readEdns(message: Buffer): { size: number; edns: boolean; version: number } | null {
  const [answers, authorities, additionals] = [6, 8, 10].map((at) => message.readUInt16BE(at))
  if (answers !== 0 || authorities !== 0 || additionals! > 1) return null
  if (additionals === 0) return { size: SIZE_LEAST, edns: false, version: 0 }
  try {
    const option = decode(message).additionals?.[0]
    if (option?.type !== 'OPT') return { size: SIZE_LEAST, edns: false, version: 0 }
    const size = Math.min(Math.max(option.udpPayloadSize, SIZE_LEAST), SIZE_MOST)
    return { size, edns: true, version: option.ednsVersion }
  } catch {
    return null
  }
}

type AnswerHead = Pick<DnsQuery, 'id' | 'question' | 'recursion' | 'edns'>

/** An answer of at most `most` bytes: with what fits, and marked as truncated if that is not all. */
export function writeAnswer(query: AnswerHead, code: number, records: readonly Answer[], most: number): Buffer {
  const tail = query.edns ? optRecord(code >> 4) : Buffer.alloc(0)
  const parts = [Buffer.alloc(HEADER_BYTES), query.question]
  let length = HEADER_BYTES + query.question.length
  const names = new Map<string, number>()
  if (query.question.length > 0 && records[0]) names.set(records[0].name.toLowerCase(), HEADER_BYTES)
  let count = 0
  for (const record of records) {
    const bytes = writeRecord(record, length, names)
    if (length + bytes.length + tail.length > most) break
    parts.push(bytes)
    length += bytes.length
    count++
  }
  const header = parts[0]!
  header.writeUInt16BE(query.id, 0)
  const truncated = count < records.length ? 0x200 : 0
  header.writeUInt16BE(0x8080 | truncated | (query.recursion ? 0x100 : 0) | (code & 15), 2)
  header.writeUInt16BE(query.question.length > 0 ? 1 : 0, 4)
  header.writeUInt16BE(count, 6)
  header.writeUInt16BE(tail.length > 0 ? 1 : 0, 10)
  return Buffer.concat([...parts, tail])
}

/** A record for place `at`; owners that were written before are pointed at. `names` has their places. */
function writeRecord(record: Answer, at: number, names: Map<string, number>): Buffer {
  const place = names.get(record.name.toLowerCase())
  const rootBytes = 1
  const encoded = encode({ answers: [{ ...record, ...(place === undefined ? {} : { name: '.' }) }] })
  if (place === undefined) return encoded.subarray(HEADER_BYTES)
  const bytes = Buffer.concat([Buffer.of(0xc0 | (place >> 8), place & 255), encoded.subarray(HEADER_BYTES + rootBytes)])
  const dataAt = at + 12
  if (record.type === 'CNAME' && dataAt < 0x4000) names.set(record.data.toLowerCase(), dataAt)
  return bytes
}

function optRecord(highCode: number): Buffer {
  const record = Buffer.alloc(11)
  record.writeUInt16BE(RECORD.opt, 1)
  record.writeUInt16BE(SIZE_MOST, 3)
  record[5] = highCode
  return record
}

/** A question for a server, without EDNS: it learns of the guest nothing but the name, and answers in 512 bytes. */
export function writeQuestion(id: number, name: string, type: RecordType): Buffer {
  return encode({ type: 'query', id, flags: 0x100, questions: [{ type, name, class: 'IN' }] })
}

export interface DnsAnswer {
  code: number
  /** There is more, over TCP. */
  truncated: boolean
  records: readonly Answer[]
}

/** What a server answered; null for what is no answer to that very question. */
export function readAnswer(message: Buffer, id: number, name: string, type: RecordType): DnsAnswer | null {
  if (message.length < HEADER_BYTES || message.readUInt16BE(0) !== id || !(message[2]! & 0x80)) return null
  if (message.readUInt16BE(4) !== 1) return null
  const counts = [6, 8, 10].map((at) => message.readUInt16BE(at))
  if (counts.some((count) => count > RECORDS_MOST)) return null
  const code = message[3]! & 15
  const truncated = (message[2]! & 2) !== 0
  try {
    // of what was truncated no more than the question can be trusted to be whole
    if (truncated) message = questionOf(message)
    const { questions = [], answers = [] } = decode(message)
    const [asked] = questions
    if (asked?.type !== type || asked.class !== 'IN' || dnsName(asked.name) !== name) return null
    return { code, truncated, records: truncated ? [] : answers.filter(isIn) }
  } catch {
    return null
  }
}

/** The message without what follows the question. */
function questionOf(message: Buffer): Buffer {
  const cut = Buffer.from(message)
  cut.fill(0, 6, HEADER_BYTES)
  return cut
}

function isIn(record: Answer): boolean {
  return record.type !== 'OPT' && record.class === 'IN'
}
