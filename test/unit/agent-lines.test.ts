import { describe, expect, test } from 'vitest'
import { LineReader } from '../../vmm/machine/agent-lines'
import { below, bytes, pick, pieces } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

const MIB = 1024 * 1024

function push(reader: LineReader, text: string): string[] {
  return reader.push(Buffer.from(text, 'latin1'))
}

describe('LineReader', () => {
  test('cuts lines, however they arrive', () => {
    const reader = new LineReader()

    const lines = ['{"a"', ':1}\n{', '', '"b":2}\n\n', '{}'].flatMap((part) => push(reader, part))

    expect(lines).toEqual(['{"a":1}', '{"b":2}'])
    expect(push(reader, '\n')).toEqual(['{}'])
  })

  test('0xFF drops what came before it on the line', () => {
    expect(push(new LineReader(), 'half an ans\u00ff{"return":1}\n')).toEqual(['{"return":1}'])
  })

  test('a line too long is dropped, and the next one is read', () => {
    const reader = new LineReader()

    const endless = Array.from({ length: 64 }, () => reader.push(Buffer.alloc(64 * 1024, 'x'))).flat()

    expect(endless).toEqual([])
    expect(push(reader, 'its end\n{}\n')).toEqual(['{}'])
  })

  test('a line of the very limit is read', () => {
    const reader = new LineReader()
    reader.push(Buffer.alloc(MIB, 'x'))

    expect(push(reader, '\n').map((line) => line.length)).toEqual([MIB])
  })

  test('what is kept of an endless line is bounded, also when it comes byte by byte', () => {
    const reader = new LineReader()
    const one = Buffer.from('x')
    const before = process.memoryUsage().rss

    for (let sent = 0; sent < MIB; sent++) reader.push(one)

    expect(process.memoryUsage().rss - before).toBeLessThan(60 * MIB)
    expect(push(reader, '\n').map((line) => line.length)).toEqual([MIB])
  })

  test('multi-byte characters may be split, and broken ones are replaced', () => {
    const reader = new LineReader()
    const [first, second] = [Buffer.from('é').subarray(0, 1), Buffer.from('é').subarray(1)]

    expect([reader.push(first), reader.push(second), push(reader, '\n')].flat()).toEqual(['é'])
    expect(push(reader, '\u00e9\n')).toEqual(['\ufffd'])
  })

  test('random bytes in random pieces give the same lines as all at once', () => {
    const { random } = seededRandom()
    for (let round = 0; round < 300; round++) {
      const alphabet = [0x0a, 0xff, 0x61, 0x7b, 0x22, 0xc3]
      const stream = Buffer.concat([
        Buffer.from(Array.from({ length: below(random, 200) }, () => pick(random, alphabet))),
        bytes(random, below(random, 200)),
      ])
      const reader = new LineReader()

      const lines = pieces(random, stream, 7).flatMap((piece) => reader.push(piece))

      expect(lines).toEqual(new LineReader().push(stream))
    }
  })
})
