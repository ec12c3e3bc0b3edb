import { textOrNull, type Database, type Row } from './database'

export type AuditLevel = 'info' | 'warning' | 'error'

export interface AuditEntry {
  seq: number
  at: number
  domainId: string | null
  /** A stable word, such as `domain.started`. */
  event: string
  level: AuditLevel
  /** For people. */
  message: string
}

/** The append-only log of what happened; the database itself refuses changes to it. */
export class AuditLog {
  constructor(private readonly database: Database) {}

  async append(entry: Omit<AuditEntry, 'seq'>): Promise<AuditEntry> {
    const rows = await this.database.all(
      'INSERT INTO audit (at, domain_id, event, level, message) VALUES (?, ?, ?, ?, ?) RETURNING *',
      [entry.at, entry.domainId, entry.event, entry.level, entry.message],
    )
    return readRow(rows[0] ?? {})
  }

  /** The newest `limit` entries before `before`, oldest first. */
  async read(query: { domainId?: string; before?: number; limit: number }): Promise<AuditEntry[]> {
    const before = query.before ?? Number.MAX_SAFE_INTEGER
    const rows =
      query.domainId === undefined
        ? await this.database.all('SELECT * FROM audit WHERE seq < ? ORDER BY seq DESC LIMIT ?', [before, query.limit])
        : await this.database.all('SELECT * FROM audit WHERE domain_id = ? AND seq < ? ORDER BY seq DESC LIMIT ?', [
            query.domainId,
            before,
            query.limit,
          ])
    return rows.map(readRow).reverse()
  }
}

function readRow(row: Row): AuditEntry {
  const level = String(row.level)
  return {
    seq: Number(row.seq),
    at: Number(row.at),
    domainId: textOrNull(row.domain_id),
    event: String(row.event),
    level: level === 'warning' || level === 'error' ? level : 'info',
    message: String(row.message),
  }
}
