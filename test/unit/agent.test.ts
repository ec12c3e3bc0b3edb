import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { GuestAgent, REQUEST_LIMIT } from '../../vmm/machine/agent'
import { below, bytes, pick, pieces, type Random } from '../support/random-values'
import { answerSyncs, ScriptedPort, type AgentRequest } from '../support/scripted-port'
import { seededRandom } from '../support/seeded-random'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** Synchronizes as it should; what it does on any other request is up to the test. */
function agentThat(answer: (request: AgentRequest, port: ScriptedPort) => void) {
  const port = new ScriptedPort((request, self) => {
    answerSyncs(request, self)
    if (request.execute !== 'guest-sync-delimited') answer(request, self)
  })
  return { port, agent: new GuestAgent(port) }
}

/** Lets time pass until `outcome` is known; a failure is given, not thrown. */
async function settled<T>(outcome: Promise<T>): Promise<T | { kind: string; message: string }> {
  const known = outcome.catch((error: unknown) => error as { kind: string; message: string })
  await vi.advanceTimersByTimeAsync(30_000)
  return await known
}

describe('GuestAgent', () => {
  test('synchronizes once, then asks', async () => {
    const { port, agent } = agentThat((request, self) => self.say({ return: request.execute }))

    const answers = [await agent.call('guest-info'), await agent.call('guest-ping')]

    expect(answers).toEqual(['guest-info', 'guest-ping'])
    expect(port.requests.map(({ execute }) => execute)).toEqual(['guest-sync-delimited', 'guest-info', 'guest-ping'])
  })

  test('requests asked at once go out one by one', async () => {
    const { agent } = agentThat((request, self) => self.say({ return: request.arguments.n }))

    const answers = await Promise.all([1, 2, 3, 4].map((n) => agent.call('guest-echo', { n })))

    expect(answers).toEqual([1, 2, 3, 4])
  })

  test('noise before an answer is not an answer', async () => {
    const { agent } = agentThat((_, port) => {
      for (const noise of ['[ 1.0] booting\n', '\u0000\u001b[2J\n', '5\n', '"x"\n', 'null\n', '[1]\n', '{"return":\n'])
        port.say(Buffer.from(noise, 'latin1'))
      port.say({ return: 'at last' })
    })

    expect(await agent.call('guest-info')).toBe('at last')
  })

  test('a refusal is of kind guest, and its words are made fit to show', async () => {
    const { agent } = agentThat((_, port) =>
      port.say({ error: { class: 'GenericError', desc: 'no\u001b[31m such\u202e file' } }),
    )

    const failure = await settled(agent.call('guest-file-open'))

    expect(failure).toMatchObject({
      kind: 'guest',
      message: "The guest agent refused 'guest-file-open': no\ufffd[31m such\ufffd file",
    })
  })

  test.each([
    [null],
    [5],
    ['x'],
    [[]],
    [{}],
    [{ desc: null }],
    [{ desc: { toString: 1, valueOf: 1 } }],
    [{ desc: 'x'.repeat(100_000) }],
  ])('a refusal of %j is still one of kind guest', async (error) => {
    const { agent } = agentThat((_, port) => port.say({ error }))

    const failure = await settled(agent.call('guest-info'))

    expect(failure).toMatchObject({ kind: 'guest' })
    expect((failure as Error).message.length).toBeLessThan(700)
  })

  test('silence ends in kind timeout, and the next request synchronizes first', async () => {
    let silent = true
    const { port, agent } = agentThat((request, self) => {
      if (!silent) self.say({ return: request.execute })
    })

    const first = await settled(agent.call('guest-info', {}, 100))
    silent = false
    const second = await settled(agent.call('guest-ping'))

    expect(first).toMatchObject({ kind: 'timeout' })
    expect(second).toBe('guest-ping')
    expect(port.requests.map(({ execute }) => execute)).toEqual([
      'guest-sync-delimited',
      'guest-info',
      'guest-sync-delimited',
      'guest-ping',
    ])
  })

  test('an answer that comes too late does not answer the next request', async () => {
    const late: string[] = []
    const port = new ScriptedPort((request, self) => {
      if (request.execute === 'slow') late.push('slow')
      for (const answer of request.execute === 'slow' ? [] : late.splice(0)) self.say({ return: answer })
      answerSyncs(request, self)
      if (request.execute === 'quick') self.say({ return: 'quick' })
    })
    const agent = new GuestAgent(port)

    const slow = await settled(agent.call('slow', {}, 100))
    const quick = await settled(agent.call('quick'))

    expect(slow).toMatchObject({ kind: 'timeout' })
    expect(quick).toBe('quick')
  })

  test('what an agent in use did not answer in time does not answer the next request either', async () => {
    const held: AgentRequest[] = []
    let paused = false
    const port = new ScriptedPort((request, self) => {
      held.push(request)
      // as the real one does, which stumbles over the 0xFF before each
      for (const { execute, arguments: args } of paused ? [] : held.splice(0)) {
        self.say({ error: { desc: 'JSON parse error' } })
        self.say({ return: execute === 'guest-sync-delimited' ? args.id : execute })
      }
    })
    const agent = new GuestAgent(port)
    await settled(agent.answers(1000))

    paused = true
    const silent = await settled(agent.answers(1000))
    paused = false

    expect(silent).toBe(false)
    expect(await settled(agent.call('guest-info'))).toMatchObject({ kind: 'guest' })
    expect(port.requests.at(-2)?.execute).toBe('guest-sync-delimited')
  })

  test('a sync answered with another number is no sync', async () => {
    const agent = new GuestAgent(new ScriptedPort((_, port) => port.say({ return: -1 })))

    expect(await settled(agent.answers(1000))).toBe(false)
  })

  test('answers is true once the agent is up', async () => {
    let up = false
    const agent = new GuestAgent(new ScriptedPort((request, port) => (up ? answerSyncs(request, port) : undefined)))

    const answers = agent.answers(60_000)
    await vi.advanceTimersByTimeAsync(5000)
    up = true

    expect(await settled(answers)).toBe(true)
  })

  test('answers ends with its signal', async () => {
    const leave = new AbortController()
    const agent = new GuestAgent(new ScriptedPort(() => undefined))

    const answers = agent.answers(3_600_000, leave.signal)
    leave.abort()

    expect(await settled(answers)).toBe(false)
  })

  test('closing fails who waits and who asks later, and lets go of the port', async () => {
    const { port, agent } = agentThat(() => undefined)
    const waiting = agent.call('guest-info').catch((error: unknown) => error)
    const queued = agent.call('guest-ping').catch((error: unknown) => error)
    await vi.advanceTimersByTimeAsync(1)

    agent.close()

    expect(await waiting).toMatchObject({ kind: 'guest' })
    expect(await queued).toMatchObject({ kind: 'guest' })
    expect(await settled(agent.call('guest-info'))).toMatchObject({ kind: 'guest' })
    expect(await agent.answers(1000)).toBe(false)
    expect(port.listeners).toBe(0)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('a request too long is refused before it is sent, and the next one works', async () => {
    const { agent } = agentThat((_, port) => port.say({ return: 'fine' }))

    const refused = await settled(agent.call('guest-exec', { path: 'x'.repeat(REQUEST_LIMIT) }))

    expect(refused).toMatchObject({ kind: 'invalid' })
    expect(await agent.call('guest-info')).toBe('fine')
  })

  test('an endless line is not waited for longer than an answer may take', async () => {
    const { agent } = agentThat((_, port) => {
      for (let sent = 0; sent < 40; sent++) port.say(Buffer.alloc(64 * 1024, '{'))
    })

    expect(await settled(agent.call('guest-info', {}, 500))).toMatchObject({ kind: 'timeout' })
  })

  test('whatever the far end does, an answer is its own request’s or a failure', async () => {
    const { random } = seededRandom()
    for (let round = 0; round < 40; round++) {
      const agent = new GuestAgent(moodyPort(random))
      for (let n = 0; n < 12; n++) {
        const outcome = await settled(agent.call('guest-echo', { n }, 200))

        expect([{ n }, expect.objectContaining({ kind: expect.stringMatching(/^(guest|timeout)$/) })]).toContainEqual(
          outcome,
        )
      }
      agent.close()
    }
  })
})

/** An agent that answers in pieces, among noise, not at all, or when nobody waits any more. */
function moodyPort(random: Random): ScriptedPort {
  const late: object[] = []
  return new ScriptedPort((request, port) => {
    const answer = { return: request.execute === 'guest-echo' ? { n: request.arguments.n } : request.arguments.id }
    const say = (value: object) => {
      const line = Buffer.concat([noise(random), Buffer.of(0x0a), Buffer.from(`${JSON.stringify(value)}\n`)])
      for (const piece of pieces(random, line, 9)) port.say(piece)
    }
    for (const old of late.splice(0)) say(old)
    pick<() => void>(random, [
      () => say(answer),
      () => say(answer),
      () => say(answer),
      () => late.push(answer),
      () => say({ error: { desc: 'not now' } }),
      () => port.say(bytes(random, 50)),
    ])()
  })
}

function noise(random: Random): Buffer {
  return below(random, 2) === 0
    ? Buffer.alloc(0)
    : Buffer.from(bytes(random, below(random, 40)).map((byte) => byte & 0x7f))
}
