import type { Clock } from '../net/clock'
import { NO_RATES, type IoLimit } from '../model/policy-io'
import type { Gate } from '../throttle/gate'
import { GateChain, IoGate } from '../throttle/io-gate'
import type { IoCount, MeterReport } from './files-protocol'

/** What a domain's disks and shares may move: a budget for each device, one for all of them, and that of its group. */
export class DomainGates {
  readonly #devices = new Map<string, IoGate>()
  readonly #all: IoGate
  readonly #chains = new Map<string, Gate>()
  #group: IoGate | null = null

  constructor(private readonly clock: Clock) {
    this.#all = new IoGate(clock, NO_RATES)
  }

  /** From now on, also for those who wait. */
  set(limits: readonly IoLimit[], devices: readonly string[], group: IoGate | null): void {
    const ratesOf = (device: string) => limits.find((limit) => limit.device === device) ?? NO_RATES
    this.#group = group
    this.#chains.clear()
    this.#all.set(ratesOf(''))
    for (const device of devices) {
      const gate = this.#devices.get(device) ?? new IoGate(this.clock, NO_RATES)
      this.#devices.set(device, gate)
      gate.set(ratesOf(device))
    }
  }

  /** The budgets of a device, as they are when something passes. */
  gate(device: string): Gate {
    return {
      pass: (kind, bytes, signal) => {
        const chain = this.#chains.get(device) ?? this.#newChain(device)
        this.#chains.set(device, chain)
        return chain.pass(kind, bytes, signal)
      },
    }
  }

  /** What each device, and all of them together, have moved. */
  meters(domainId: string): MeterReport[] {
    const devices = [...this.#devices].map(([device, gate]) => ({ domainId, device, count: countOf(gate) }))
    return [{ domainId, device: '', count: countOf(this.#all) }, ...devices]
  }

  #newChain(device: string): Gate {
    const own = this.#devices.get(device)
    return new GateChain([own, this.#all, this.#group].filter((gate) => gate !== null && gate !== undefined))
  }
}

export function countOf(gate: IoGate): IoCount {
  const read = gate.counters('read')
  const write = gate.counters('write')
  return {
    readBytes: read.bytes,
    writeBytes: write.bytes,
    readOps: read.operations,
    writeOps: write.operations,
    waitedMs: read.waitedMs + write.waitedMs,
  }
}
