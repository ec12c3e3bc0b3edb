import { mkdirSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Storage } from '../../storage'
import { MIGRATIONS } from '../../storage/migrations'
import { PLAIN_HARDWARE } from '../../vmm/model/hardware'
import { bytes } from '../support/random-values'
import { rawSql } from '../support/raw-database'
import { domainRecord, snapshotRecord } from '../support/records'
import { seededRandom } from '../support/seeded-random'
import { temporaryFolder } from '../support/temporary-folder'

const SCHEMA = 'SELECT type, name, sql FROM sqlite_master ORDER BY type, name'

async function open(folder: string): Promise<Storage> {
  const storage = await Storage.open(folder)
  onTestFinished(() => storage.close().catch(() => undefined))
  return storage
}

/** A data folder with one good domain, and its database file. */
async function folderWith(...records: ReturnType<typeof domainRecord>[]) {
  const folder = temporaryFolder()
  const storage = await Storage.open(folder)
  for (const record of records) await storage.domains.insert(record)
  await storage.close()
  return { folder, file: join(folder, 'vivarium.db') }
}

describe('migrations', () => {
  test('a fresh database is at the newest version, private, and loses nothing acknowledged to a power cut', async () => {
    const { folder, file } = await folderWith()

    expect(await rawSql(file, 'PRAGMA user_version')).toEqual([{ user_version: MIGRATIONS.length }])
    expect(await rawSql(file, 'PRAGMA journal_mode')).toEqual([{ journal_mode: 'wal' }])
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(statSync(folder).mode & 0o777).toBe(0o700)
  })

  test.each(MIGRATIONS.map((_, version) => ({ version })))(
    'version $version comes to the newest schema',
    async ({ version }) => {
      const folder = temporaryFolder()
      const file = join(folder, 'vivarium.db')
      await rawSql(file, ...MIGRATIONS.slice(0, version).flat(), `PRAGMA user_version = ${version}`)

      await (await Storage.open(folder)).close()

      const fresh = await folderWith()
      expect(await rawSql(file, SCHEMA)).toEqual(await rawSql(fresh.file, SCHEMA))
    },
  )

  test('version 1 keeps its snapshots, of hardware that is not known', async () => {
    const folder = temporaryFolder()
    const file = join(folder, 'vivarium.db')
    const columns = 'id, domain_id, parent_id, name, description, live, memory_mib, bytes, state_version, created_at'
    const { id, ...old } = domainRecord()
    const spec = { name: 'old', engine: 'embedded', imageId: 'none', memoryMiB: 64, diskMiB: 0 }
    await rawSql(
      file,
      ...(MIGRATIONS[0] ?? []),
      `INSERT INTO domains VALUES ('${id}', '${JSON.stringify(spec)}', '${old.mac}', 'off', '', '', NULL, 0, 1, NULL)`,
      `INSERT INTO snapshots (${columns}) VALUES ('s1', '${id}', NULL, 'first', '', 0, 64, 5, 'v', 1)`,
      `INSERT INTO snapshots (${columns}) VALUES ('s2', '${id}', 's1', 'second', '', 1, 64, 5, 'v', 2)`,
      'PRAGMA user_version = 1',
    )

    const storage = await open(folder)

    const snapshots = await storage.snapshots.list()
    expect(snapshots.map((snapshot) => [snapshot.id, snapshot.parentId, snapshot.hardware])).toEqual([
      ['s1', null, null],
      ['s2', 's1', null],
    ])
    const record = { spec: { ...spec, ...PLAIN_HARDWARE }, keyId: '' }
    expect(await storage.domains.list()).toMatchObject([{ ok: true, record }])
    expect(await storage.hives.list()).toEqual([])
  })

  test('a newer version is refused with the next step, and left as it is', async () => {
    const { folder, file } = await folderWith()
    await rawSql(file, `PRAGMA user_version = ${MIGRATIONS.length + 1}`)

    await expect(Storage.open(folder)).rejects.toMatchObject({
      kind: 'unsupported',
      hint: expect.stringContaining('Update Vivarium'),
    })

    expect(await rawSql(file, 'PRAGMA user_version')).toEqual([{ user_version: MIGRATIONS.length + 1 }])
  })

  test('opening twice changes nothing', async () => {
    const record = domainRecord()
    const { folder } = await folderWith(record)

    await (await Storage.open(folder)).close()

    expect(await (await open(folder)).domains.list()).toEqual([{ ok: true, record }])
  })
})

