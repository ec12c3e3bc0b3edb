import { expect, test } from 'vitest'
import { VmmError } from '../../vmm/model/errors'
import { plainKey, type HiveKey } from '../../vmm/registry/hive'
import { BASE, baseChecksum, viewOf } from '../../vmm/registry/regf-layout'
import { readRegf } from '../../vmm/registry/regf-read'
import { writeRegf } from '../../vmm/registry/regf-write'
import { manyKeys, wholeContent } from '../support/registry-hives'
import { seededRandom } from '../support/seeded-random'

const ROUNDS = 4000
/** On a busy host it takes a while. */
const SLOW = { timeout: 90_000 }

test('a hive with some bytes changed is read as far as it holds anything, or refused with the place', SLOW, () => {
  const { random } = seededRandom()
  const below = (most: number): number => Math.floor(random() * most)
  const sound = Buffer.from(writeRegf(manyKeys(12)))
  const offsets = cellOffsets(sound)
  let read = 0
  for (let round = 0; round < ROUNDS; round++) {
    const file = Buffer.from(sound)
    for (let change = 0; change <= below(6); change++) {
      const at = BASE.SIZE + below(file.length - BASE.SIZE - 4)
      if (round % 2 === 0) file[at] = below(256)
      // an offset that is valid, elsewhere: loops, and cells that serve twice
      else file.writeUInt32LE(offsets[below(offsets.length)] ?? 0, at & ~3)
    }
    const cut = round % 10 === 0 ? file.subarray(0, below(file.length)) : file
    const dirty = round % 5 === 0 && cut.length >= BASE.SIZE
    if (dirty) makeDirty(cut, below(8))
    read += outcome(cut, dirty ? { log1: mutated(file, below) } : {}, sound.length * 3)
  }
  expect(read).toBeGreaterThan(ROUNDS / 50)
})

test('random bytes are no hive, also behind a valid head', () => {
  const { random } = seededRandom()
  const head = Buffer.from(writeRegf(plainKey('ROOT'))).subarray(0, BASE.SIZE + 32)
  for (let round = 0; round < 500; round++) {
    const noise = Buffer.from(Array.from({ length: 4096 + 4064 }, () => Math.floor(random() * 256)))
    expect(outcome(noise, {}, 0)).toBe(0)
    head.copy(noise)
    outcome(noise, { log1: noise, log2: noise.subarray(100) }, noise.length * 3)
  }
})

test('every offset and length of a hive may be the largest that there is', () => {
  const sound = Buffer.from(writeRegf(manyKeys(1)))
  for (let at = BASE.SIZE; at < sound.length; at += 4) {
    for (const word of [0xffffffff, 0x7fffffff, 0x80000000, 0xfffffff8]) {
      const file = Buffer.from(sound)
      file.writeUInt32LE(word, at)
      outcome(file, {}, sound.length * 3)
    }
  }
})

/** 1 for a hive that was read, and is no larger than it can be; 0 for one that was refused as it should be. */
function outcome(file: Buffer, logs: Parameters<typeof readRegf>[1], most: number): 0 | 1 {
  let root: HiveKey
  try {
    root = readRegf(file, logs).root
  } catch (failure) {
    if (!(failure instanceof VmmError)) throw failure
    expect(['damaged', 'invalid', 'unsupported']).toContain(failure.kind)
    if (failure.kind === 'damaged') expect(failure.message).toMatch(/\(at 0x[0-9a-f]+\)/)
    return 0
  }
  expect(bytesOf(root)).toBeLessThanOrEqual(most)
  // what is read can be written, and is the same then
  expect(wholeContent(readRegf(writeRegf(root)).root).slice(1)).toEqual(wholeContent(root).slice(1))
  return 1
}

/** Of names and data; every byte of a file serves once. */
function bytesOf(key: HiveKey): number {
  let bytes = key.name.length + (key.className?.length ?? 0)
  for (const { name, data } of key.values) bytes += name.length + data.length
  for (const child of key.keys) bytes += bytesOf(child)
  return bytes
}

function cellOffsets(file: Buffer): number[] {
  const offsets: number[] = []
  for (let at: number = BASE.SIZE; at < file.length;) {
    const end = at + file.readUInt32LE(at + 8)
    for (let cell = at + 32; cell < end; cell += Math.abs(file.readInt32LE(cell))) offsets.push(cell - BASE.SIZE)
    at = end
  }
  return offsets
}

function makeDirty(file: Buffer, sequence: number): void {
  file.writeUInt32LE(sequence + 1, BASE.PRIMARY_SEQUENCE)
  file.writeUInt32LE(baseChecksum(viewOf(file)), BASE.CHECKSUM)
}

/** A log of the old or the new kind with noise in it. */
function mutated(file: Buffer, below: (most: number) => number): Buffer {
  const log = Buffer.alloc(8192, below(256))
  file.copy(log, 0, 0, 512)
  log.writeUInt32LE(below(2) === 0 ? 1 : 6, BASE.FILE_TYPE)
  log.writeUInt32LE(below(8), BASE.PRIMARY_SEQUENCE)
  log.copy(log, BASE.SECONDARY_SEQUENCE, BASE.PRIMARY_SEQUENCE, BASE.PRIMARY_SEQUENCE + 4)
  log.write(below(2) === 0 ? 'DIRT' : 'HvLE', 512)
  log.writeUInt32LE(baseChecksum(viewOf(log)), BASE.CHECKSUM)
  return log
}
