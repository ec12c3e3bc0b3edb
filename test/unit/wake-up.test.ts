import { describe, expect, test, vi } from 'vitest'
import { WakeUp } from '../../vmm/model/wake-up'

describe('WakeUp', () => {
  test('wakes everybody who waits now, and nobody who comes later', async () => {
    const change = new WakeUp()
    const woken: string[] = []
    const early = ['a', 'b'].map((name) => change.wait(10_000).then(() => woken.push(name)))

    change.wake()
    const late = change.wait(20).then(() => woken.push('late'))
    await Promise.all(early)

    expect(woken).toEqual(['a', 'b'])
    await late
  })

  test('gives up after its time', async () => {
    const started = performance.now()

    await new WakeUp().wait(30)

    expect(performance.now() - started).toBeGreaterThanOrEqual(25)
  })

  test('a signal ends a wait, and one that has fired already prevents it', async () => {
    const change = new WakeUp()
    const leave = new AbortController()

    const waiting = change.wait(10_000, leave.signal)
    leave.abort()
    await waiting
    await change.wait(10_000, leave.signal)

    expect(leave.signal.aborted).toBe(true)
  })

  test('a wait that is over leaves neither timer nor listener', async () => {
    vi.useFakeTimers()
    const change = new WakeUp()
    const { signal } = new AbortController()
    const removed = vi.spyOn(signal, 'removeEventListener')

    const waiting = change.wait(10_000, signal)
    change.wake()
    await waiting

    expect(vi.getTimerCount()).toBe(0)
    expect(removed).toHaveBeenCalledOnce()
    vi.useRealTimers()
  })

  test('one who waits again in the same turn is not woken twice by one call', async () => {
    const change = new WakeUp()
    let wakes = 0
    const again = async () => {
      await change.wait(10_000)
      wakes++
      await change.wait(10)
    }

    const waiting = again()
    change.wake()
    await waiting

    expect(wakes).toBe(1)
  })
})
