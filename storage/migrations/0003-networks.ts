/** Virtual networks: segments by name, the address of each network card, mirrors between cards, and captures. */
export const networks: readonly string[] = [
  'CREATE TABLE segments (name TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE) STRICT',

  // segment '' is the gateway's own network; an address is an unsigned 32-bit number
  `CREATE TABLE leases (
    domain_id TEXT NOT NULL REFERENCES domains (id) ON DELETE CASCADE,
    nic INTEGER NOT NULL,
    segment TEXT NOT NULL,
    address INTEGER NOT NULL UNIQUE,
    leased_at INTEGER,
    PRIMARY KEY (domain_id, nic, segment)
  ) STRICT`,

  `CREATE TABLE mirrors (
    id TEXT PRIMARY KEY,
    source_domain TEXT NOT NULL REFERENCES domains (id) ON DELETE CASCADE,
    source_nic INTEGER NOT NULL,
    target_domain TEXT NOT NULL REFERENCES domains (id) ON DELETE CASCADE,
    target_nic INTEGER NOT NULL,
    stage TEXT NOT NULL,
    direction TEXT NOT NULL
  ) STRICT`,

  // a capture outlives what was captured
  `CREATE TABLE captures (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    domain_id TEXT,
    nic INTEGER,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    frames INTEGER NOT NULL,
    dropped INTEGER NOT NULL,
    reason TEXT NOT NULL
  ) STRICT`,
]
