import { describe, expect, test } from 'vitest'
import { SYN_OPTIONS, TcpScript } from '../support/tcp-script'

const hello = { payload: Buffer.from('hello') }

describe('a call of the guest', () => {
  test('is answered only once the host side stands', () => {
    const script = new TcpScript().say('S', 0, 0, { options: SYN_OPTIONS })
    script.clock.advance(5000)
    expect(script.sent).toEqual([])

    script.connection.open()

    expect(script.sent).toHaveLength(1)
    expect(script.sent[0]).toMatchObject({ flags: 'SA', window: 65_535, options: SYN_OPTIONS_OF_OURS })
  })

  test('names options only to a guest that has', () => {
    const script = new TcpScript().say('S', 0)

    script.connection.open()

    expect(script.sent[0]?.options).toEqual([[2, Buffer.from([5, 180])]])
  })

  test('is refused by RST at once', () => {
    const script = new TcpScript().say('S', 0)

    script.connection.abort('refused')

    expect(script.take()).toEqual(['RA 0 1'])
    expect(script.host.reason).toBe('refused')
  })

  test('is answered again until the guest hears it, then given up', () => {
    const script = new TcpScript().half()

    script.clock.advance(4000)
    expect(script.take()).toEqual(['SA 0 1', 'SA 0 1', 'SA 0 1', 'SA 0 1'])
    script.clock.advance(60_000)

    expect(script.take().at(-1)).toBe('RA 1 1')
    expect(script.host).toMatchObject({ reason: 'timed out', isEstablished: false })
    expect(script.clock.timers).toBe(0)
  })

  test('that nobody answers is given up without a word', () => {
    const script = new TcpScript().say('S', 0)

    script.clock.advance(80_000)

    expect(script.sent).toEqual([])
    expect(script.host.reason).toBe('timed out')
  })

  test('that comes twice is answered once', () => {
    const script = new TcpScript().half()
    script.sent = []

    script.say('S', 0, 0, { options: SYN_OPTIONS })

    expect(script.sent).toEqual([])
  })

  test('is not completed by an acknowledgement of something else', () => {
    const script = new TcpScript().half()
    script.sent = []

    script.say('A', 1, 7)

    expect(script.take()).toEqual(['R 7 -'])
    expect(script.host.isEstablished).toBe(false)
  })

  test.each([
    ['before the host side stands', (script: TcpScript) => script.say('S', 0)],
    ['before the handshake is over', (script: TcpScript) => script.half()],
  ])('is taken back by RST %s', (_when, prepare) => {
    const script = new TcpScript()
    prepare(script)
    script.sent = []

    script.say('R', 1)

    expect(script.host.reason).toBe('reset')
    expect(script.sent).toEqual([])
    expect(script.clock.timers).toBe(0)
  })
})

describe('a call to the guest', () => {
  function called(): TcpScript {
    const script = new TcpScript()
    script.connection.call()
    script.ourFirst = script.sent[0]!.sequence
    return script
  }

  test('is established by its answer', () => {
    const script = called()
    expect(script.sent[0]).toMatchObject({ flags: 'S', window: 65_535, options: SYN_OPTIONS_OF_OURS })
    script.sent = []

    script.say('SA', 0, 1, { options: SYN_OPTIONS })

    expect(script.take()).toEqual(['A 1 1'])
    expect(script.host.isEstablished).toBe(true)
  })

  test('is refused by RST', () => {
    const script = called()

    script.say('RA', 0, 1)

    expect(script.host.reason).toBe('refused')
  })

  test('is not refused by a RST that answers something else', () => {
    const script = called().say('RA', 0, 0).say('R', 0)

    expect(script.host.reason).toBeNull()
  })

  test('is given up when nobody answers', () => {
    const script = called()

    script.clock.advance(60_000)

    expect(script.host.reason).toBe('timed out')
  })

  test('and one of the guest at the same time become one connection', () => {
    const script = called().say('S', 0, 0, { options: SYN_OPTIONS })
    expect(script.take()).toEqual(['S 0 -', 'SA 0 1'])

    script.say('SA', 0, 1, { options: SYN_OPTIONS })

    expect(script.host.isEstablished).toBe(true)
    script.say('A', 1, 1, hello)
    expect(Buffer.concat(script.host.received).toString()).toBe('hello')
  })
})

