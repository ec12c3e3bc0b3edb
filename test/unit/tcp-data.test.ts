import { describe, expect, test } from 'vitest'
import { seededRandom } from '../support/seeded-random'
import { TcpLine } from '../support/tcp-line'
import { TcpScript } from '../support/tcp-script'

const hello = { payload: Buffer.from('hello') }

describe('data', () => {
  test('that comes twice, or in part, is taken once', () => {
    const script = new TcpScript().open()

    script
      .say('A', 1, 1, hello)
      .say('A', 1, 1, hello)
      .say('A', 4, 1, { payload: Buffer.from('lo, you') })

    expect(Buffer.concat(script.host.received).toString()).toBe('hello, you')
  })

  test('beyond the window is not taken', () => {
    const script = new TcpScript().open()
    script.host.holds = true
    for (let place = 1; place < 1_200_000; place += 1000) script.say('A', place, 1, { payload: Buffer.alloc(1000) })

    expect(script.host.receivedBytes).toBeLessThanOrEqual(2 ** 20)
    expect(script.sent.at(-1)?.window).toBe(0)
  })

  test('out of order is reported, the newest first', () => {
    const script = new TcpScript().open()
    script.say('A', 101, 1, hello).say('A', 301, 1, hello)

    const [kind, blocks] = script.sent.at(-1)!.options[0]!

    expect(kind).toBe(5)
    const places = [0, 4, 8, 12].map((at) => (blocks.readUInt32BE(at) - script.guestFirst) | 0)
    expect(places).toEqual([301, 306, 101, 106])
  })

  test('waits for a window, which is asked about', () => {
    const script = new TcpScript().open().say('A', 1, 1, { window: 0 }).write('waits')
    expect(script.sent).toEqual([])

    script.clock.advance(30_000)
    const probes = script.take()
    expect(probes.length).toBeGreaterThan(4)
    expect(new Set(probes)).toEqual(new Set(['A 0 1']))
    script.say('A', 1, 1, { window: 100 })

    expect(script.take()).toEqual(['PA 1 1 5'])
  })

  test('for a guest that is gone is given up in the end', () => {
    const script = new TcpScript().open().write('anybody?')

    script.clock.advance(2 * 60 * 60_000)

    expect(script.host.reason).toBe('timed out')
    expect(script.take().at(-1)).toMatch(/^RA/)
    expect(script.clock.timers).toBe(0)
  })

  test('is not sent again while the way is full: the guest was never given it', () => {
    const script = new TcpScript().open()
    script.room = false
    script.write('later')
    script.clock.advance(60 * 60_000)
    expect(script.host.reason).toBeNull()

    script.room = true
    script.connection.roomAgain()

    expect(script.take()).toEqual(['PA 1 1 5'])
  })

  test('an idle guest is asked whether it is there', () => {
    const script = new TcpScript().open()
    script.clock.advance(2 * 60 * 60_000 + 1000)
    expect(script.take()).toEqual(['A 0 1'])
    script.say('A', 1, 1)
    script.clock.advance(3 * 60 * 60_000)

    expect(script.host.reason).toBe('timed out')
  })
})

test('a guest that never reads holds its window of data and no more', () => {
  const { random } = seededRandom()
  const line = new TcpLine({ random, buffer: 50_000 }).connect()
  line.peer.reads = false
  line.write(Buffer.alloc(200_000, 'x'))
  line.clock.advance(600_000)
  expect(line.host.reason).toBeNull()
  expect(line.connection.queued).toBeGreaterThanOrEqual(150_000)
  // probes, not a stream of them
  expect(line.toGuest.sent).toBeLessThan(200)

  line.peer.reads = true
  line.peer.read()
  line.end()
  line.until(() => line.peer.ended, 30_000)

  expect(line.peer.receivedBytes).toBe(200_000)
})

test('a host that never takes closes the window, and opening it tells the guest', () => {
  const { random } = seededRandom()
  const line = new TcpLine({ random }).connect()
  line.host.holds = true
  line.peer.write(Buffer.alloc(3_000_000, 'x'))
  line.clock.advance(20_000)
  const held = line.host.receivedBytes
  expect(held).toBeLessThanOrEqual(2 ** 20)
  expect(held).toBeGreaterThan(2 ** 20 - 3000)

  line.host.holds = false
  line.host.pending = 0
  line.connection.drained()
  line.until(() => line.host.receivedBytes === 3_000_000, 5000)

  expect(line.host.receivedBytes).toBe(3_000_000)
})
