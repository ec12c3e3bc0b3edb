import { describe, expect, it } from 'vitest'
import { CHUNK_LIMIT, type ConsoleChunk } from '../../src-main/contract'
import { createInput } from '../../src-renderer/composables/console-input'
import { createPull, type PullPorts } from '../../src-renderer/composables/console-pull'

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const bytes = (letters: string) => new TextEncoder().encode(letters)
const settle = () => new Promise((done) => setTimeout(done, 5))

/** A console that holds `kept`, whose first byte is at position `from`. */
function rig(kept: string, from = 0) {
  const shown: string[] = []
  const asked: number[] = []
  const state = {
    kept,
    from,
    fail: null as Error | null,
    trouble: null as unknown,
    held: null as (() => void) | null,
    holding: false,
  }
  const never = () => new Promise<never>(() => {})
  const ports: PullPorts = {
    read: async (offset): Promise<ConsoleChunk> => {
      asked.push(offset)
      if (state.fail) throw state.fail
      const end = state.from + state.kept.length
      if (offset === end) return never()
      const at = offset > end ? state.from : Math.max(offset, state.from)
      return { offset: at, bytes: bytes(state.kept.slice(at - state.from, at - state.from + 4)), end }
    },
    show: (chunk) => {
      shown.push(text(chunk))
      return state.holding ? new Promise((release) => (state.held = release)) : Promise.resolve()
    },
    remark: async (words) => void shown.push(`<${words}>`),
    trouble: (thrown) => (state.trouble = thrown),
    sleep: async () => {
      state.fail = null
    },
  }
  return { pull: createPull(ports), state, shown, asked }
}

describe('the console pull', () => {
  it('reads on from where the last answer ended', async () => {
    const { pull, shown, asked } = rig('hello world')
    pull.start()
    await settle()
    expect(shown.join('')).toBe('hello world')
    expect(asked).toEqual([0, 4, 8, 11])
    pull.stop()
  })

  it('asks for no more before the terminal has taken in what it was given', async () => {
    const { pull, state, asked } = rig('hello world')
    state.holding = true
    pull.start()
    await settle()
    expect(asked).toEqual([0])
    state.held?.()
    await settle()
    expect(asked).toEqual([0, 4])
    pull.stop()
  })

  it('says how much was skipped when main no longer keeps it', async () => {
    const { pull, shown } = rig('tail', 1000)
    pull.start()
    await settle()
    expect(shown).toEqual(['<1000 bytes skipped>', 'tail'])
    pull.stop()
  })

  it('begins anew when main counts from the beginning again', async () => {
    const { pull, state, shown } = rig('first run output')
    pull.start()
    await settle()
    pull.stop()
    state.kept = 'new'
    pull.start()
    await settle()
    expect(shown.slice(-2)).toEqual(['<Vivarium was restarted>', 'new'])
    expect(pull.offset).toBe(3)
    pull.stop()
  })

  it('keeps its place while stopped and drops the answer that comes too late', async () => {
    const { pull, state, shown } = rig('abcd')
    pull.start()
    await settle()
    pull.stop()
    state.kept = 'abcdefgh'
    await settle()
    expect(shown.join('')).toBe('abcd')
    pull.start()
    await settle()
    expect(shown.join('')).toBe('abcdefgh')
    pull.stop()
  })

  it('tells trouble and goes on when it is over', async () => {
    const { pull, state, shown } = rig('ok')
    state.fail = new Error('lost')
    pull.start()
    await settle()
    expect(shown).toEqual(['ok'])
    expect(state.trouble).toBeNull()
    pull.stop()
  })
})

describe('console input', () => {
  it('sends in order, one call at a time, and joins what waits', async () => {
    const sent: string[] = []
    const releases: (() => void)[] = []
    const input = createInput(
      (chunk) => {
        sent.push(text(chunk))
        return new Promise<void>((release) => releases.push(release))
      },
      () => {},
    )
    input.send(bytes('a'))
    input.send(bytes('b'))
    input.send(bytes('c'))
    expect(sent).toEqual(['a'])
    releases.shift()?.()
    await settle()
    expect(sent).toEqual(['a', 'bc'])
  })

  it('drops what is too much to wait', () => {
    const input = createInput(
      () => new Promise(() => {}),
      () => {},
    )
    expect(input.send(bytes('x'))).toBe(true)
    expect(input.send(new Uint8Array(CHUNK_LIMIT))).toBe(true)
    expect(input.send(bytes('y'))).toBe(false)
  })

  it('forgets what could not be sent, and says so', async () => {
    let thrown: unknown = null
    const input = createInput(
      () => Promise.reject(new Error('off')),
      (what) => (thrown = what),
    )
    input.send(bytes('x'))
    await settle()
    expect(thrown).toBeInstanceOf(Error)
    expect(input.send(bytes('y'))).toBe(true)
  })
})