describe('the schema', () => {
  test.each([
    ["INSERT INTO domains VALUES ('a', '{}', 'm', 'off', '', '', NULL, 'no', 1, NULL, '', 0)", 'INTEGER'],
    ["INSERT INTO domains VALUES ('a', '{}', 'm', 'off', '', '', NULL, 0, 'now', NULL, '', 0)", 'INTEGER'],
    ["INSERT INTO domains VALUES ('a', '{}', NULL, 'off', '', '', NULL, 0, 1, NULL, '', 0)", 'NOT NULL'],
    ["INSERT INTO settings VALUES ('theme', x'00')", 'TEXT'],
    ["INSERT INTO audit VALUES (NULL, 'then', NULL, 'e', 'info', '')", 'INTEGER'],
    ["INSERT INTO tasks VALUES ('a', 'k', 't', NULL, 'done', 0.5, NULL, NULL, '')", 'INTEGER'],
    ["INSERT INTO images VALUES ('a', 'n', 'disk', '[]', '', 'yes', 1)", 'INTEGER'],
  ])('%s is refused', async (statement, why) => {
    const { file } = await folderWith()

    await expect(rawSql(file, statement)).rejects.toThrow(why)
  })

  test.each(['UPDATE audit SET message = 0', "UPDATE audit SET at = at + 1 WHERE event = 'e'", 'DELETE FROM audit'])(
    'the audit log refuses %s, also from outside',
    async (statement) => {
      const { folder, file } = await folderWith()
      const storage = await open(folder)
      await storage.audit.append({ at: 1, domainId: null, event: 'e', level: 'info', message: 'kept' })

      await expect(rawSql(file, statement)).rejects.toThrow('append-only')

      expect(await storage.audit.read({ limit: 10 })).toMatchObject([{ seq: 1, message: 'kept' }])
    },
  )

  test('the audit log is read in pages, newest page first, oldest entry first', async () => {
    const storage = await open(temporaryFolder())
    for (let at = 1; at <= 7; at++) {
      await storage.audit.append({ at, domainId: at % 2 ? 'odd' : null, event: 'e', level: 'info', message: '' })
    }

    const seqs = async (query: { domainId?: string; before?: number; limit: number }) =>
      (await storage.audit.read(query)).map((entry) => entry.seq)

    expect(await seqs({ limit: 3 })).toEqual([5, 6, 7])
    expect(await seqs({ limit: 3, before: 5 })).toEqual([2, 3, 4])
    expect(await seqs({ limit: 3, domainId: 'odd' })).toEqual([3, 5, 7])
  })
})

describe('a damaged row', () => {
  const good = domainRecord()
  const bad = domainRecord()

  test.each([
    ['a spec that is not JSON', "spec = '{'"],
    ['a spec of another shape', "spec = '[]'"],
    ['a spec with an unknown field', `spec = json_set(spec, '$.turbo', 1)`],
    ['a spec with impossible memory', `spec = json_set(spec, '$.memoryMiB', -1)`],
    ['an unknown state', "state = 'floating'"],
    ['a bad MAC address', "mac = 'aa:bb'"],
  ])('with %s greys out its domain and not the list', async (_, change) => {
    const { folder, file } = await folderWith(good, bad)
    await rawSql(file, `UPDATE domains SET ${change} WHERE id = '${bad.id}'`)

    const stored = await (await open(folder)).domains.list()

    expect(stored).toContainEqual({ ok: true, record: good })
    expect(stored).toContainEqual({
      ok: false,
      damaged: expect.objectContaining({
        id: bad.id,
        damage: expect.stringMatching(/^The stored record cannot be read: ./),
      }),
    })
  })

  test.each([
    ['a task whose failure is not JSON', "INSERT INTO tasks VALUES ('t', 'k', 'T', NULL, 'failed', 1, 2, '{', '')"],
    ['a task whose failure is a number', "INSERT INTO tasks VALUES ('t', 'k', 'T', NULL, 'failed', 1, 2, '5', '')"],
    ['a task in no known state', "INSERT INTO tasks VALUES ('t', 'k', 'T', NULL, 'dreaming', 1, 2, NULL, '')"],
    ['an image of no known kind', "INSERT INTO images VALUES ('i', 'I', 'tape', '[]', '', 0, 1)"],
    [
      'an image whose file is a path',
      `INSERT INTO images VALUES ('i', 'I', 'disk', '[{"role":"disk","name":"../x","bytes":1,"sha256":""}]', '', 0, 1)`,
    ],
    ['a setting that is not JSON', "INSERT INTO settings VALUES ('theme', 'dark')"],
  ])('%s hides itself at most', async (_, insert) => {
    const { folder, file } = await folderWith()
    await rawSql(file, insert)
    const storage = await open(folder)

    const tasks = await storage.tasks.list()

    expect(tasks.filter(({ state }) => !['running', 'done', 'failed', 'cancelled'].includes(state))).toEqual([])
    expect(tasks.filter(({ failure }) => failure !== null && typeof failure.message !== 'string')).toEqual([])
    expect(await storage.images.list()).toEqual([])
    expect(await storage.settings.all()).toEqual({})
  })
})

