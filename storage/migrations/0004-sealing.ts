/** What a domain keeps is sealed with a key; base hives of the Windows registry are shared by domains. */
export const sealing: readonly string[] = [
  // the id of the key; '' for what is kept plain, as everything before this was
  `ALTER TABLE domains ADD COLUMN key_id TEXT NOT NULL DEFAULT ''`,

  `CREATE TABLE hives (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    source TEXT NOT NULL,
    key_id TEXT NOT NULL,
    keys INTEGER NOT NULL,
    "values" INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT`,
]
