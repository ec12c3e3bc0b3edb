import type { BrowserWindow } from 'electron'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { leaveQuestion } from '../../src-main/leave-question'
import { askToLeave, saveAll } from '../../src-main/leaving'
import { idle } from '../../src-main/run-headless'
import { EngineCatalog } from '../../vmm/engine/catalog'
import { scriptedServices } from '../support/scripted-services'
import { openScripted, runningDomain } from '../support/scripted-vivarium'
import { domainView, SMALL, WHOLE } from '../support/views'

const asked: string[] = []
vi.mock('electron', () => ({
  dialog: {
    showMessageBox: (_window: unknown, { message }: { message: string }) => {
      asked.push(message)
      return Promise.resolve({ response: 2 })
    },
  },
}))
const window = { setTitle: () => {}, setProgressBar: () => {} } as unknown as BrowserWindow
beforeEach(() => {
  asked.length = 0
  vi.stubEnv('VIVARIUM_UNATTENDED', '')
})
afterEach(() => {
  vi.unstubAllEnvs()
})

/** Makes every engine one whose machines go on without main. */
function outliving(): void {
  const get = EngineCatalog.prototype.get
  const spy = vi.spyOn(EngineCatalog.prototype, 'get').mockImplementation(function (this: EngineCatalog, id) {
    const engine = get.call(this, id)
    return Object.create(engine, {
      capabilities: { value: { ...engine.capabilities, outlivesMain: true } },
    }) as typeof engine
  })
  onTestFinished(() => spy.mockRestore())
}

test('the question tells apart what ends and what goes on', () => {
  expect(leaveQuestion({ machines: 1, outliving: 0 }).message).toBe('A guest ends with Vivarium.')
  expect(leaveQuestion({ machines: 2, outliving: 0 }).message).toBe('2 guests end with Vivarium.')
  expect(leaveQuestion({ machines: 2, outliving: 3 }).message).toBe(
    '2 guests end with Vivarium; 3 others go on running.',
  )
  expect(leaveQuestion({ machines: 1, outliving: 1 }).message).toBe(
    'A guest ends with Vivarium; another one goes on running.',
  )
})

describe('machines that go on without main', () => {
  test('are counted apart', async () => {
    const { services, call } = await openScripted()
    await runningDomain(call)
    expect(services.busy()).toMatchObject({ machines: 1, outliving: 0 })

    outliving()

    expect(services.busy()).toMatchObject({ machines: 0, outliving: 1 })
  })

  test('are no reason to ask, and those that end are', async () => {
    const { services, call } = await openScripted()
    await runningDomain(call)

    expect(await askToLeave(services, window)).toBe('cancel')
    expect(asked).toEqual(['A guest ends with Vivarium.'])

    outliving()
    expect(await askToLeave(services, window)).toBe('force-off')
    expect(asked).toHaveLength(1)
  })

  test('are not saved with the others', async () => {
    const saved: unknown[] = []
    const { services } = scriptedServices({
      'domains.list': () => [
        domainView({ id: 'ends', state: 'running', capabilities: SMALL }),
        domainView({ id: 'goes-on', state: 'running', capabilities: WHOLE }),
        domainView({ id: 'off', capabilities: SMALL }),
      ],
      'domains.save': (args) => {
        saved.push(args)
        return { id: 't', state: 'done', failure: null }
      },
    })

    await saveAll(services, window)

    expect(saved).toEqual([{ id: 'ends' }])
  })
})

describe('a main on demand', () => {
  const nothing = { machines: 0, outliving: 0, tasks: 0, clients: 0 }
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  async function endsWhile(busy: Partial<typeof nothing>): Promise<boolean> {
    let ended = false
    void idle({ busy: () => ({ ...nothing, ...busy }) }).then(() => (ended = true))
    await vi.advanceTimersByTimeAsync(60_000)
    return ended
  }

  test.each([
    [{}, true],
    [{ outliving: 2 }, true],
    [{ machines: 1 }, false],
    [{ tasks: 1 }, false],
    [{ clients: 1, outliving: 1 }, false],
  ])('while %j ends: %j', async (busy, expected) => {
    expect(await endsWhile(busy)).toBe(expected)
  })
})
