import { mkdirSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { ShareMode } from '../../src-main/contract'
import { NO_DEBIAN_ROOT } from '../support/debian-root'
import { guestTools } from '../support/guest-tools'
import { endMachines, NO_QEMU } from '../support/qemu-machines'
import { SHARE_CONFORMANCE } from '../support/share-conformance'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { exec, finish, openVivarium, shell, until, type TestVivarium } from '../support/vivarium'

const WHY = NO_DEBIAN_ROOT || NO_QEMU
const SEED = 20_240
/** Rows that each of two guests adds, each in a transaction of its own. */
const ROWS = 40
/** Where a guest has the programs; nobody changes them, so it may keep what it read. */
const ROOT = '/mnt/tools'
const PREPARE = `set -e
/usr/lib/vivarium/shares mount tools ${ROOT} loose
mount --bind /dev ${ROOT}/dev
mount --bind /proc ${ROOT}/proc
mount -t tmpfs tmpfs ${ROOT}/tmp
mount -t tmpfs tmpfs ${ROOT}/mnt
for share in work both; do mkdir ${ROOT}/mnt/$share; mount --bind /mnt/$share ${ROOT}/mnt/$share; done`
const ENVIRONMENT = ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/tmp', 'LANG=C.UTF-8']

describe.skipIf(WHY !== '')(`programs of Debian at work on shares ${WHY}`, () => {
  const folder = temporaryFolderForFile()
  const data = path.join(folder, 'data')
  const [host, both] = [path.join(folder, 'host'), path.join(folder, 'both')]
  let vivarium: TestVivarium
  let ids: string[]

  beforeAll(async () => {
    const tools = await guestTools()
    for (const each of [host, both]) mkdirSync(each)
    await seedStarter(data)
    vivarium = await openVivarium(data)
    const { resultId: imageId } = await finish(vivarium.call, vivarium.call('images.prepareStarter', {}))
    ids = await Promise.all(['One', 'Two'].map((name) => start(name, imageId, tools)))
  })
  afterAll(async () => {
    await vivarium.close()
    await endMachines(data)
  })

  /** A guest with the programs, a copy-on-write share of its own, and a direct one that both have. */
  async function start(name: string, imageId: string, tools: string): Promise<string> {
    const { call } = vivarium
    const { id } = await call('domains.create', { spec: { name, engine: 'qemu', imageId, memoryMiB: 512 } })
    const shares: [string, string, ShareMode][] = [
      ['tools', tools, 'read-only'],
      ['work', host, 'copy-on-write'],
      ['both', both, 'direct'],
    ]
    for (const [share, at, mode] of shares) await call('files.addShare', { id, name: share, folder: at, mode })
    await finish(call, call('domains.start', { id }))
    await until(call, id, ({ agent }) => agent === 'ready')
    const mounted = async () => (await call('files.get', { id })).shares.map(({ mountedAt }) => mountedAt)
    const points = shares.map(([share]) => `/mnt/${share}`)
    await vi.waitFor(async () => expect(await mounted()).toEqual(points), { timeout: 60_000, interval: 250 })
    await shell(call, id, PREPARE)
    return id
  }

  /** Runs shell lines among the programs of Debian; what they print. Fails when they fail, with all they said. */
  async function run(lines: string, at = 0, stdin = ''): Promise<string> {
    const words = ['env', '-i', ...ENVIRONMENT, 'chroot', ROOT, '/bin/sh', '-ec', lines]
    const { stdout, stderr, exitCode } = await exec(vivarium.call, ids[at] ?? '', words, stdin)
    if (exitCode !== 0) throw new Error(`ended with ${exitCode}: ${stdout.slice(-2000)} ${stderr.slice(-2000)}`)
    return stdout.trim()
  }

  test('keep what Linux promises of a file system', async () => {
    const program = `cat > /tmp/cases.py; mkdir /mnt/work/cases; cd /mnt/work/cases; python3 /tmp/cases.py ${SEED} || true`
    const told = (await run(program, 0, SHARE_CONFORMANCE)).split('\n')

    expect(told.filter((line) => !line.startsWith('ok '))).toEqual([])
    expect(told).toHaveLength(15)
  })

  test('a source package is unpacked, built, and works', async () => {
    const built = await run(`cd /mnt/work
      tar xzf /src/lua5.4_*.orig.tar.gz
      tar dzf /src/lua5.4_*.orig.tar.gz
      cd lua-5.4*
      make -s -C src generic CC=tcc CFLAGS=-DLUA_COMPAT_5_3 AR='tcc -ar rcs' RANLIB=true >&2
      src/lua -e 'print(_VERSION, #string.rep("x", 12345))'`)

    expect(built).toBe('Lua 5.4\t12345')
    // the folder on the host is never written
    expect(readdirSync(host)).toEqual([])
  })

  test('git commits, clones both ways, packs, and finds all sound', async () => {
    const told = await run(`mkdir /mnt/work/git; cd /mnt/work/git; mkdir first; cd first
      git init -q; git config user.name Guest; git config user.email guest@example.com
      tar xzf /src/lua5.4_*.orig.tar.gz --strip-components=1
      git add .; git commit -q -m First; git mv src moved; echo more >> README; git commit -q -a -m Second
      cd ..; git clone -q first linked; git clone -q file:///mnt/work/git/first carried
      for each in first linked carried; do
        git -C $each status --porcelain; git -C $each rev-parse HEAD
      done
      git -C linked gc -q
      for each in linked carried; do git -C $each fsck --full --strict; done; git -C linked rev-list --count HEAD`)

    const lines = told.split('\n')
    expect(lines).toEqual([expect.stringMatching(/^[0-9a-f]{40}$/), lines[0], lines[0], '2'])
  })

  test('SQLite of two guests writes one database at a time', async () => {
    await run(`sqlite3 /mnt/both/rows.db 'create table rows (guest, number, primary key (guest, number))'`)
    const insert = (at: number) => {
      const rows = Array.from({ length: ROWS }, (_, row) => `insert into rows values (${at}, ${row});\n`)
      return run('sqlite3 -bail /mnt/both/rows.db', at, ['.timeout 120000\n', ...rows].join(''))
    }
    await Promise.all([insert(0), insert(1)])

    for (const at of [0, 1]) {
      const asked = 'pragma integrity_check; select guest, count(*) from rows group by guest'
      const expected = ['ok', `0|${ROWS}`, `1|${ROWS}`]
      expect((await run(`sqlite3 /mnt/both/rows.db '${asked}'`, at)).split('\n')).toEqual(expected)
    }
    expect(readdirSync(both)).toEqual(['rows.db'])
  })
})
