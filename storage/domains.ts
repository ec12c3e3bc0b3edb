import * as v from 'valibot'
import { DOMAIN_STATES, DomainSpecSchema, type DomainSpec, type DomainState } from '../vmm/model/domain'
import type { Database, Row } from './database'

export interface DomainRecord {
  id: string
  spec: DomainSpec
  mac: string
  state: DomainState
  /** Why, where that needs saying; for people. */
  stateReason: string
  /** Version of the engine that wrote the saved state; '' when nothing is saved. */
  stateVersion: string
  /** The snapshot that the present state descends from. */
  currentSnapshot: string | null
  ephemeral: boolean
  createdAt: number
  trashedAt: number | null
  /** Key that seals what is kept of it; '' for none. */
  keyId: string
  /** Whether its disks are sealed volumes; otherwise its engine keeps them. */
  volumes: boolean
}

/** A row that cannot be read: shown greyed out, so that the rest of the list stays. */
export interface DamagedDomain {
  id: string
  /** The name, if that much can be read. */
  name: string
  damage: string
  trashedAt: number | null
}

export type StoredDomain = { ok: true; record: DomainRecord } | { ok: false; damaged: DamagedDomain }

const StoredRow = v.object({
  id: v.string(),
  mac: v.pipe(v.string(), v.mac48('The MAC address is not one.')),
  state: v.picklist(DOMAIN_STATES, 'The state is not known.'),
  state_reason: v.string(),
  state_version: v.string(),
  current_snapshot: v.nullable(v.string()),
  ephemeral: v.number(),
  created_at: v.number(),
  trashed_at: v.nullable(v.number()),
  key_id: v.string(),
  volumes: v.number(),
})

export class DomainTable {
  constructor(private readonly database: Database) {}

  async list(): Promise<StoredDomain[]> {
    const rows = await this.database.all('SELECT * FROM domains ORDER BY created_at, id')
    return rows.map(readRow)
  }

  async insert(record: DomainRecord): Promise<void> {
    await this.database.run('INSERT INTO domains VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)', [
      record.id,
      JSON.stringify(record.spec),
      record.mac,
      record.state,
      record.stateReason,
      record.stateVersion,
      record.currentSnapshot,
      record.ephemeral ? 1 : 0,
      record.createdAt,
      record.trashedAt,
      record.keyId,
      record.volumes ? 1 : 0,
    ])
  }

  /** Stores all that can change of a domain. */
  async update(record: DomainRecord): Promise<void> {
    await this.database.run(
      `UPDATE domains SET spec = ?, state = ?, state_reason = ?, state_version = ?, current_snapshot = ?, trashed_at = ?
        WHERE id = ?`,
      [
        JSON.stringify(record.spec),
        record.state,
        record.stateReason,
        record.stateVersion,
        record.currentSnapshot,
        record.trashedAt,
        record.id,
      ],
    )
  }

  /** For a damaged row, of which nothing else can be told. */
  async setTrashed(id: string, trashedAt: number | null): Promise<void> {
    await this.database.run('UPDATE domains SET trashed_at = ? WHERE id = ?', [trashedAt, id])
  }

  async isTrashed(id: string): Promise<boolean> {
    return (
      (await this.database.get('SELECT 1 FROM domains WHERE id = ? AND trashed_at IS NOT NULL', [id])) !== undefined
    )
  }

  /** Whether any domain has this address, one in the trash too. */
  async hasMac(mac: string): Promise<boolean> {
    return (await this.database.get('SELECT 1 FROM domains WHERE mac = ?', [mac])) !== undefined
  }

  async remove(id: string): Promise<void> {
    await this.database.run('DELETE FROM domains WHERE id = ?', [id])
  }
}

function readRow(row: Row): StoredDomain {
  const parsed = v.safeParse(StoredRow, row, { abortEarly: true })
  const spec = readSpec(row.spec)
  if (parsed.success && spec.ok) {
    const stored = parsed.output
    return {
      ok: true,
      record: {
        id: stored.id,
        spec: spec.value,
        mac: stored.mac,
        state: stored.state,
        stateReason: stored.state_reason,
        stateVersion: stored.state_version,
        currentSnapshot: stored.current_snapshot,
        ephemeral: stored.ephemeral === 1,
        createdAt: stored.created_at,
        trashedAt: stored.trashed_at,
        keyId: stored.key_id,
        volumes: stored.volumes === 1,
      },
    }
  }
  const reason = spec.ok ? (parsed.issues?.[0].message ?? '') : spec.reason
  return {
    ok: false,
    damaged: {
      id: String(row.id),
      name: spec.ok ? spec.value.name : '',
      damage: `The stored record cannot be read: ${reason}`,
      trashedAt: typeof row.trashed_at === 'number' ? row.trashed_at : null,
    },
  }
}

function readSpec(text: unknown): { ok: true; value: DomainSpec } | { ok: false; reason: string } {
  try {
    const parsed = v.safeParse(DomainSpecSchema, JSON.parse(String(text)), { abortEarly: true })
    return parsed.success ? { ok: true, value: parsed.output } : { ok: false, reason: parsed.issues[0].message }
  } catch {
    return { ok: false, reason: 'the spec is not JSON.' }
  }
}
