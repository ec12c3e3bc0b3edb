/** Domains, images, snapshots, tasks, settings and the audit log. Times are milliseconds since the Unix epoch. */
export const foundation: readonly string[] = [
  `CREATE TABLE images (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    files TEXT NOT NULL,
    cmdline TEXT NOT NULL,
    agent INTEGER NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT`,

  // spec is JSON; image_id is inside it, unchecked on purpose: a domain outlives its image
  `CREATE TABLE domains (
    id TEXT PRIMARY KEY,
    spec TEXT NOT NULL,
    mac TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    state_reason TEXT NOT NULL,
    state_version TEXT NOT NULL,
    current_snapshot TEXT REFERENCES snapshots (id) ON DELETE SET NULL,
    ephemeral INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    trashed_at INTEGER
  ) STRICT`,

  `CREATE TABLE snapshots (
    id TEXT PRIMARY KEY,
    domain_id TEXT NOT NULL REFERENCES domains (id) ON DELETE CASCADE,
    parent_id TEXT REFERENCES snapshots (id) ON DELETE SET NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    live INTEGER NOT NULL,
    memory_mib INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    state_version TEXT NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT`,
  'CREATE INDEX snapshots_of_domain ON snapshots (domain_id)',

  `CREATE TABLE tasks (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    domain_id TEXT,
    state TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    failure TEXT,
    result_id TEXT NOT NULL
  ) STRICT`,

  'CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT',

  `CREATE TABLE audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    domain_id TEXT,
    event TEXT NOT NULL,
    level TEXT NOT NULL,
    message TEXT NOT NULL
  ) STRICT`,
  'CREATE INDEX audit_of_domain ON audit (domain_id, seq)',
  `CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE (ABORT, 'the audit log is append-only'); END`,
  `CREATE TRIGGER audit_is_never_cut BEFORE DELETE ON audit
    BEGIN SELECT RAISE (ABORT, 'the audit log is append-only'); END`,
]
