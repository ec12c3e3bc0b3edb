import { describe, expect, test } from 'vitest'
import { Pacer } from '../../vmm/engine/embedded-pacer'
import { below, pick } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

/** Time that passes only when a test says so. */
class FakeClock {
  time = 0
  #soon: (() => void)[] = []
  #later: { at: number; step: () => void }[] = []

  now = (): number => this.time
  soon = (step: () => void): void => void this.#soon.push(step)
  later = (step: () => void, ms: number): (() => void) => {
    const entry = { at: this.time + ms, step }
    this.#later.push(entry)
    return () => {
      this.#later = this.#later.filter((other) => other !== entry)
    }
  }

  /** Runs what is due, what that asks for, and so on; a step that asks for another at once runs once a turn. */
  turn(): void {
    const due = this.#later.filter(({ at }) => at <= this.time)
    this.#later = this.#later.filter(({ at }) => at > this.time)
    for (const step of [...this.#soon.splice(0), ...due.map((entry) => entry.step)]) step()
  }

  advance(ms: number): void {
    for (let passed = 0; passed < ms; passed++) {
      this.time++
      this.turn()
    }
  }

  get timers(): number {
    return this.#later.length
  }
}

/** As many instructions as a step runs that does real work. */
const WORK = 1_000_000
/** As many as answer a timer tick. */
const TICK = 500

/** A pacer with an emulator that is idle for `idleMs` after every step. */
function idleMachine(idleMs: number, instructions = WORK) {
  const clock = new FakeClock()
  const pacer = new Pacer(clock)
  const steps: number[] = []
  const step = () => {
    steps.push(clock.time)
    request()
  }
  const request = () => {
    pacer.stepped(idleMs, instructions)
    pacer.schedule(() => step())
  }
  request()
  return { clock, pacer, steps }
}

describe('Pacer', () => {
  test('steps again at once while the guest is busy', () => {
    const { clock, steps } = idleMachine(0)

    clock.turn()
    clock.turn()
    clock.turn()

    expect(steps).toEqual([0, 0, 0])
  })

  test('sleeps as long as the guest is idle, and counts it', () => {
    const { clock, pacer, steps } = idleMachine(30)

    clock.advance(95)

    expect(steps).toEqual([30, 60, 90])
    expect(pacer.haltedMs).toBe(90)
  })

  test('sleeps at most 100 ms at a time', () => {
    const { clock, steps } = idleMachine(3_600_000)

    clock.advance(250)

    expect(steps).toEqual([100, 200])
  })

  test('a nudge wakes a sleeper at once, and leaves no timer behind', () => {
    const { clock, pacer, steps } = idleMachine(80)
    clock.advance(10)

    pacer.nudge()
    clock.turn()

    expect(steps).toEqual([10])
    expect(clock.timers).toBe(1)
    expect(pacer.haltedMs).toBe(10)
  })

  test('does not step while it is held, for as many reasons as there are', () => {
    const { clock, pacer, steps } = idleMachine(0)
    pacer.hold('paused')
    pacer.hold('disk')
    pacer.hold('disk')

    clock.advance(50)
    pacer.release('paused')
    pacer.release('never held')
    clock.advance(50)
    const whileHeld = [...steps]
    pacer.release('disk')
    clock.turn()

    expect(whileHeld).toEqual([])
    expect(steps).toEqual([100])
    expect(pacer.heldMs()).toBe(100)
  })

  test('time held is not time halted', () => {
    const { clock, pacer } = idleMachine(100)
    clock.advance(20)

    pacer.hold('paused')
    clock.advance(500)

    expect(pacer.haltedMs).toBe(20)
    expect(pacer.heldMs()).toBe(500)
  })

  test('input that comes while a step waits for its release is not slept over', () => {
    const clock = new FakeClock()
    const pacer = new Pacer(clock)
    const steps: number[] = []
    pacer.hold('console')
    pacer.stepped(90, WORK)
    pacer.schedule(() => void steps.push(clock.time))

    pacer.nudge()
    pacer.release('console')
    clock.turn()

    expect(steps).toEqual([0])
  })

  test('a guest that does nothing but tick is stepped less often, until input comes', () => {
    const { clock, pacer, steps } = idleMachine(4, TICK)
    clock.advance(1000)
    const drowsy = steps.filter((time) => time > 500).length

    pacer.nudge()
    clock.advance(100)
    const awake = steps.filter((time) => time > 1000).length

    expect(drowsy).toBeLessThan(500 / 12)
    expect(awake).toBeGreaterThanOrEqual(25)
  })

  test('random interleavings step when, and only when, an obvious model does', () => {
    const { random } = seededRandom()
    for (let round = 0; round < 300; round++) {
      const script = randomScript(random)
      expect(runPacer(script)).toEqual(runModel(script))
    }
  })
})

type Action = { kind: 'advance'; ms: number } | { kind: 'nudge' } | { kind: 'hold' | 'release'; reason: string }

interface Script {
  /** How long the guest is idle after its nth step. */
  idle: number[]
  /** Reasons to hold that come up within the nth step. */
  holds: string[][]
  actions: Action[]
}

const REASONS = ['paused', 'disk', 'console']

function randomScript(random: () => number): Script {
  const length = 60
  const action = (): Action =>
    pick<() => Action>(random, [
      () => ({ kind: 'advance', ms: below(random, 60) }),
      () => ({ kind: 'advance', ms: 1 }),
      () => ({ kind: 'nudge' }),
      () => ({ kind: 'hold', reason: pick(random, REASONS) }),
      () => ({ kind: 'release', reason: pick(random, REASONS) }),
      () => ({ kind: 'release', reason: pick(random, REASONS) }),
    ])()
  return {
    // 1 ms at least: a busy guest would step without end within one moment
    idle: Array.from({ length: 5000 }, () => 1 + below(random, 150)),
    holds: Array.from({ length: 5000 }, () => (below(random, 10) === 0 ? [pick(random, REASONS)] : [])),
    actions: Array.from({ length }, action),
  }
}

function runPacer({ idle, holds, actions }: Script) {
  const clock = new FakeClock()
  const pacer = new Pacer(clock)
  const steps: number[] = []
  const request = () => {
    pacer.stepped(idle[steps.length] ?? 1, WORK)
    pacer.schedule(() => {
      steps.push(clock.time)
      for (const reason of holds[steps.length] ?? []) pacer.hold(reason)
      request()
    })
  }
  request()
  const perform: { [K in Action['kind']]: (action: Extract<Action, { kind: K }>) => void } = {
    advance: ({ ms }) => clock.advance(ms),
    nudge: () => pacer.nudge(),
    hold: ({ reason }) => pacer.hold(reason),
    release: ({ reason }) => pacer.release(reason),
  }
  for (const action of actions) {
    perform[action.kind](action as never)
    clock.turn()
  }
  return { steps, heldMs: pacer.heldMs() }
}

/** Looks at everything every millisecond. */
function runModel({ idle, holds, actions }: Script) {
  const held = new Set<string>()
  const steps: number[] = []
  let time = 0
  let heldMs = 0
  /** How long the pending step still sleeps; what is held does not sleep on. */
  let sleep = Math.min(100, idle[0] ?? 1)
  const look = () => {
    if (held.size > 0 || sleep > 0) return
    steps.push(time)
    for (const reason of holds[steps.length] ?? []) held.add(reason)
    sleep = Math.min(100, idle[steps.length] ?? 1)
  }
  const perform: { [K in Action['kind']]: (action: Extract<Action, { kind: K }>) => void } = {
    advance: ({ ms }) => {
      for (let passed = 0; passed < ms; passed++) {
        time++
        if (held.size > 0) heldMs++
        else sleep--
        look()
      }
    },
    nudge: () => {
      sleep = 0
    },
    hold: ({ reason }) => {
      if (held.size === 0) sleep = 0 // whoever is woken to be held looks around when it is released
      held.add(reason)
    },
    release: ({ reason }) => void held.delete(reason),
  }
  for (const action of actions) {
    perform[action.kind](action as never)
    look()
  }
  return { steps, heldMs }
}
