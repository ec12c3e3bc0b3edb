import * as v from 'valibot'
import type { Database } from './database'

export interface LeaseRecord {
  domainId: string
  nic: number
  /** '' for the gateway's own network. */
  segment: string
  /** Unsigned 32-bit number. */
  address: number
  /** When the guest was last given it, Unix milliseconds. */
  leasedAt: number | null
}

export interface MirrorRecord {
  id: string
  sourceDomain: string
  sourceNic: number
  targetDomain: string
  targetNic: number
  stage: 'before' | 'after'
  direction: 'both' | 'up' | 'down'
}

export interface CaptureRecord {
  id: string
  /** What was captured, for people. */
  name: string
  /** The card that was captured; both null for a whole segment. */
  domainId: string | null
  nic: number | null
  startedAt: number
  endedAt: number | null
  frames: number
  dropped: number
  /** Why it ended by itself; '' otherwise. */
  reason: string
}

const StoredLease = v.object({
  domain_id: v.string(),
  nic: v.number(),
  segment: v.string(),
  address: v.number(),
  leased_at: v.nullable(v.number()),
})
const StoredMirror = v.object({
  id: v.string(),
  source_domain: v.string(),
  source_nic: v.number(),
  target_domain: v.string(),
  target_nic: v.number(),
  stage: v.picklist(['before', 'after']),
  direction: v.picklist(['both', 'up', 'down']),
})
const StoredCapture = v.object({
  id: v.string(),
  name: v.string(),
  domain_id: v.nullable(v.string()),
  nic: v.nullable(v.number()),
  started_at: v.number(),
  ended_at: v.nullable(v.number()),
  frames: v.number(),
  dropped: v.number(),
  reason: v.string(),
})

/** What is kept of virtual networks. A row that cannot be read counts as absent. */
export class NetworkTables {
  constructor(private readonly database: Database) {}

  /** Numbers of segments by their names. */
  async segments(): Promise<Map<string, number>> {
    const rows = await this.database.all('SELECT name, number FROM segments')
    return new Map(rows.map(({ name, number }) => [String(name), Number(number)]))
  }

  async addSegment(name: string, number: number): Promise<void> {
    await this.database.run('INSERT INTO segments VALUES (?, ?)', [name, number])
  }

  /** With the addresses of cards on it. */
  async removeSegment(name: string): Promise<void> {
    await this.database.transaction(async (inside) => {
      await inside.run('DELETE FROM leases WHERE segment = ?', [name])
      await inside.run('DELETE FROM segments WHERE name = ?', [name])
    })
  }

  async leases(): Promise<LeaseRecord[]> {
    const rows = readable(StoredLease, await this.database.all('SELECT * FROM leases'))
    return rows.map(({ domain_id, leased_at, ...rest }) => ({ domainId: domain_id, leasedAt: leased_at, ...rest }))
  }

  async addLease({ domainId, nic, segment, address, leasedAt }: LeaseRecord): Promise<void> {
    await this.database.run('INSERT INTO leases VALUES (?, ?, ?, ?, ?)', [domainId, nic, segment, address, leasedAt])
  }

  async setLeasedAt({ domainId, nic, segment, leasedAt }: LeaseRecord): Promise<void> {
    const key = [domainId, nic, segment]
    await this.database.run('UPDATE leases SET leased_at = ? WHERE domain_id = ? AND nic = ? AND segment = ?', [
      leasedAt,
      ...key,
    ])
  }

  async mirrors(): Promise<MirrorRecord[]> {
    return readable(StoredMirror, await this.database.all('SELECT * FROM mirrors')).map((row) => ({
      id: row.id,
      sourceDomain: row.source_domain,
      sourceNic: row.source_nic,
      targetDomain: row.target_domain,
      targetNic: row.target_nic,
      stage: row.stage,
      direction: row.direction,
    }))
  }

  async addMirror(mirror: MirrorRecord): Promise<void> {
    const { id, sourceDomain, sourceNic, targetDomain, targetNic, stage, direction } = mirror
    await this.database.run('INSERT INTO mirrors VALUES (?, ?, ?, ?, ?, ?, ?)', [
      id,
      sourceDomain,
      sourceNic,
      targetDomain,
      targetNic,
      stage,
      direction,
    ])
  }

  async removeMirror(id: string): Promise<void> {
    await this.database.run('DELETE FROM mirrors WHERE id = ?', [id])
  }

  async captures(): Promise<CaptureRecord[]> {
    const rows = readable(StoredCapture, await this.database.all('SELECT * FROM captures ORDER BY started_at'))
    return rows.map(({ domain_id, started_at, ended_at, ...rest }) => ({
      domainId: domain_id,
      startedAt: started_at,
      endedAt: ended_at,
      ...rest,
    }))
  }

  async putCapture(capture: CaptureRecord): Promise<void> {
    const { id, name, domainId, nic, startedAt, endedAt, frames, dropped, reason } = capture
    const values = [id, name, domainId, nic, startedAt, endedAt, frames, dropped, reason]
    await this.database.run('INSERT OR REPLACE INTO captures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)', values)
  }

  async removeCapture(id: string): Promise<void> {
    await this.database.run('DELETE FROM captures WHERE id = ?', [id])
  }
}

function readable<S extends v.GenericSchema>(schema: S, rows: unknown[]): v.InferOutput<S>[] {
  return rows.flatMap((row) => {
    const read = v.safeParse(schema, row)
    return read.success ? [read.output] : []
  })
}
