import * as v from 'valibot'
import type { Database } from './database'

/** A base hive of the Windows registry; its content is a file. */
export interface HiveRecord {
  id: string
  name: string
  /** What it was made of: 'regf', 'wine', 'reg' or 'domain'. */
  source: string
  /** Key that its file is sealed with; '' for none. */
  keyId: string
  keys: number
  values: number
  bytes: number
  /** Unix milliseconds. */
  createdAt: number
}

const StoredHive = v.object({
  id: v.string(),
  name: v.string(),
  source: v.string(),
  key_id: v.string(),
  keys: v.number(),
  values: v.number(),
  bytes: v.number(),
  created_at: v.number(),
})

/** Base hives. A row that cannot be read counts as absent. */
export class HiveTable {
  constructor(private readonly database: Database) {}

  async list(): Promise<HiveRecord[]> {
    const rows = await this.database.all('SELECT * FROM hives ORDER BY created_at, id')
    return rows.flatMap((row) => {
      const read = v.safeParse(StoredHive, row)
      if (!read.success) return []
      const { key_id: keyId, created_at: createdAt, ...rest } = read.output
      return [{ ...rest, keyId, createdAt }]
    })
  }

  async insert({ id, name, source, keyId, keys, values, bytes, createdAt }: HiveRecord): Promise<void> {
    const columns = [id, name, source, keyId, keys, values, bytes, createdAt]
    await this.database.run('INSERT INTO hives VALUES (?, ?, ?, ?, ?, ?, ?, ?)', columns)
  }

  async rename(id: string, name: string): Promise<void> {
    await this.database.run('UPDATE hives SET name = ? WHERE id = ?', [name, id])
  }

  async remove(id: string): Promise<void> {
    await this.database.run('DELETE FROM hives WHERE id = ?', [id])
  }
}
