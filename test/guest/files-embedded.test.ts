import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FileError } from '../../vmm/files/file-error'
import { NinepDoor } from '../../vmm/files/ninep-door'
import { LockTable } from '../../vmm/files/ninep-locks'
import { MemoryProvider } from '../../vmm/files/provider-memory'
import { filesAddress, runFolder } from '../../vmm/engine/run-folder'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { exec, finish, openVivarium, shell, startDomain, until, type TestVivarium } from '../support/vivarium'

const MOUNT = 'mkdir -p /mnt/t && mount -t 9p -o trans=virtio,version=9p2000.L,msize=131096,aname=tree host9p /mnt/t'

const folder = temporaryFolderForFile()
const tree = new MemoryProvider()
const locks = new LockTable()
const violations: string[] = []
let vivarium: TestVivarium
let door: NinepDoor
let id = ''

async function listen(): Promise<NinepDoor> {
  return NinepDoor.listen(filesAddress(await runFolder(join(folder, 'run'), id)), {
    tree: (aname) => {
      if (aname !== 'tree') throw new FileError('ENOENT')
      return tree
    },
    locks,
    onViolation: (reason) => violations.push(reason),
  })
}

const inGuest = (line: string): Promise<string> => shell(vivarium.call, id, line)

beforeAll(async () => {
  await seedStarter(folder)
  vivarium = await openVivarium(folder)
  id = await startDomain(vivarium.call, 'Files')
})

afterAll(async () => {
  await vivarium.close()
  await door.close()
  expect(violations).toEqual([])
})

test('without a server a mount is refused', async () => {
  const refused = await exec(vivarium.call, id, ['sh', '-c', MOUNT])
  expect(refused.exitCode).not.toBe(0)
  expect(refused.stderr).toContain('No such device')
})

test('a tree is mounted, and files go both ways whole', async () => {
  door = await listen()
  expect((await exec(vivarium.call, id, ['sh', '-c', MOUNT.replace('=tree', '=other')])).stderr).toContain(
    'No such file',
  )
  await inGuest(MOUNT)
  const md5 = await inGuest('head -c 3000000 /dev/urandom > /mnt/t/big && md5sum < /mnt/t/big')

  const root = tree.root()
  const open = tree.open(tree.lookup(root, 'big'), false)
  const bytes = Buffer.alloc(4_000_000)
  expect(open.read(0, bytes)).toBe(3_000_000)
  const digest = createHash('md5').update(bytes.subarray(0, 3_000_000)).digest('hex')
  open.close()
  expect(md5).toBe(`${digest}  -`)
  expect(door.counters.requests).toBeGreaterThan(20)
})

test('names, links, modes and folders are as Linux has them', async () => {
  await inGuest('mkdir -p /mnt/t/d/e && echo 1 > /mnt/t/d/e/f && ln -s e/f /mnt/t/d/l && chmod 4711 /mnt/t/d/e/f')
  expect(await inGuest('cat /mnt/t/d/l; readlink /mnt/t/d/l; stat -c %a:%h:%F /mnt/t/d/e/f')).toBe(
    '1\ne/f\n4711:1:regular file',
  )
  await inGuest('ln /mnt/t/d/e/f /mnt/t/d/g && mv /mnt/t/d/e /mnt/t/moved && mknod /mnt/t/dev c 1 3')
  expect(await inGuest('stat -c %h:%t:%T /mnt/t/moved/f /mnt/t/dev; ls -a /mnt/t/moved')).toBe('2:0:0\n1:1:3\n.\n..\nf')
  await inGuest('for i in $(seq 1 300); do echo > /mnt/t/d/$i; done; rm -rf /mnt/t/d && ! test -e /mnt/t/d')
})

test('what is open outlives the server, also under another name', async () => {
  await inGuest(
    'mkfifo /tmp/go; (exec 3>>/mnt/t/kept; read line < /tmp/go; echo after >&3; echo done > /tmp/done) >/dev/null 2>&1 &',
  )
  await inGuest('until test -e /mnt/t/kept; do sleep 0.1; done; mv /mnt/t/kept /mnt/t/renamed')
  await door.close()
  door = await listen()

  expect(await inGuest('cat /mnt/t/moved/f')).toBe('1')
  await inGuest('echo > /tmp/go; until test -e /tmp/done; do sleep 0.1; done')
  expect(await inGuest('cat /mnt/t/renamed')).toBe('after')
})

test('a saved machine has its files again when it goes on', async () => {
  const { call } = vivarium
  await inGuest(
    'rm /tmp/done; (exec 3>>/mnt/t/saved; read line < /tmp/go; echo woken >&3; echo > /tmp/done) >/dev/null 2>&1 &',
  )
  await inGuest('until test -e /mnt/t/saved; do sleep 0.1; done')
  const md5 = await inGuest('md5sum < /mnt/t/big')
  await finish(call, call('domains.save', { id }))
  await until(call, id, ({ state }) => state === 'saved')
  expect(door.sessions).toEqual([])
  await finish(call, call('domains.start', { id }))
  await until(call, id, ({ agent }) => agent === 'ready')

  expect(await inGuest('echo 3 > /proc/sys/vm/drop_caches; md5sum < /mnt/t/big')).toBe(md5)
  await inGuest('echo > /tmp/go; until test -e /tmp/done; do sleep 0.1; done')
  expect(await inGuest('cat /mnt/t/saved; echo more > /mnt/t/new; cat /mnt/t/new')).toBe('woken\nmore')
  await inGuest('umount /mnt/t')
})