describe('a database that is none', () => {
  test.each(['text', 'noise', 'a cut-off database'])('%s is told as damaged, and left as it is', async (what) => {
    const { random } = seededRandom()
    const { folder, file } = await folderWith(domainRecord())
    const spoil: Record<string, () => void> = {
      text: () => writeFileSync(file, 'these are not the rows you are looking for\n'.repeat(100)),
      noise: () => writeFileSync(file, bytes(random, 20_000)),
      'a cut-off database': () => truncateSync(file, 5000),
    }
    spoil[what]?.()
    const { size } = statSync(file)

    await expect(Storage.open(folder).then((storage) => storage.domains.list())).rejects.toMatchObject({
      kind: 'damaged',
      hint: expect.stringContaining('backup'),
    })

    expect(statSync(file).size).toBe(size)
  })

  test('a folder in its place is told as damaged', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'vivarium.db'))

    await expect(Storage.open(folder)).rejects.toMatchObject({ kind: 'damaged' })
  })
})

describe('transactions', () => {
  test('a snapshot is stored and made current, or neither', async () => {
    const record = domainRecord()
    const storage = await open((await folderWith(record)).folder)
    const first = snapshotRecord(record.id)

    await storage.snapshots.insertAsCurrent(first)
    await expect(storage.snapshots.insertAsCurrent({ ...first, name: 'the same id' })).rejects.toBeDefined()
    await expect(storage.snapshots.insertAsCurrent(snapshotRecord('no such domain'))).rejects.toBeDefined()

    expect(await storage.snapshots.list()).toEqual([first])
    expect(await storage.domains.list()).toMatchObject([{ record: { currentSnapshot: first.id } }])
  })

  test('deleting a snapshot moves children and present state to its parent', async () => {
    const record = domainRecord()
    const storage = await open((await folderWith(record)).folder)
    const [a, b, c] = [snapshotRecord(record.id), snapshotRecord(record.id), snapshotRecord(record.id)]
    await storage.snapshots.insertAsCurrent({ ...a, createdAt: 1 })
    await storage.snapshots.insertAsCurrent({ ...c, parentId: a.id, createdAt: 3 })
    await storage.snapshots.insertAsCurrent({ ...b, parentId: a.id, createdAt: 2 })
    await storage.snapshots.remove({ ...b, parentId: a.id })

    expect(await storage.domains.list()).toMatchObject([{ record: { currentSnapshot: a.id } }])
    await storage.snapshots.remove(a)
    expect(await storage.snapshots.list()).toMatchObject([{ id: c.id, parentId: null }])
    expect(await storage.domains.list()).toMatchObject([{ record: { currentSnapshot: null } }])
  })

  test('deleting a domain takes its snapshots along and leaves the log', async () => {
    const record = domainRecord()
    const storage = await open((await folderWith(record)).folder)
    await storage.snapshots.insertAsCurrent(snapshotRecord(record.id))
    await storage.audit.append({ at: 1, domainId: record.id, event: 'e', level: 'info', message: '' })

    await storage.domains.remove(record.id)

    expect(await storage.snapshots.list()).toEqual([])
    expect(await storage.audit.read({ domainId: record.id, limit: 9 })).toHaveLength(1)
  })

  test('old tasks are forgotten, new ones are not', async () => {
    const storage = await open(temporaryFolder())
    const task = {
      kind: 'domain.start',
      title: 'T',
      domainId: null,
      state: 'done' as const,
      endedAt: 1,
      failure: null,
      resultId: '',
    }
    for (let n = 1; n <= 230; n++) await storage.tasks.put({ ...task, id: `t${n}`, startedAt: n })

    const kept = await storage.tasks.list()

    expect([kept.length, kept[0]?.id, kept.at(-1)?.id]).toEqual([200, 't31', 't230'])
  })
})
