import { formatAddress } from '../model/ipv4'

const HEADER_BYTES = 12
/** Longest name on the wire, bytes. (RFC 1035) */
const NAME_MOST = 255
/** How many answers are named. */
const ANSWERS_SHOWN = 4

const TYPES: Partial<Record<number, string>> = {
  1: 'A',
  2: 'NS',
  5: 'CNAME',
  6: 'SOA',
  12: 'PTR',
  15: 'MX',
  16: 'TXT',
  28: 'AAAA',
  33: 'SRV',
  41: 'OPT',
  64: 'SVCB',
  65: 'HTTPS',
  255: 'ANY',
}
const FAILURES = ['', 'Format error', 'Server failure', 'No such name', 'Not implemented', 'Refused']

/**
 * A DNS message in a line: what is asked and the first answers. (RFC 1035) Throws a RangeError when the message ends too
 * early, or a name goes nowhere.
 */
export function dnsSummary(message: Buffer): string {
  const flags = message.readUInt16BE(2)
  const [questions, answers] = [message.readUInt16BE(4), message.readUInt16BE(6)]
  const isResponse = (flags & 0x8000) !== 0
  const operation = (flags >> 11) & 15
  const query = operation === 0 ? 'Standard query' : `Operation ${operation}`
  const id = message.readUInt16BE(0).toString(16).padStart(4, '0')
  const words = [`${query}${isResponse ? ' response' : ''} 0x${id}`]
  const failure = flags & 15
  if (isResponse && failure > 0) words.push(FAILURES[failure] ?? `Error ${failure}`)
  let at = HEADER_BYTES
  if (questions > 0) {
    const { name, end } = readName(message, at)
    words.push(typeName(message.readUInt16BE(end)), name)
    at = end + 4
  }
  // of several questions, which nobody asks, the answers are not looked for
  const shown = isResponse && questions <= 1 ? Math.min(answers, ANSWERS_SHOWN) : 0
  for (let count = 0; count < shown; count++) {
    const { text, end } = readAnswer(message, at)
    words.push(text)
    at = end
  }
  return words.join(' ')
}

function readAnswer(message: Buffer, at: number): { text: string; end: number } {
  const fixed = readName(message, at).end
  const type = message.readUInt16BE(fixed)
  const dataAt = fixed + 10
  const end = dataAt + message.readUInt16BE(fixed + 8)
  if (type === 1) return { text: `A ${formatAddress(message.readUInt32BE(dataAt))}`, end }
  if (type === 5 || type === 12) return { text: `${typeName(type)} ${readName(message, dataAt).name}`, end }
  return { text: typeName(type), end }
}

function typeName(type: number): string {
  return TYPES[type] ?? `TYPE${type}`
}

/**
 * The name at `at`, and where what follows it begins. A pointer leads backwards only, and what came before counts toward
 * the longest name, so that no message can lead it in circles.
 */
function readName(message: Buffer, at: number): { name: string; end: number } {
  const labels: string[] = []
  let bytes = 0
  let end = -1
  let earliest = at
  for (let place = at; ;) {
    const length = message.readUInt8(place)
    if (length === 0) return { name: labels.join('.') || '<Root>', end: end < 0 ? place + 1 : end }
    if (length >= 0xc0) {
      const target = message.readUInt16BE(place) & 0x3fff
      if (target >= earliest) throw new RangeError('A name points forward.')
      if (end < 0) end = place + 2
      place = earliest = target
      continue
    }
    bytes += length + 1
    if (length > 63 || bytes > NAME_MOST) throw new RangeError('A name is too long.')
    message.readUInt8(place + length)
    labels.push(labelText(message.subarray(place + 1, place + 1 + length)))
    place += length + 1
  }
}

/** With what is not printable, and dots and backslashes within a label, as `\ddd`. (RFC 4343) */
function labelText(label: Buffer): string {
  return [...label]
    .map((byte) =>
      byte > 0x20 && byte < 0x7f && byte !== 0x2e && byte !== 0x5c
        ? String.fromCharCode(byte)
        : `\\${String(byte).padStart(3, '0')}`,
    )
    .join('')
}
