import { describe, expect, test } from 'vitest'
import { Scrollback } from '../../vmm/machine/scrollback'
import { below, bytes } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

const MIB = 1024 * 1024

describe('Scrollback', () => {
  test('random appends and reads agree with a reference that keeps everything', () => {
    const { random } = seededRandom()
    for (let round = 0; round < 40; round++) {
      const capacity = 1 + below(random, 200)
      const scrollback = new Scrollback(capacity)
      let all = Buffer.alloc(0)
      for (let turn = 0; turn < 60; turn++) {
        const more = bytes(random, below(random, capacity * 2))
        scrollback.append(more)
        all = Buffer.concat([all, more])
        const offset = below(random, all.length + 20)
        const limit = below(random, capacity * 2)

        const read = scrollback.read(offset, limit)

        expect({ ...read, bytes: Buffer.from(read.bytes) }).toEqual(expectedRead(all, capacity, offset, limit))
      }
    }
  })

  test('100 MB through a ring of 1 MiB leave the last MiB, in bounded memory', () => {
    const scrollback = new Scrollback(MIB)
    const chunk = Buffer.alloc(64 * 1024, 'x')
    const before = process.memoryUsage()

    for (let sent = 0; sent < 100 * MIB; sent += chunk.length) scrollback.append(chunk)

    const after = process.memoryUsage()
    expect(scrollback.end).toBe(100 * MIB)
    expect(scrollback.read(0, 2 * MIB)).toMatchObject({ offset: 99 * MIB, end: 100 * MIB })
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(8 * MIB)
  })

  test('one append larger than the ring keeps its end', () => {
    const scrollback = new Scrollback(4)

    scrollback.append(Buffer.from('abcdefghij'))

    expect(scrollback.read(0, 100)).toEqual({ offset: 6, bytes: Uint8Array.from(Buffer.from('ghij')), end: 10 })
  })

  test('every waiting reader is woken by one append', async () => {
    const scrollback = new Scrollback(16)

    const reads = [1, 2, 3].map(() => scrollback.readSoon(0, 16, 10_000))
    scrollback.append(Buffer.from('new'))

    expect((await Promise.all(reads)).map((read) => Buffer.from(read.bytes).toString())).toEqual(['new', 'new', 'new'])
  })

  test('a reader that is behind does not wait', async () => {
    const scrollback = new Scrollback(16)
    scrollback.append(Buffer.from('old'))

    const read = await scrollback.readSoon(0, 16, 10_000)

    expect(read.end).toBe(3)
  })

  test('a reader that waits in vain gets nothing, at the end of its time or when it leaves', async () => {
    const scrollback = new Scrollback(16)
    const leave = new AbortController()

    const patient = scrollback.readSoon(0, 16, 20)
    const left = scrollback.readSoon(0, 16, 10_000, leave.signal)
    leave.abort()

    expect((await Promise.all([patient, left])).map((read) => read.bytes.byteLength)).toEqual([0, 0])
  })

  test('a reader of an earlier run, whose position is beyond the end, begins with what there is', () => {
    const scrollback = new Scrollback(16)
    scrollback.append(Buffer.from('abc'))

    expect(scrollback.read(1000, 16)).toMatchObject({ offset: 0, end: 3 })
  })
})

function expectedRead(all: Buffer, capacity: number, offset: number, limit: number) {
  const oldest = Math.max(0, all.length - capacity)
  const from = offset > all.length ? oldest : Math.max(offset, oldest)
  return { offset: from, bytes: Buffer.from(all.subarray(from, from + limit)), end: all.length }
}
