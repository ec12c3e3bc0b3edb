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
  const replayed: string[] = []
  const state = {
    kept,
    from,
    fail: null as Error | null,
    trouble: null as unknown,
    held: null as (() => void) | null,
    holding: false,
    more: null as (() => void) | null,
  }
  const answer = (offset: number): ConsoleChunk => {
    const end = state.from + state.kept.length
    const at = offset > end ? state.from : Math.max(offset, state.from)
    return { offset: at, bytes: bytes(state.kept.slice(at - state.from, at - state.from + 4)), end }
  }
  const take = (chunk: Uint8Array): Promise<void> => {
    shown.push(text(chunk))
    return state.holding ? new Promise((release) => (state.held = release)) : Promise.resolve()
  }
  const ports: PullPorts = {
    read: async (offset, wait): Promise<ConsoleChunk> => {
      asked.push(offset)
      if (state.fail) throw state.fail
      const end = state.from + state.kept.length
      if (wait && offset === end) return new Promise((more) => (state.more = () => more(answer(offset))))
      return answer(offset)
    },
    show: take,
    replay: (chunk) => {
      replayed.push(text(chunk))
      return take(chunk)
    },
    remark: async (words) => void shown.push(`<${words}>`),
    trouble: (thrown) => (state.trouble = thrown),
    sleep: async () => {
      state.fail = null
    },
  }
  return { pull: createPull(ports), state, shown, asked, replayed }
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

  it('tells what was printed before anybody looked from what is printed now', async () => {
    const { pull, state, shown, replayed } = rig('history')
    pull.start()
    await settle()
    state.kept += 'now'
    state.more?.()
    await settle()
    expect(replayed.join('')).toBe('history')
    expect(shown.join('')).toBe('historynow')
    pull.stop()

    state.kept += 'away'
    pull.start()
    await settle()
    expect(replayed.join('')).toBe('historyaway')
    pull.stop()
  })

  it('takes everything for new that a guest prints which was silent before', async () => {
    const { pull, state, shown, replayed } = rig('')
    pull.start()
    await settle()
    state.kept = 'boot'
    state.more?.()
    await settle()
    expect({ shown, replayed }).toEqual({ shown: ['boot'], replayed: [] })
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
