import { describe, expect, test } from 'vitest'
import { decodeMessage, encodeMessage, MESSAGE_LIMIT } from '../../src-main/contract'
import { frame, frameReader } from '../../src-main/socket-frames'
import { seededRandom } from '../support/seeded-random'

function bytesOf(random: () => number, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => Math.floor(random() * 256))
}

describe('frames on a byte stream', () => {
  test('come out whole and in order, however the stream is cut', () => {
    const { random, seed } = seededRandom()
    for (let round = 0; round < 200; round++) {
      const messages = Array.from({ length: 1 + Math.floor(random() * 8) }, () =>
        bytesOf(random, Math.floor(random() * (random() < 0.2 ? 5000 : 12))),
      )
      const stream = Buffer.concat(messages.map(frame))
      const received: Uint8Array[] = []
      const read = frameReader(5000, (message) => received.push(message))

      for (let at = 0; at < stream.length;) {
        const next = at + 1 + Math.floor(random() * (random() < 0.5 ? 3 : 2000))
        read(stream.subarray(at, next))
        at = next
      }

      expect(received.map(toHex), `seed ${seed}, round ${round}`).toEqual(messages.map(toHex))
    }
  })

  test('over the limit are refused at their header', () => {
    const read = frameReader(10, () => expect.unreachable())

    expect(() => read(Uint8Array.of(0, 0, 0, 11))).toThrow(RangeError)
    expect(() => frameReader(10, () => {})(Uint8Array.of(255, 255, 255, 255))).toThrow(RangeError)
  })

  test('keep what they carry when the caller reuses its buffer', () => {
    const received: Uint8Array[] = []
    const buffer = frame(Uint8Array.of(1, 2, 3))
    frameReader(10, (message) => received.push(message))(buffer)

    buffer.fill(0)

    expect(received).toEqual([Uint8Array.of(1, 2, 3)])
  })
})

describe('messages', () => {
  test('keep bytes as bytes and leave out what is undefined', () => {
    const message = { a: [1, 'é', null, true], b: Uint8Array.of(0, 255), c: undefined }

    expect(decodeMessage(encodeMessage(message))).toEqual({ a: [1, 'é', null, true], b: Uint8Array.of(0, 255) })
  })

  test('of any bytes either decode or throw, and quickly', () => {
    const { random, seed } = seededRandom()
    const began = performance.now()
    for (let round = 0; round < 20_000; round++) {
      const bytes = bytesOf(random, Math.floor(random() * 64))
      try {
        decodeMessage(bytes)
      } catch (error) {
        expect(error, `seed ${seed}, round ${round}`).toBeInstanceOf(Error)
      }
    }
    expect(performance.now() - began).toBeLessThan(10_000)
  })

  test('too large are refused before they are read', () => {
    expect(() => decodeMessage(new Uint8Array(MESSAGE_LIMIT + 1))).toThrow(RangeError)
  })
})

const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
