import sqlite3 from 'sqlite3'

/** Runs statements on a database file behind Vivarium's back. Returns the rows of the last one. */
export async function rawSql(file: string, ...statements: string[]): Promise<Record<string, unknown>[]> {
  const database = await new Promise<sqlite3.Database>((resolve, reject) => {
    const opened: sqlite3.Database = new sqlite3.Database(file, (error) => (error ? reject(error) : resolve(opened)))
  })
  try {
    let rows: Record<string, unknown>[] = []
    for (const statement of statements) rows = await all(database, statement)
    return rows
  } finally {
    await new Promise((resolve) => database.close(resolve))
  }
}

function all(database: sqlite3.Database, statement: string): Promise<Record<string, unknown>[]> {
  return new Promise((resolve, reject) => {
    database.all<Record<string, unknown>>(statement, (error, rows) => (error ? reject(error) : resolve(rows)))
  })
}
