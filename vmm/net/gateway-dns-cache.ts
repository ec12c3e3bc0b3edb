import type { Answer } from 'dns-packet'
import type { Clock } from './clock'
import { ttlOf, withTtl } from './gateway-dns-chain'

const ENTRIES_MOST = 256
/** Longer answers are asked for again. */
const RECORDS_MOST = 16

interface Entry {
  records: readonly Answer[]
  /** When they end, on the clock. */
  until: number
}

/** What one guest was answered; of its own, as from a common one it would learn what its neighbours ask for. */
export class DnsCache {
  private readonly entries = new Map<string, Entry>()

  constructor(private readonly clock: Clock) {}

  /** The records with what is left of their time; null when there are none. */
  get(name: string, type: number): Answer[] | null {
    const entry = this.entries.get(`${type}/${name}`)
    const left = entry ? Math.ceil((entry.until - this.clock.now()) / 1000) : 0
    return entry && left > 0 ? withTtl(entry.records, left) : null
  }

  put(name: string, type: number, records: readonly Answer[]): void {
    const key = `${type}/${name}`
    this.entries.delete(key)
    if (records.length === 0 || records.length > RECORDS_MOST) return
    if (this.entries.size >= ENTRIES_MOST) this.removeOldest()
    this.entries.set(key, { records, until: this.clock.now() + Math.min(...records.map(ttlOf)) * 1000 })
  }

  private removeOldest(): void {
    for (const key of this.entries.keys()) return void this.entries.delete(key)
  }
}
