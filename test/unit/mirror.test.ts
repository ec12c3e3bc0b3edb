import { describe, expect, test } from 'vitest'
import { Mirror, type MirrorDirections } from '../../vmm/net/mirror'

const chunk = Buffer.from('..first..second..')
const BOTH: MirrorDirections = { sent: true, received: true }

function trial(directions: MirrorDirections, room = Infinity) {
  const copies: string[] = []
  const deliver = (buffer: Buffer, at: number, end: number) =>
    copies.length < room && copies.push(buffer.toString('latin1', at, end)) > 0
  return { copies, mirror: new Mirror({ ...directions, beforePolicy: false, deliver }) }
}

test.each([
  [BOTH, ['first', 'second']],
  [{ sent: true, received: false }, ['first']],
  [{ sent: false, received: true }, ['second']],
])('%o: copies that and nothing else', (directions, expected) => {
  const { copies, mirror } = trial(directions)

  mirror.sent(chunk, 2, 7)
  mirror.received(chunk, 9, 15)

  expect(copies).toEqual(expected)
  expect({ frames: mirror.frames, bytes: mirror.bytes }).toEqual({
    frames: expected.length,
    bytes: expected.join('').length,
  })
})

describe('a full target', () => {
  test('loses frames, which are counted, and the source goes on', () => {
    const { copies, mirror } = trial(BOTH, 1)

    mirror.sent(chunk, 2, 7)
    mirror.sent(chunk, 2, 7)
    mirror.received(chunk, 9, 15)

    expect(copies.length).toBe(1)
    expect({ frames: mirror.frames, bytes: mirror.bytes, dropped: mirror.dropped }).toEqual({
      frames: 1,
      bytes: 5,
      dropped: 2,
    })
  })
})
