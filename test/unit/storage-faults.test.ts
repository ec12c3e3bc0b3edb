import { fork } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Storage } from '../../storage'
import { below } from '../support/random-values'
import { domainRecord, snapshotRecord } from '../support/records'
import { seededRandom } from '../support/seeded-random'
import { fillDisk, NO_SMALL_DISK, smallDisk } from '../support/small-disk'
import { temporaryFolder } from '../support/temporary-folder'

const SPEC = { ...domainRecord().spec, notes: 'x'.repeat(2000) }

/** Commits to the database in `folder` without end, in a process of its own; tells each commit once it is acknowledged. */
async function startWriter(folder: string) {
  const script = join(folder, 'writer.mjs')
  const vite = pathToFileURL(createRequire(import.meta.url).resolve('vite')).href
  writeFileSync(
    script,
    `import { runnerImport } from ${JSON.stringify(vite)}
     const load = async (file) => (await runnerImport(file, { root: ${JSON.stringify(resolve('.'))}, configFile: false })).module
     const { Storage } = await load(${JSON.stringify(resolve('storage/index.ts'))})
     const { domainRecord, snapshotRecord } = await load(${JSON.stringify(resolve('test/support/records.ts'))})
     const storage = await Storage.open(${JSON.stringify(folder)})
     for (let n = 1; ; n++) {
       const domain = domainRecord({ id: 'd' + n })
       await storage.domains.insert(domain)
       await storage.snapshots.insertAsCurrent(snapshotRecord(domain.id, { id: 's' + n }))
       await storage.audit.append({ at: n, domainId: domain.id, event: 'e', level: 'info', message: '' })
       process.send(n)
     }`,
  )
  const child = fork(script, { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const acknowledged = { last: 0 }
  child.on('message', (n) => (acknowledged.last = Number(n)))
  await once(child, 'message')
  return { child, acknowledged }
}

test('kill -9 in the middle of many commits loses nothing that was acknowledged', async () => {
  const { random } = seededRandom()
  for (let round = 0; round < 3; round++) {
    const folder = temporaryFolder()
    const { child, acknowledged } = await startWriter(folder)
    await delay(below(random, 400))
    child.kill('SIGKILL')
    await once(child, 'exit')

    const storage = await Storage.open(folder)
    const domains = await storage.domains.list()
    const snapshots = await storage.snapshots.list()
    const audit = await storage.audit.read({ limit: 1_000_000 })
    await storage.close()

    const current = domains.flatMap((stored) => (stored.ok ? [stored.record.currentSnapshot] : ['damaged']))
    expect(acknowledged.last).toBeGreaterThan(0)
    expect(audit.length).toBeGreaterThanOrEqual(acknowledged.last)
    expect(audit.map(({ seq }) => seq)).toEqual(audit.map((_, index) => index + 1))
    expect(current.filter((id) => id !== null).length, 'a snapshot and the mark of it are one').toBe(snapshots.length)
    expect(snapshots.length).toBeGreaterThanOrEqual(acknowledged.last)
    expect(domains.length - snapshots.length).toBeLessThanOrEqual(1)
  }
})

/** Performs `write` until it fails. Returns how often it went well, and why it did not in the end. */
async function untilFull(write: (n: number) => Promise<unknown>): Promise<{ written: number; failure: unknown }> {
  for (let written = 0; ; written++) {
    try {
      await write(written)
    } catch (failure) {
      return { written, failure }
    }
  }
}

describe.skipIf(NO_SMALL_DISK !== '')(`on a full disk ${NO_SMALL_DISK && `(skipped: ${NO_SMALL_DISK})`}`, () => {
  test.each([
    ['inserts', (storage: Storage, n: number) => storage.domains.insert(domainRecord({ id: `n${n}`, spec: SPEC }))],
    [
      'transactions',
      (storage: Storage, n: number) => storage.settings.put({ [`k${n}`]: 'x'.repeat(2000), [`l${n}`]: 1 }),
    ],
    [
      'log entries',
      (storage: Storage) =>
        storage.audit.append({ at: 1, domainId: null, event: 'e', level: 'info', message: 'x'.repeat(2000) }),
    ],
  ] as const)('%s are refused with kind disk-full, and what was acknowledged stays', async (_, write) => {
    const folder = smallDisk(1500)
    const storage = await Storage.open(folder)
    onTestFinished(() => storage.close().catch(() => undefined))
    const first = domainRecord()
    await storage.domains.insert(first)

    const { written, failure } = await untilFull((n) => write(storage, n))
    const again = await write(storage, written).catch((error: unknown) => error)

    expect(failure).toMatchObject({
      kind: 'disk-full',
      message: 'The change could not be stored: the disk is full.',
      hint: expect.stringContaining('Free some space'),
    })
    expect(again).toMatchObject({ kind: 'disk-full' })
    expect(await counts(storage)).toBe(1 + written)
  })

  test('a snapshot record that does not fit is not current either', async () => {
    const folder = smallDisk(1500)
    const storage = await Storage.open(folder)
    onTestFinished(() => storage.close().catch(() => undefined))
    const domain = domainRecord()
    await storage.domains.insert(domain)
    const description = 'x'.repeat(5000)

    const { written, failure } = await untilFull((n) =>
      storage.snapshots.insertAsCurrent(snapshotRecord(domain.id, { id: `s${n}`, description })),
    )

    expect(failure).toMatchObject({ kind: 'disk-full' })
    expect((await storage.snapshots.list()).length).toBe(written)
    expect(await storage.domains.list()).toMatchObject([{ record: { currentSnapshot: `s${written - 1}` } }])
  })

  test('goes on when there is room again, also after it was closed and opened', async () => {
    const folder = smallDisk(1500)
    const storage = await Storage.open(folder)
    const filler = fillDisk(folder, 0)
    const { written } = await untilFull((n) => storage.domains.insert(domainRecord({ id: `n${n}`, spec: SPEC })))
    rmSync(filler)

    await storage.domains.insert(domainRecord({ id: 'after' }))
    await storage.close()
    const reopened = await Storage.open(folder)
    const kept = (await reopened.domains.list()).length
    await reopened.close()

    expect(kept).toBe(written + 1)
  })

  test.each([0, 4, 16, 64])('a database with %d KiB of room opens or says that the disk is full', async (kib) => {
    const folder = smallDisk(300)
    fillDisk(folder, kib)

    const opened = await Storage.open(folder).then(
      (storage) => storage.close(),
      (error: unknown) => error,
    )

    expect([undefined, expect.objectContaining({ kind: 'disk-full' })]).toContainEqual(opened)
  })
})

async function counts(storage: Storage): Promise<number> {
  const settings = Object.keys(await storage.settings.all()).length / 2
  const audit = (await storage.audit.read({ limit: 100_000 })).length
  return (await storage.domains.list()).length + settings + audit
}
