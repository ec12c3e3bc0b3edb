import { describe, expect, test } from 'vitest'
import { plainKey, REG, type PlainKey } from '../../vmm/registry/hive'
import { BASE, baseChecksum, viewOf } from '../../vmm/registry/regf-layout'
import { marvin32 } from '../../vmm/registry/regf-marvin'
import { readRegf } from '../../vmm/registry/regf-read'
import { writeRegf } from '../../vmm/registry/regf-write'
import { wholeContent } from '../support/registry-hives'

/** One hive at three times: each state differs from the one before in some pages, and the last is longer. */
const STATES = [0, 1, 2].map((state) => writeRegf(stateOf(state), 'STATE'))
const PAGE = 4096
const SECTOR = 512

test('the hash of log entries is that of an entry that Windows wrote', () => {
  const head = '48764c45005e000000000000020000000050000001000000' + '31e40718666c8667'
  expect(marvin32(Buffer.from(head, 'hex'))).toEqual({ low: 0xa7657f02, high: 0xcd44f3cf })
})

describe('logs of Windows 8.1 and later', () => {
  test('entries of both logs are applied in the order of their numbers, whichever file has the first', () => {
    const [first, second] = [newLog(5, [entry(5, 0, 1)]), newLog(6, [entry(6, 1, 2)])]
    for (const logs of [
      { log1: first, log2: second },
      { log1: second, log2: first },
    ]) {
      const { root, notes } = readRegf(dirty(STATES[0], 5), logs)
      expect(wholeContent(root)).toEqual(wholeContent(stateOf(2)))
      expect(notes).toEqual(['The hive was not written to its end; 2 parts of its logs completed it.'])
    }
  })

  test('a damaged head is taken from the log with the latest entries', () => {
    const file = dirty(STATES[0], 5)
    flip(file, BASE.CHECKSUM)
    const { root } = readRegf(file, { log1: newLog(5, [entry(5, 0, 1), entry(6, 1, 2)]) })
    expect(wholeContent(root)).toEqual(wholeContent(stateOf(2)))
  })

  test.each<[string, (log: Buffer) => void]>([
    ['the second entry has a flipped bit', (log) => flip(log, log.length - 1)],
    ['the second entry has another number', (log) => log.writeUInt32LE(9, secondEntry(log) + 12)],
    ['the second entry is longer than the log', (log) => log.writeUInt32LE(1 << 30, secondEntry(log) + 4)],
  ])('what comes before is applied when %s', (_what, spoil) => {
    const log = newLog(5, [entry(5, 0, 1), entry(6, 1, 2)])
    spoil(log)
    const { root } = readRegf(dirty(STATES[0], 5), { log1: log })
    expect(wholeContent(root)).toEqual(wholeContent(stateOf(1)))
  })

  test('logs of a hive that was written to its end, or from before, change nothing', () => {
    const log1 = newLog(5, [entry(5, 0, 1)])
    expect(wholeContent(readRegf(STATES[0] as Uint8Array, { log1 }).root)).toEqual(wholeContent(stateOf(0)))
    const { root, notes } = readRegf(dirty(STATES[0], 9), { log1 })
    expect(wholeContent(root)).toEqual(wholeContent(stateOf(0)))
    expect(notes[0]).toMatch(/no log of it can be used/)
  })

  test('an entry does not make a hive larger than the file and its logs', () => {
    const huge = sealedEntry(5, 0x7fff_f000, [])
    const { root } = readRegf(dirty(STATES[0], 5), { log1: newLog(5, [huge]) })
    expect(wholeContent(root)).toEqual(wholeContent(stateOf(0)))
  })
})

describe('logs before Windows 8.1', () => {
  test('dirty pages are applied', () => {
    const { root } = readRegf(dirty(STATES[0], 5), { log1: oldLog(0, 2) })
    expect(wholeContent(root)).toEqual(wholeContent(stateOf(2)))
  })

  test('the second log serves when the first is of another time, and none of a log that was cut off', () => {
    const other = oldLog(0, 1)
    other.writeBigUInt64LE(1n, BASE.WRITTEN)
    other.writeUInt32LE(baseChecksum(viewOf(other)), BASE.CHECKSUM)
    const { root } = readRegf(dirty(STATES[0], 5), { log1: other, log2: oldLog(0, 2) })
    expect(wholeContent(root)).toEqual(wholeContent(stateOf(2)))

    const cut = oldLog(0, 2).subarray(0, -SECTOR)
    expect(wholeContent(readRegf(dirty(STATES[0], 5), { log1: cut }).root)).toEqual(wholeContent(stateOf(0)))
  })
})

