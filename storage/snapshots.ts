import * as v from 'valibot'
import { HARDWARE_ENTRIES, type Hardware } from '../vmm/model/hardware'
import { textOrNull, type Database, type Row } from './database'

export interface SnapshotRecord {
  id: string
  domainId: string
  parentId: string | null
  name: string
  description: string
  /** Whether it holds a live machine, or disks alone. */
  live: boolean
  memoryMiB: number
  /** What the domain was made of when the snapshot was taken; null in snapshots older than that was kept. */
  hardware: Hardware | null
  /** Size of its files. */
  bytes: number
  /** Version of the engine that wrote the state; '' when not live. */
  stateVersion: string
  createdAt: number
}

const StoredHardware = v.pipe(v.string(), v.parseJson(), v.strictObject(HARDWARE_ENTRIES))

export class SnapshotTable {
  constructor(private readonly database: Database) {}

  async list(): Promise<SnapshotRecord[]> {
    return (await this.database.all('SELECT * FROM snapshots ORDER BY created_at, id')).map(readRow)
  }

  /** Stores a snapshot and makes it the one that the domain's present state descends from. */
  async insertAsCurrent(record: SnapshotRecord): Promise<void> {
    await this.database.transaction(async (inside) => {
      await inside.run('INSERT INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)', [
        record.id,
        record.domainId,
        record.parentId,
        record.name,
        record.description,
        record.live ? 1 : 0,
        record.memoryMiB,
        record.bytes,
        record.stateVersion,
        record.createdAt,
        JSON.stringify(record.hardware ?? {}),
      ])
      await inside.run('UPDATE domains SET current_snapshot = ? WHERE id = ?', [record.id, record.domainId])
    })
  }

  async rename(id: string, name: string, description: string): Promise<void> {
    await this.database.run('UPDATE snapshots SET name = ?, description = ? WHERE id = ?', [name, description, id])
  }

  /** Deletes one; its children, and the present state if it descends from it, move to its parent. */
  async remove(record: SnapshotRecord): Promise<void> {
    await this.database.transaction(async (inside) => {
      await inside.run('UPDATE snapshots SET parent_id = ? WHERE parent_id = ?', [record.parentId, record.id])
      await inside.run('UPDATE domains SET current_snapshot = ? WHERE current_snapshot = ?', [
        record.parentId,
        record.id,
      ])
      await inside.run('DELETE FROM snapshots WHERE id = ?', [record.id])
    })
  }
}

function readRow(row: Row): SnapshotRecord {
  return {
    id: String(row.id),
    domainId: String(row.domain_id),
    parentId: textOrNull(row.parent_id),
    name: String(row.name),
    description: String(row.description),
    live: row.live === 1,
    memoryMiB: Number(row.memory_mib),
    bytes: Number(row.bytes),
    stateVersion: String(row.state_version),
    createdAt: Number(row.created_at),
    hardware: readHardware(row.hardware),
  }
}

function readHardware(text: unknown): Hardware | null {
  if (text === '{}') return null
  const read = v.safeParse(StoredHardware, text)
  return read.success ? read.output : null
}
