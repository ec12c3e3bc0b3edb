import type { Database } from './database'

/** Small values by key; what they mean is the services' business. */
export class SettingsTable {
  constructor(private readonly database: Database) {}

  /** A value that cannot be read counts as absent. */
  async all(): Promise<Record<string, unknown>> {
    const settings: Record<string, unknown> = {}
    for (const row of await this.database.all('SELECT key, value FROM settings')) {
      try {
        settings[String(row.key)] = JSON.parse(String(row.value))
      } catch {
        continue
      }
    }
    return settings
  }

  async put(values: Record<string, unknown>): Promise<void> {
    await this.database.transaction(async (inside) => {
      for (const [key, value] of Object.entries(values)) {
        await inside.run('INSERT OR REPLACE INTO settings VALUES (?, ?)', [key, JSON.stringify(value)])
      }
    })
  }
}
