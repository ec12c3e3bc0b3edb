import { wordSum } from './packet'

/** Whether the lowest byte of a word comes first in memory, as on every processor that Vivarium is built for. */
const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/** The buffer that was summed last, as words: the frames of one chunk follow each other. */
let lastBuffer: ArrayBufferLike = new ArrayBuffer(0)
let lastWords: Uint32Array = new Uint32Array(lastBuffer)

/**
 * `wordSum` of packet.ts, folded to 16 bits, for whole payloads: it takes 4 bytes at a time. The sum of an Internet
 * checksum does not depend on the order of bytes but for a swap at the end. (RFC 1071, 2)
 */
export function payloadSum(buffer: Uint8Array, at: number, end: number): number {
  if (!LITTLE_ENDIAN) return fold(wordSum(buffer, at, end))
  if (end <= at) return 0
  if (buffer.buffer !== lastBuffer) {
    lastBuffer = buffer.buffer
    lastWords = new Uint32Array(lastBuffer, 0, lastBuffer.byteLength >>> 2)
  }
  const words = lastWords
  // bytes of even addresses weigh 1, of odd ones 256
  let even = 0
  let odd = 0
  let from = buffer.byteOffset + at
  const to = buffer.byteOffset + end
  const shift = buffer.byteOffset
  for (; from < to && (from & 3) !== 0; from++) {
    if (from & 1) odd += buffer[from - shift] as number
    else even += buffer[from - shift] as number
  }
  let low = 0
  let high = 0
  let word = from >>> 2
  const wordsEnd = Math.max(word, to >>> 2)
  for (; word + 4 <= wordsEnd; word += 4) {
    const a = words[word] as number
    const b = words[word + 1] as number
    const c = words[word + 2] as number
    const d = words[word + 3] as number
    low += (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff)
    high += (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16)
  }
  for (; word < wordsEnd; word++) {
    const a = words[word] as number
    low += a & 0xffff
    high += a >>> 16
  }
  for (from = Math.max(from, word << 2); from < to; from++) {
    if (from & 1) odd += buffer[from - shift] as number
    else even += buffer[from - shift] as number
  }
  const sum = fold(low + high + even + odd * 256)
  // from an odd address every byte was taken for its neighbour: that is a second swap
  return (shift + at) & 1 ? sum : ((sum & 0xff) << 8) | (sum >>> 8)
}

function fold(sum: number): number {
  let total = sum
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x1_0000)
  return total
}
