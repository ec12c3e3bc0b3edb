import type { NetworkSampleView } from '../contract'
import type { NetworkReport, PortReport } from '../../vmm/net/network-protocol'

/** Samples kept: ten minutes, one a second. */
const SAMPLES = 600
/** Reports come more often than samples are taken, milliseconds. */
const SAMPLE_EVERY_MS = 950

export interface Rates {
  upPerSecond: number
  downPerSecond: number
}

interface Meter {
  at: number
  last: Map<string, { up: number; down: number }>
  rates: Map<string, Rates>
  samples: NetworkSampleView[]
}

/** How fast network cards are, from what the worker counts. */
export class NetworkMeter {
  readonly #meters = new Map<string, Meter>()
  readonly #ports = new Map<string, PortReport>()

  /** What the worker said last of a card; undefined for one that is not plugged in. */
  port(domainId: string, nic: number): PortReport | undefined {
    return this.#ports.get(`${domainId}/${nic}`)
  }

  rates(domainId: string, nic: number): Rates {
    return this.#meters.get(domainId)?.rates.get(`${domainId}/${nic}`) ?? { upPerSecond: 0, downPerSecond: 0 }
  }

  samples(domainId: string): NetworkSampleView[] {
    return [...(this.#meters.get(domainId)?.samples ?? [])]
  }

  /** Takes a report; returns the domains that have a new sample. */
  take(report: NetworkReport, nicsOf: (domainId: string) => number): Map<string, NetworkSampleView> {
    this.#ports.clear()
    for (const port of report.ports) this.#ports.set(port.id, port)
    const fresh = new Map<string, NetworkSampleView>()
    for (const domainId of new Set(report.ports.map(domainOf))) {
      const sample = this.#sample(domainId, report, nicsOf(domainId))
      if (sample) fresh.set(domainId, sample)
    }
    return fresh
  }

  forget(domainId: string): void {
    this.#meters.delete(domainId)
  }

  #sample(domainId: string, { at, ports }: NetworkReport, nics: number): NetworkSampleView | null {
    const meter = this.#meters.get(domainId) ?? newMeter()
    this.#meters.set(domainId, meter)
    if (at - meter.at < SAMPLE_EVERY_MS) return null
    const seconds = (at - meter.at) / 1000
    for (const port of ports) {
      if (domainOf(port) !== domainId) continue
      const { upBytes: up, downBytes: down } = port.counters
      const last = meter.last.get(port.id)
      // a card that was plugged in elsewhere, or the network's worker, begins anew
      const isNext = last !== undefined && up >= last.up && down >= last.down
      meter.rates.set(port.id, {
        upPerSecond: isNext ? (up - last.up) / seconds : 0,
        downPerSecond: isNext ? (down - last.down) / seconds : 0,
      })
      meter.last.set(port.id, { up, down })
    }
    meter.at = at
    const sample = { at, nics: Array.from({ length: nics }, (_, nic) => this.rates(domainId, nic)) }
    meter.samples.push(sample)
    if (meter.samples.length > SAMPLES) meter.samples.shift()
    return sample
  }
}

function newMeter(): Meter {
  return { at: 0, last: new Map(), rates: new Map(), samples: [] }
}

function domainOf({ id }: PortReport): string {
  return id.slice(0, id.lastIndexOf('/'))
}
