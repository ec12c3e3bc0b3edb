import path from 'node:path'
import { AuditLog } from './audit'
import { Database } from './database'
import { DomainTable } from './domains'
import { HiveTable } from './hives'
import { ImageTable } from './images'
import { NetworkTables } from './networks'
import { SettingsTable } from './settings'
import { SnapshotTable } from './snapshots'
import { TaskTable } from './tasks'

export type { AuditEntry, AuditLevel } from './audit'
export type { DamagedDomain, DomainRecord, StoredDomain } from './domains'
export type { HiveRecord } from './hives'
export type { CaptureRecord, LeaseRecord, MirrorRecord } from './networks'
export type { SnapshotRecord } from './snapshots'
export type { TaskRecord } from './tasks'

/** Everything Vivarium keeps in its database, by table family. */
export class Storage {
  readonly domains: DomainTable
  readonly images: ImageTable
  readonly snapshots: SnapshotTable
  readonly tasks: TaskTable
  readonly settings: SettingsTable
  readonly audit: AuditLog
  readonly networks: NetworkTables
  readonly hives: HiveTable

  private constructor(private readonly database: Database) {
    this.domains = new DomainTable(database)
    this.images = new ImageTable(database)
    this.snapshots = new SnapshotTable(database)
    this.tasks = new TaskTable(database)
    this.settings = new SettingsTable(database)
    this.audit = new AuditLog(database)
    this.networks = new NetworkTables(database)
    this.hives = new HiveTable(database)
  }

  static async open(dataFolder: string): Promise<Storage> {
    return new Storage(await Database.open(path.join(dataFolder, 'vivarium.db')))
  }

  close(): Promise<void> {
    return this.database.close()
  }
}
