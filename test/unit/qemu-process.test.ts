import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { chmod, lstat, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { QemuHosts } from '../../vmm/engine/qemu-host'
import { LayerStore } from '../../vmm/engine/qemu-layers'
import { machineUuid, QemuProcess } from '../../vmm/engine/qemu-process'
import { removeRunFolder, runFolder } from '../../vmm/engine/run-folder'
import { QemuRuns } from '../../vmm/engine/qemu-runs'
import { kindOf } from '../support/outcome'
import { temporaryFolder } from '../support/temporary-folder'

const UUID = machineUuid('domain-1')

/** A process whose command line names the machine, as QEMU's does. */
function pretender(uuid: string, words = ['-uuid', uuid]): ChildProcess & { pid: number } {
  const child = spawn('sh', ['-c', 'read -r line; exit 0', ...words], { stdio: ['pipe', 'ignore', 'ignore'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child as ChildProcess & { pid: number }
}

function folderWithPid(pid: string): string {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'pid'), pid)
  return folder
}

test("a machine's UUID follows from its domain, and is one of RFC 9562", () => {
  const uuids = Array.from({ length: 500 }, (_, index) => machineUuid(`domain-${index}`))
  for (const uuid of uuids)
    expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(new Set(uuids).size).toBe(uuids.length)
  expect(machineUuid('domain-1')).toBe(UUID)
})

describe.skipIf(process.platform === 'win32')('a QEMU process of an earlier main', () => {
  test('is found by its pid and its machine, and ended', async () => {
    const child = pretender(UUID)
    const exit = once(child, 'exit')
    const found = await QemuProcess.find(folderWithPid(`${child.pid}\n`), UUID)
    expect(found?.pid).toBe(child.pid)
    await found?.kill()
    expect(await exit).toEqual([null, 'SIGKILL'])
  })

  test('is seen to end', async () => {
    const child = pretender(UUID)
    const found = await QemuProcess.find(folderWithPid(String(child.pid)), UUID)
    child.stdin?.end('\n')
    await found?.gone
    expect(child.exitCode).toBe(0)
  })

  test.each(['', 'x', '-1', '0', '1', '99999999999999999999', '9999999999', '1.5', '0x10', '7 8', ' 7', '1\n2'])(
    'is not believed to be the one of the pid %j',
    async (pid) => {
      expect(await QemuProcess.find(folderWithPid(pid), UUID)).toBeNull()
    },
  )

  test('is not the process of another machine, nor one that is dead', async () => {
    const others = [
      pretender(machineUuid('domain-2')),
      pretender(UUID, ['grep', UUID]),
      pretender(UUID, ['-name', `guest=a -uuid ${UUID}`]),
    ]
    for (const { pid } of others) expect(await QemuProcess.find(folderWithPid(String(pid)), UUID)).toBeNull()
    const named = pretender(UUID, ['-name', `guest=a -uuid ${machineUuid('b')}`, '-uuid', UUID])
    expect(await QemuProcess.find(folderWithPid(String(named.pid)), UUID)).not.toBeNull()

    // dead, and not waited for: its parent is a shell that sleeps
    const shell = spawn('sh', ['-c', `sh -c 'echo $$' -uuid ${UUID}; read -r line`], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    onTestFinished(() => void shell.kill('SIGKILL'))
    const [pid] = (await once(shell.stdout, 'data')) as [Buffer]
    expect(await QemuProcess.find(folderWithPid(pid.toString()), UUID)).toBeNull()
  })
})

describe.skipIf(process.platform === 'win32')('a QEMU process that is started', () => {
  test('gets a private folder with nothing but its disks, and its words stay', async () => {
    const folder = join(temporaryFolder(), 'run')
    mkdirSync(folder)
    for (const name of ['old', 'disks.sock']) writeFileSync(join(folder, name), '')
    const started = await QemuProcess.start(['sh', '-c', 'pwd; echo "what\u001b[2J" >&2', UUID], folder, UUID)
    await started.gone
    expect(readdirSync(folder).sort()).toEqual(['disks.sock', 'pid', 'qemu.log'])
    expect((await lstat(folder)).mode & 0o777).toBe(0o700)
    expect(await started.lastWords()).toBe(`${folder} / what\ufffd[2J`)
  })

  test('that cannot be started says why', async () => {
    const started = QemuProcess.start(['/no/such/qemu'], join(temporaryFolder(), 'run'), UUID)
    await expect(started).rejects.toMatchObject({ kind: 'engine', message: expect.stringContaining('ENOENT') })
  })
})

describe.skipIf(process.platform === 'win32')('the folder of a machine', () => {
  const deep = () => join(temporaryFolder(), 'a'.repeat(60), 'b'.repeat(60))
  const place = async (root: string) => {
    const folder = join(await runFolder(root, 'domain-1'), '..')
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    return folder
  }

  test('is in the data folder where sockets can be there', async () => {
    const root = temporaryFolder()
    expect(await runFolder(root, 'domain-1')).toBe(join(root, 'domain-1'))
  })

  test('is a private one elsewhere where not, always the same, and goes with its machine', async () => {
    const root = deep()
    const folder = await place(root)
    expect(Buffer.byteLength(join(folder, 'run', 'console.sock'))).toBeLessThanOrEqual(103)
    expect((await lstat(folder)).mode & 0o777).toBe(0o700)
    expect(await runFolder(root, 'domain-1')).toBe(join(folder, 'run'))
    expect(await runFolder(root, 'domain-2')).not.toBe(join(folder, 'run'))
    await removeRunFolder(root, 'domain-2')
    await removeRunFolder(root, 'domain-1')
    expect(existsSync(folder)).toBe(false)
  })

  test.each([
    ['others may read it', async (folder: string) => await chmod(folder, 0o755)],
    [
      'it is a link',
      async (folder: string) => {
        await rm(folder, { recursive: true })
        symlinkSync(temporaryFolder(), folder)
      },
    ],
    [
      'it is a file',
      async (folder: string) => {
        await rm(folder, { recursive: true })
        writeFileSync(folder, '', { mode: 0o600 })
      },
    ],
  ])('is refused when %s, and left to its owner', async (_, spoil) => {
    const root = deep()
    const folder = await place(root)
    await spoil(folder)
    expect(await kindOf(runFolder(root, 'domain-1'))).toBe('denied')
    await removeRunFolder(root, 'domain-1')
    await expect(lstat(folder)).resolves.toBeDefined()
  })

  test.each([
    ['short', temporaryFolder],
    ['long', deep],
  ])('of a domain that is gone is swept, with every machine that nobody took over (%s path)', async (_, makeRoot) => {
    const root = makeRoot()
    const runs = new QemuRuns(root, new QemuHosts(join(root, 'qemu.json')), new LayerStore(join(root, 'layers')))
    const folders: string[] = []
    const ends: Promise<unknown>[] = []
    for (const id of ['known', 'gone']) {
      mkdirSync(join(root, id), { recursive: true })
      const folder = await runFolder(root, id)
      mkdirSync(folder, { recursive: true })
      const child = pretender(machineUuid(id))
      writeFileSync(join(folder, 'pid'), String(child.pid))
      folders.push(folder)
      ends.push(once(child, 'exit'))
      onTestFinished(() => removeRunFolder(root, id))
    }

    await runs.sweep(new Set(['known']))

    expect(await Promise.all(ends)).toEqual([
      [null, 'SIGKILL'],
      [null, 'SIGKILL'],
    ])
    expect(folders.map((folder) => existsSync(folder))).toEqual([true, false])
    expect(readdirSync(root)).toEqual(['known'])
  })
})
