import { describe, expect, test } from 'vitest'
import { VmmError, type DisplayChunk } from '../../src-main/contract'
import { createDisplayChannel, type DisplayPorts } from '../../src-renderer/composables/display-channel'
import { keysFor } from '../../src-renderer/composables/screen-keys'
import { deferred } from '../support/scripted-vivarium'

const NOTHING: DisplayChunk = { bytes: new Uint8Array(), closed: false, reason: '' }
const [OPEN, CLOSED] = [1, 3]

/** A channel whose reads a test answers one by one. */
function scripted(ports: Partial<DisplayPorts> = {}) {
  const reads: ((chunk: DisplayChunk) => void)[] = []
  const written: Uint8Array[] = []
  const told: unknown[] = []
  const closed: string[] = []
  const channel = createDisplayChannel({
    open: () => Promise.resolve({ displayId: 'one' }),
    read: () => new Promise((answer) => reads.push(answer)),
    write: (_id, bytes) => Promise.resolve(void written.push(bytes)),
    close: (id) => Promise.resolve(void closed.push(id)),
    sleep: () => Promise.resolve(),
    ...ports,
  })
  channel.onopen = () => void told.push('open')
  channel.onmessage = ({ data }) => void told.push([...new Uint8Array(data)])
  channel.onclose = ({ code, reason }) => void told.push([code, reason])
  const answer = async (chunk: Partial<DisplayChunk>) => {
    reads.shift()?.({ ...NOTHING, ...chunk })
    await settled()
  }
  return { channel, reads, written, told, closed, answer }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('the channel to a screen', () => {
  test('opens, hands bytes on one read at a time, and tells the end', async () => {
    const { channel, reads, told, answer, closed } = scripted()
    await settled()
    expect(channel.readyState).toBe(OPEN)
    expect(reads).toHaveLength(1)

    await answer({ bytes: Uint8Array.of(1, 2) })
    await answer({})
    await answer({ bytes: Uint8Array.of(3), closed: true, reason: 'The machine has ended.' })

    expect(told).toEqual(['open', [1, 2], [3], [1006, 'The machine has ended.']])
    expect(reads).toHaveLength(0)
    expect(closed).toEqual(['one'])
  })

  test('reads nothing while paused', async () => {
    const { channel, reads, answer } = scripted()
    await settled()
    channel.setPaused(true)
    await answer({ bytes: Uint8Array.of(1) })
    expect(reads).toHaveLength(0)

    channel.setPaused(false)
    await settled()
    expect(reads).toHaveLength(1)
  })

  test('sends copies, in order, one call at a time', async () => {
    const gate = deferred()
    const calls: Uint8Array[] = []
    const { channel } = scripted({
      write: async (_id, bytes) => {
        calls.push(bytes)
        await gate.promise
      },
    })
    await settled()
    const buffer = Uint8Array.of(1)
    for (let value = 1; value <= 5; value++) {
      buffer[0] = value
      channel.send(buffer)
    }
    await settled()
    expect(calls.map((bytes) => [...bytes])).toEqual([[1]])

    gate.resolve()
    await settled()
    expect(calls.map((bytes) => [...bytes])).toEqual([[1], [2, 3, 4, 5]])
  })

  test('splits what one call would not take', async () => {
    const { channel, written } = scripted()
    await settled()
    channel.send(Uint8Array.from({ length: 600_000 }, (_, index) => index & 0xff))
    await settled()

    expect(written.map((bytes) => bytes.byteLength)).toEqual([262_144, 262_144, 75_712])
    expect(Buffer.concat(written).every((byte, index) => byte === (index & 0xff))).toBe(true)
  })

  test('gives up when what is sent is not taken', async () => {
    const { channel, told } = scripted({ write: () => new Promise(() => undefined) })
    await settled()
    for (let sent = 0; sent < 30; sent++) channel.send(new Uint8Array(50_000))

    expect(channel.readyState).toBe(CLOSED)
    expect(told.at(-1)).toEqual([1006, expect.stringContaining('does not keep up')])
  })

  test.each(['open', 'read', 'write'] as const)('a refusal of %s closes it once, with the reason', async (refused) => {
    const { channel, told } = scripted({ [refused]: () => Promise.reject(new VmmError('state', 'Not now.')) })
    await settled()
    channel.send(Uint8Array.of(1))
    await settled()

    const ends = told.filter((what) => Array.isArray(what))
    expect(ends).toEqual([[1006, 'Not now.']])
    expect(channel.readyState).toBe(CLOSED)
  })

  test('one that is closed before it is open leaves no viewer behind', async () => {
    const opening = deferred<{ displayId: string }>()
    const { channel, told, closed, reads } = scripted({ open: () => opening.promise })
    channel.close()
    await settled()
    opening.resolve({ displayId: 'late' })
    await settled()

    expect(told).toEqual([[1000, '']])
    expect(closed).toEqual(['late'])
    expect(reads).toHaveLength(0)
  })
})

describe('typing text', () => {
  test('gives the keys of a US keyboard, with Shift where it is needed', () => {
    const { strokes, missing } = keysFor('aB\r\n{')
    const codes = strokes.map((keys) => keys.map(({ code }) => code).join('+'))

    expect(codes).toEqual(['KeyA', 'ShiftLeft+KeyB', 'Enter', 'ShiftLeft+BracketLeft'])
    expect(missing).toBe(0)
  })

  test('every printable ASCII character has a key', () => {
    const printable = String.fromCharCode(...Array.from({ length: 95 }, (_, index) => 32 + index))

    expect(keysFor(printable)).toMatchObject({ missing: 0, strokes: { length: 95 } })
  })

  test('counts what it cannot type', () => {
    expect(keysFor('aé😀b')).toMatchObject({ missing: 2, strokes: { length: 2 } })
  })
})