describe('ending', () => {
  test('by the guest first leaves the other way open', () => {
    const script = new TcpScript().open().say('FA', 1, 1, hello)
    expect(script.take()).toEqual(['A 1 7'])
    expect(script.host).toMatchObject({ guestEnded: true, reason: null })

    script.write('answer').say('A', 7, 7).end()
    expect(script.take()).toEqual(['PA 1 7 6', 'FPA 7 7'])
    script.say('A', 7, 8)

    expect(script.host.reason).toBe('done')
    expect(script.clock.timers).toBe(0)
  })

  test('by the host first leaves the other way open, and waits for a FIN that may come again', () => {
    const script = new TcpScript().open().write('all').end().say('A', 1, 5)
    expect(script.take()).toEqual(['PA 1 1 3', 'FPA 4 1'])

    script.say('A', 1, 5, hello).say('FA', 6, 5)
    expect(script.take().at(-1)).toBe('A 5 7')
    expect(script.host).toMatchObject({ lingering: true, reason: null, receivedBytes: 5 })
    script.say('FA', 6, 5)
    expect(script.take()).toEqual(['A 5 7'])
    script.clock.advance(2500)

    expect(script.host.reason).toBe('done')
  })

  test('by both at once', () => {
    const script = new TcpScript().open().end().say('FA', 1, 1)
    expect(script.host.reason).toBeNull()

    script.say('A', 2, 2)

    expect(script.host.lingering).toBe(true)
  })

  test('a FIN that comes before its data waits for it', () => {
    const script = new TcpScript().open().say('FA', 6, 1)
    expect(script.host.guestEnded).toBe(false)

    script.say('A', 1, 1, hello)

    expect(script.host.guestEnded).toBe(true)
    expect(script.take().at(-1)).toBe('A 1 7')
  })
})

describe('RST and SYN within a connection', () => {
  const states: [string, (script: TcpScript) => TcpScript, number][] = [
    ['open', (script) => script, 1],
    ['after the guest has ended', (script) => script.say('FA', 1, 1), 2],
    ['after the host has ended', (script) => script.end(), 1],
    ['after the host has ended and was heard', (script) => script.end().say('A', 1, 2), 1],
    ['after both have ended', (script) => script.say('FA', 1, 1).end(), 2],
    ['while it lingers', (script) => script.end().say('FA', 1, 2), 2],
  ]

  test.each(states)('at its place a RST ends it: %s', (_state, prepare, place) => {
    const script = prepare(new TcpScript().open())
    script.sent = []

    script.say('R', place)

    expect(script.host.reason).toBe('reset')
    expect(script.sent).toEqual([])
    expect(script.clock.timers).toBe(0)
  })

  test.each(states)('elsewhere a RST is asked about: %s', (_state, prepare, place) => {
    const script = prepare(new TcpScript().open())
    script.clock.advance(150)
    script.sent = []

    script.say('R', place + 50).say('R', place - 70_000)

    expect(script.host.reason).toBeNull()
    expect(script.sent.filter(({ flags }) => flags === 'A')).toHaveLength(1)
  })

  test('a SYN is asked about, not obeyed', () => {
    const script = new TcpScript().open().say('S', 20, 0, { options: SYN_OPTIONS })

    expect(script.take()).toEqual(['A 1 1'])
    expect(script.host.reason).toBeNull()
  })

  test('questions are not asked without end', () => {
    const script = new TcpScript().open()

    for (let round = 0; round < 1000; round++) script.say('A', 1, 900_000)

    expect(script.sent).toHaveLength(1)
  })
})

const SYN_OPTIONS_OF_OURS = [
  [2, Buffer.from([5, 180])],
  [4, Buffer.alloc(0)],
  [3, Buffer.from([5])],
]
