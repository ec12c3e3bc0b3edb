import { expect, test } from 'vitest'
import { Domain } from '../../src-main/services/domain'
import { Supervisor, type SupervisorParts } from '../../src-main/services/supervisor'
import type { GuestRun } from '../../vmm/machine/guest-run'
import { domainRecord } from '../support/records'

/** A run of a machine that stays when its guest reboots. */
function resettableRun(startedAt: number) {
  let reset = (): void => undefined
  const machine = {
    onCounters: () => undefined,
    onStall: () => undefined,
    onReset: (listener: () => void) => (reset = listener),
  }
  const run = {
    machine,
    startedAt,
    agentState: 'none',
    ended: new Promise(() => undefined),
    onAgentChange: () => undefined,
    rebooted: () => undefined,
    booted: () => Promise.resolve(false),
  }
  return { run: run as unknown as GuestRun, reset: () => reset() }
}

function toldReboots(startedAt: number, times: number): string[] {
  const told: string[] = []
  const tell = (_domain: string, _event: string, message: string): Promise<void> => {
    told.push(message)
    return Promise.resolve()
  }
  const networks = { attach: () => Promise.resolve(), network: { endFlows: () => Promise.resolve() } }
  const files = { attach: () => Promise.resolve(), introduce: () => Promise.resolve() }
  const parts = { domains: {}, broadcast: {}, consoles: {}, networks, files, journal: { info: tell, warning: tell } }
  const supervisor = new Supervisor(parts as unknown as SupervisorParts)
  const { run, reset } = resettableRun(startedAt)
  supervisor.watch(new Domain(domainRecord()), run)
  for (let time = 0; time < times; time += 1) reset()
  return told
}

test('a guest that does nothing but reboot does not fill the log', () => {
  const told = toldReboots(Date.now(), 1000)
  expect(told.length).toBe(5)
  expect(told.at(-1)).toContain('more is not told')
})

test('each reboot of a guest that ran for a while is told', () => {
  expect(toldReboots(Date.now() - 3_600_000, 20).length).toBe(20)
})
