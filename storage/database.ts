import { chmod, mkdir, statfs } from 'node:fs/promises'
import path from 'node:path'
import sqlite3 from 'sqlite3'
import { VmmError } from '../vmm/model/errors'
import { MIGRATIONS } from './migrations'

const WAY_OUT =
  'Restore the data folder from a backup, or move it aside to begin afresh; images and disks in it stay usable.'

/** SQLite's index of the write-ahead log: 32 KiB, and the log's first page. */
const MAPPED_BYTES = 40 * 1024

export type Value = string | number | null
export type Row = Record<string, unknown>

/** The text in a column that may be empty. */
export function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

/** What can be done within a transaction. */
export interface Transaction {
  run(sql: string, values?: Value[]): Promise<number>
  all(sql: string, values?: Value[]): Promise<Row[]>
}

/**
 * One SQLite database: WAL, foreign keys, every commit synced to the disk before it is acknowledged. Statements
 * run one after another; a transaction keeps others out until it is over.
 */
export class Database {
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(private readonly connection: sqlite3.Database) {}

  /** Opens or makes the database, and brings it to the newest schema. */
  static async open(file: string): Promise<Database> {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
    const connection = await new Promise<sqlite3.Database>((resolve, reject) => {
      const opened: sqlite3.Database = new sqlite3.Database(file, (error) =>
        error ? reject(unusable(file, error)) : resolve(opened),
      )
    })
    const database = new Database(connection)
    try {
      await database.#prepare()
      await chmod(file, 0o600)
    } catch (error) {
      await database.close()
      if (error instanceof VmmError && error.kind !== 'internal') throw error
      throw (await hasRoom(file)) ? unusable(file, error) : diskFull(error)
    }
    return database
  }

  /** Runs one statement; returns how many rows it changed. */
  run(sql: string, values: Value[] = []): Promise<number> {
    return this.#inTurn(() => this.#run(sql, values))
  }

  all(sql: string, values: Value[] = []): Promise<Row[]> {
    return this.#inTurn(() => this.#all(sql, values))
  }

  async get(sql: string, values: Value[] = []): Promise<Row | undefined> {
    return (await this.all(sql, values))[0]
  }

  /** Runs the statements that `work` issues as one: all of them, or none. */
  transaction<T>(work: (inside: Transaction) => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      await this.#run('BEGIN IMMEDIATE', [])
      try {
        const result = await work({
          run: (sql, values) => this.#run(sql, values ?? []),
          all: (sql, values) => this.#all(sql, values ?? []),
        })
        await this.#run('COMMIT', [])
        return result
      } catch (error) {
        // SQLite may have rolled back by itself, as it does on a full disk; why is what matters
        await this.#run('ROLLBACK', []).catch(() => undefined)
        throw error
      }
    })
  }

  close(): Promise<void> {
    return this.#inTurn(
      () =>
        new Promise<void>((resolve, reject) => {
          this.connection.close((error) => (error ? reject(error) : resolve()))
        }),
    )
  }

  async #prepare(): Promise<void> {
    for (const pragma of ['journal_mode = WAL', 'synchronous = FULL', 'foreign_keys = ON', 'busy_timeout = 5000']) {
      await this.all(`PRAGMA ${pragma}`)
    }
    const row = await this.get('PRAGMA user_version')
    const version = Number(row?.user_version)
    if (version > MIGRATIONS.length) {
      throw new VmmError('unsupported', 'The data folder was written by a newer version of Vivarium.', {
        hint: 'Update Vivarium, or choose another data folder with VIVARIUM_HOME.',
      })
    }
    for (const [index, statements] of MIGRATIONS.entries()) {
      if (index < version) continue
      await this.transaction(async (inside) => {
        for (const sql of statements) await inside.run(sql)
        await inside.run(`PRAGMA user_version = ${index + 1}`)
      })
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  #run(sql: string, values: Value[]): Promise<number> {
    return new Promise((resolve, reject) => {
      this.connection.run(sql, values, function (error) {
        if (error) reject(storageError(error))
        else resolve(this.changes)
      })
    })
  }

  #all(sql: string, values: Value[]): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      this.connection.all<Row>(sql, values, (error, rows) => (error ? reject(storageError(error)) : resolve(rows)))
    })
  }
}

function storageError(error: Error): VmmError {
  switch ('code' in error ? error.code : '') {
    case 'SQLITE_FULL':
      return diskFull(error)
    case 'SQLITE_CORRUPT':
    case 'SQLITE_NOTADB':
      return new VmmError('damaged', 'The database of Vivarium is damaged.', { hint: WAY_OUT, cause: error })
    default:
      return new VmmError('internal', `The change could not be stored: ${error.message}`, { cause: error })
  }
}

function diskFull(cause: unknown): VmmError {
  return new VmmError('disk-full', 'The change could not be stored: the disk is full.', {
    hint: 'Free some space on the disk that holds the Vivarium data folder and try again.',
    cause,
  })
}

/** Opening fails with an unspecific error where there is no room for the files that SQLite maps into memory. */
async function hasRoom(file: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(path.dirname(file))
  return bavail * bsize > MAPPED_BYTES
}

function unusable(file: string, cause: unknown): VmmError {
  return new VmmError('damaged', 'The database of Vivarium cannot be opened.', {
    hint: WAY_OUT,
    context: { file },
    cause,
  })
}