function stateOf(state: number): PlainKey {
  const keys = Array.from({ length: 60 + state * 40 }, (_, index) => ({
    ...plainKey(`Key ${String(index).padStart(3, '0')}`),
    values: [{ name: 'State', type: REG.BINARY, data: new Uint8Array(100).fill(index % 7 === 0 ? state : 9) }],
  }))
  return { ...plainKey('ROOT', 1_234_567n), keys }
}

/** The hive in the middle of being written. */
function dirty(state: Uint8Array | undefined, secondary: number): Buffer {
  const file = Buffer.from(state ?? [])
  file.writeUInt32LE(secondary + 1, BASE.PRIMARY_SEQUENCE)
  file.writeUInt32LE(secondary, BASE.SECONDARY_SEQUENCE)
  file.writeUInt32LE(baseChecksum(viewOf(file)), BASE.CHECKSUM)
  return file
}

function changedPages(from: number, to: number, size: number): { at: number; content: Buffer }[] {
  const [before, after] = [STATES[from], STATES[to]].map((state) => Buffer.from(state ?? []).subarray(BASE.SIZE))
  const pages: { at: number; content: Buffer }[] = []
  for (let at = 0; at < (after?.length ?? 0); at += size) {
    const content = after?.subarray(at, at + size) ?? Buffer.alloc(0)
    if (!before?.subarray(at, at + size).equals(content)) pages.push({ at, content })
  }
  return pages
}

function entry(sequence: number, from: number, to: number): Buffer {
  return sealedEntry(sequence, (STATES[to]?.length ?? 0) - BASE.SIZE, changedPages(from, to, PAGE))
}

function sealedEntry(sequence: number, binsSize: number, pages: { at: number; content: Buffer }[]): Buffer {
  const content = 40 + pages.reduce((sum, page) => sum + 8 + page.content.length, 0)
  const bytes = Buffer.alloc(Math.ceil(content / SECTOR) * SECTOR)
  bytes.write('HvLE')
  ;[bytes.length, 0, sequence, binsSize, pages.length].forEach((word, index) =>
    bytes.writeUInt32LE(word, 4 + index * 4),
  )
  let at = 40 + pages.length * 8
  pages.forEach((page, index) => {
    bytes.writeUInt32LE(page.at, 40 + index * 8)
    bytes.writeUInt32LE(page.content.length, 44 + index * 8)
    page.content.copy(bytes, at)
    at += page.content.length
  })
  for (const [place, part] of [
    [24, bytes.subarray(40)],
    [32, bytes.subarray(0, 32)],
  ] as const) {
    const { low, high } = marvin32(part)
    bytes.writeUInt32LE(low, place)
    bytes.writeUInt32LE(high, place + 4)
  }
  return bytes
}

function logHead(type: number, sequence: number, binsSize: number): Buffer {
  const head = Buffer.from(STATES[0] ?? []).subarray(0, SECTOR)
  const words = { [BASE.PRIMARY_SEQUENCE]: sequence, [BASE.SECONDARY_SEQUENCE]: sequence }
  for (const [at, word] of Object.entries({ ...words, [BASE.FILE_TYPE]: type, [BASE.BINS_SIZE]: binsSize })) {
    head.writeUInt32LE(word, Number(at))
  }
  head.writeUInt32LE(baseChecksum(viewOf(head)), BASE.CHECKSUM)
  return head
}

function newLog(sequence: number, entries: Buffer[]): Buffer {
  return Buffer.concat([logHead(6, sequence, (STATES[0]?.length ?? 0) - BASE.SIZE), ...entries])
}

function flip(bytes: Buffer, at: number): void {
  bytes[at] = (bytes[at] ?? 0) ^ 1
}

const secondEntry = (log: Buffer): number => SECTOR + log.readUInt32LE(SECTOR + 4)

function oldLog(from: number, to: number): Buffer {
  const binsSize = (STATES[to]?.length ?? 0) - BASE.SIZE
  const pages = changedPages(from, to, SECTOR)
  const vector = Buffer.alloc(Math.ceil((4 + binsSize / SECTOR / 8) / SECTOR) * SECTOR)
  vector.write('DIRT')
  for (const { at } of pages) vector[4 + (at >> 12)] = (vector[4 + (at >> 12)] ?? 0) | (1 << ((at >> 9) & 7))
  return Buffer.concat([logHead(1, 6, binsSize), vector, ...pages.map(({ content }) => content)])
}
