import type { Failure } from '../vmm/model/errors'
import type { Database } from './database'

export interface TaskRecord {
  id: string
  title: string
  domainId: string | null
  state: 'running' | 'done' | 'failed' | 'cancelled'
  startedAt: number
  endedAt: number | null
  failure: Failure | null
  resultId: string
}

/** How many ended tasks are remembered. */
const KEPT = 200

/** What was asked and what came of it, also across a crash. */
export class TaskTable {
  constructor(private readonly database: Database) {}

  async put(record: TaskRecord): Promise<void> {
    await this.database.run('INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?)', [
      record.id,
      record.title,
      record.domainId,
      record.state,
      record.startedAt,
      record.endedAt,
      record.failure === null ? null : JSON.stringify(record.failure),
      record.resultId,
    ])
  }

  /** Newest last. Old ones are forgotten. */
  async list(): Promise<TaskRecord[]> {
    await this.database.run(`DELETE FROM tasks WHERE id NOT IN (SELECT id FROM tasks ORDER BY started_at DESC LIMIT ${KEPT})`)
    const rows = await this.database.all('SELECT * FROM tasks ORDER BY started_at, id')
    return rows.map((row) => ({
      id: String(row.id),
      title: String(row.title),
      domainId: row.domain_id === null ? null : String(row.domain_id),
      state: String(row.state) as TaskRecord['state'],
      startedAt: Number(row.started_at),
      endedAt: row.ended_at === null ? null : Number(row.ended_at),
      failure: readFailure(row.failure),
      resultId: String(row.result_id),
    }))
  }
}

function readFailure(text: unknown): Failure | null {
  if (typeof text !== 'string') return null
  try {
    return JSON.parse(text) as Failure
  } catch {
    return { kind: 'internal', message: 'The task failed; its record is damaged.', hint: '', detail: '' }
  }
}
