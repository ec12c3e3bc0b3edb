import * as v from 'valibot'
import { IMAGE_KINDS, IMAGE_ROLES, type ImageRecord } from '../vmm/model/image'
import type { Database, Row } from './database'

const StoredFiles = v.array(
  v.object({
    role: v.picklist(IMAGE_ROLES),
    name: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9.-]{0,63}$/)),
    bytes: v.number(),
    sha256: v.string(),
  }),
)
const StoredKind = v.picklist(IMAGE_KINDS)

export class ImageTable {
  constructor(private readonly database: Database) {}

  /** The images that can be read; a damaged row is left out, and its domains say that their image is gone. */
  async list(): Promise<ImageRecord[]> {
    const rows = await this.database.all('SELECT * FROM images ORDER BY created_at, id')
    return rows.map(readRow).filter((record) => record !== null)
  }

  /** Every id, of damaged rows too: their files are not leftovers. */
  async ids(): Promise<string[]> {
    return (await this.database.all('SELECT id FROM images')).map((row) => String(row.id))
  }

  async put(record: ImageRecord): Promise<void> {
    await this.database.run('INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?)', [
      record.id,
      record.name,
      record.kind,
      JSON.stringify(record.files),
      record.cmdline,
      record.agent ? 1 : 0,
      record.createdAt,
    ])
  }

  async remove(id: string): Promise<void> {
    await this.database.run('DELETE FROM images WHERE id = ?', [id])
  }
}

function readRow(row: Row): ImageRecord | null {
  const kind = v.safeParse(StoredKind, row.kind)
  const files = v.safeParse(v.pipe(v.string(), v.parseJson(), StoredFiles), row.files)
  if (!kind.success || !files.success) return null
  return {
    id: String(row.id),
    name: String(row.name),
    kind: kind.output,
    files: files.output,
    cmdline: String(row.cmdline),
    agent: row.agent === 1,
    createdAt: Number(row.created_at),
  }
}
