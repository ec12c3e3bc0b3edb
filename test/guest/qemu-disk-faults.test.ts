import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync, writeSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { VmmError } from '../../vmm/model/errors'
import { contentFiles, damagedFiles, readMark, startAndWait, writeMark } from '../support/guest-disks'
import { endMachines, NO_QEMU, qemuPid } from '../support/qemu-machines'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish, openVivarium, startDomain, until, type TestVivarium } from '../support/vivarium'

const folder = temporaryFolderForFile()

describe.skipIf(NO_QEMU !== '')(`disks of QEMU that cannot be used ${NO_QEMU}`, () => {
  let vivarium: TestVivarium
  let id = ''

  beforeAll(async () => {
    await seedStarter(folder)
    vivarium = await openVivarium(folder)
    id = await startDomain(vivarium.call, 'Bruised', { engine: 'qemu', memoryMiB: 80, diskMiB: 64 })
    await writeMark(vivarium.call, id, 'content')
  })

  afterAll(async () => {
    await vivarium.close()
    await endMachines(folder)
  })

  const startFailure = () =>
    finish(vivarium.call, vivarium.call('domains.start', { id })).then(
      () => 'it started',
      (error: unknown) => error as VmmError,
    )

  async function killQemu(): Promise<void> {
    process.kill(qemuPid(folder, id), 'SIGKILL')
    await until(vivarium.call, id, ({ state }) => state === 'crashed', 10_000)
  }

  test('a structure that a crash has left damaged is told with its disk, and a mended copy takes its place', async () => {
    const { call } = vivarium
    await killQemu()
    const damaged = top()
    breakRefcount(damaged)

    const failure = await startFailure()
    expect(failure).toMatchObject({ kind: 'damaged', hint: 'Repair it: a mended copy takes its place.' })
    expect(JSON.stringify((failure as VmmError).context)).toContain('disk')
    expect((await call('domains.get', { id })).state).toBe('crashed')

    await finish(call, call('disks.repair', { id, disk: 'disk' }))
    await startAndWait(call, id)

    expect(await readMark(call, id)).toBe('content')
    expect(contentFiles(folder), 'the damaged one is kept').toContain(path.basename(damaged))
    expect(damagedFiles(folder).filter((line) => !line.startsWith(path.basename(damaged)))).toEqual([])
  })

  test('a hopeless one says so, and a snapshot is a way out', async () => {
    const { call } = vivarium
    const { resultId: snapshotId } = await finish(call, call('snapshots.create', { id, memory: false }))
    await writeMark(call, id, 'lost')
    await killQemu()
    overwrite(top(), 0, Buffer.alloc(4096, 0x5a))

    const failure = await startFailure()
    const repair: unknown = await finish(call, call('disks.repair', { id, disk: 'disk' })).catch(
      (error: unknown) => error,
    )

    expect(failure).toMatchObject({ kind: 'damaged', hint: 'Revert to a snapshot.' })
    expect(repair).toMatchObject({ kind: 'damaged', hint: 'Revert to a snapshot.' })
    await finish(call, call('snapshots.revert', { id, snapshotId }))
    await startAndWait(call, id)
    expect(await readMark(call, id)).toBe('content')
    await finish(call, call('snapshots.delete', { id, snapshotId }))
  })

  test('a disk that another program has open is a conflict, and who that is, is said', async () => {
    const { call } = vivarium
    await call('domains.forceOff', { id })
    const file = top()
    const holders: [string, string[], RegExp][] = [
      ['qemu-io', ['-f', 'qcow2', file], /^A disk of the domain is in use by qemu-io \(process \d+\)\.$/],
      [
        'qemu-system-x86_64',
        ['-name', 'guest=Its, twin', '-display', 'none', '-S', '-nodefaults', '-drive', `file=${file},format=qcow2`],
        /^A disk of the domain is in use by the machine of Its, twin \(process \d+\)\.$/,
      ],
    ]
    for (const [program, args, message] of holders) {
      const words = args.map((word) => (word.startsWith('guest=') ? word.replaceAll(',', ',,') : word))
      const holder = spawn(program, words, { stdio: ['pipe', 'ignore', 'inherit'] })
      await opened(holder, file)

      expect(await startFailure()).toMatchObject({ kind: 'conflict', message: expect.stringMatching(message) })
      expect((await call('domains.get', { id })).state).toBe('off')
      await ended(holder)
    }
    await startAndWait(call, id)
    expect(await readMark(call, id)).toBe('content')
  })

  /** The content file that the domain's machine wrote to last. */
  function top(): string {
    const { top } = JSON.parse(readFileSync(path.join(folder, 'domains', id, 'disk.layer'), 'utf8')) as { top: string }
    return path.join(folder, 'layers', `${top}.qcow2`)
  }
})

/** Says of the cluster of the first L2 table that nobody uses it. */
function breakRefcount(file: string): void {
  const refcountTable = read64(file, 48)
  const block = read64(file, refcountTable)
  const l2 = Number(BigInt(read64(file, read64(file, 40))) & 0x00ff_ffff_ffff_fe00n)
  overwrite(file, block + (l2 / 65_536) * 2, Buffer.from([0, 0]))
}

function read64(file: string, at: number): number {
  const handle = openSync(file, 'r')
  const bytes = Buffer.alloc(8)
  readSync(handle, bytes, 0, 8, at)
  closeSync(handle)
  return Number(bytes.readBigUInt64BE() & 0x00ff_ffff_ffff_ffffn)
}

function overwrite(file: string, at: number, bytes: Buffer): void {
  const handle = openSync(file, 'r+')
  writeSync(handle, bytes, 0, bytes.length, at)
  closeSync(handle)
}

/** Waits until a process has a file open. */
async function opened({ pid }: ChildProcess, file: string): Promise<void> {
  const links = () => {
    try {
      return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
    } catch {
      return []
    }
  }
  await expect.poll(links, { timeout: 10_000 }).toContain(file)
}

async function ended(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
}
