import { below, pick } from './random-values'
import { randomFrom } from './seeded-random'

export const SECTOR = 512
export const SECTORS = 320

export interface VolumeChange {
  /** From 1 on. */
  number: number
  kind: 'write' | 'zero' | 'flush' | 'copy'
  /** Bytes. */
  at: number
  length: number
}

/** What the writer with this seed does, without end; whole sectors. */
export function* changesOf(seed: number): Generator<VolumeChange> {
  const random = randomFrom(seed)
  for (let number = 1; ; number++) {
    const draw = below(random, 20)
    const kind = draw < 13 ? 'write' : draw < 15 ? 'zero' : draw < 19 ? 'flush' : 'copy'
    const from = below(random, SECTORS)
    const length = 1 + below(random, Math.min(SECTORS - from, pick(random, [3, 40, 200])))
    yield { number, kind, at: from * SECTOR, length: length * SECTOR }
  }
}

/** Tells by which change a sector was written. */
export function stamp(number: number, length: number): Buffer {
  const mark = Buffer.alloc(4)
  mark.writeUInt32LE(number)
  return Buffer.alloc(length, mark)
}
