import * as v from 'valibot'
import { FAILURE_KINDS, type Failure } from '../vmm/model/errors'
import { textOrNull, type Database, type Row } from './database'

export interface TaskRecord {
  id: string
  /** A stable word, such as `domain.start`. */
  kind: string
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
    await this.database.run('INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)', [
      record.id,
      record.kind,
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
    await this.database.run(
      `DELETE FROM tasks WHERE id NOT IN (SELECT id FROM tasks ORDER BY started_at DESC LIMIT ${KEPT})`,
    )
    const rows = await this.database.all('SELECT * FROM tasks ORDER BY started_at, id')
    return rows.map(readRow).filter((record) => record !== null)
  }
}

const StoredState = v.picklist(['running', 'done', 'failed', 'cancelled'])
const StoredFailure = v.object({
  kind: v.picklist(FAILURE_KINDS),
  message: v.string(),
  hint: v.string(),
  detail: v.string(),
})
const UNREADABLE: Failure = {
  kind: 'internal',
  message: 'The task failed; its record is damaged.',
  hint: '',
  detail: '',
}

/** Null for a row that cannot be read. */
function readRow(row: Row): TaskRecord | null {
  const state = v.safeParse(StoredState, row.state)
  if (!state.success) return null
  return {
    id: String(row.id),
    kind: String(row.kind),
    title: String(row.title),
    domainId: textOrNull(row.domain_id),
    state: state.output,
    startedAt: Number(row.started_at),
    endedAt: row.ended_at === null ? null : Number(row.ended_at),
    failure: row.failure === null ? null : readFailure(row.failure),
    resultId: String(row.result_id),
  }
}

function readFailure(text: unknown): Failure {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), StoredFailure), text)
  return parsed.success ? parsed.output : UNREADABLE
}
