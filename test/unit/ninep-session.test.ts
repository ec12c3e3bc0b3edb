import { describe, expect, test } from 'vitest'
import { ERRNO, FileError, type ErrnoName } from '../../vmm/files/file-error'
import { FIDS_MOST } from '../../vmm/files/ninep-fids'
import { LOCK, LockTable } from '../../vmm/files/ninep-locks'
import { encode, NO_FID, NO_TAG } from '../../vmm/files/ninep-messages'
import { NinepSession, NinepViolation } from '../../vmm/files/ninep-session'
import type { NinepOptions } from '../../vmm/files/ninep-state'
import { MemoryProvider } from '../../vmm/files/provider-memory'
import { NinepClient, NinepError } from '../support/ninep-client'

const APPEND = 0o2000

async function begin(options: Partial<NinepOptions> = {}) {
  const provider = new MemoryProvider()
  const locks = new LockTable()
  const whole = { tree: () => provider, locks, ...options }
  const { client, session } = NinepClient.on(whole)
  return { provider, options: whole, client, session, root: await client.begin() }
}

const refused = (code: ErrnoName, work: Promise<unknown>) => expect(work).rejects.toEqual(new NinepError(ERRNO[code]))

const record = (fid: number, processId: number, more = {}) => {
  return { fid, type: LOCK.write, flags: 1, start: 0, length: 10, processId, clientId: 'guest', ...more }
}

describe('the beginning', () => {
  test('a request before the version ends the connection', () => {
    const session = new NinepSession({ tree: () => new MemoryProvider(), locks: new LockTable(), send: () => {} })
    const attach = encode('Tattach', 1, { fid: 0, afid: NO_FID, uname: '', aname: '', uid: 0 })
    expect(() => session.receive(attach)).toThrow(NinepViolation)
  })

  test.each([
    [0, 4096],
    [4097, 4097],
    [2 ** 32 - 1, 512 * 1024 + 24],
  ])('a message size of %d becomes %d', async (msize, agreed) => {
    const { client } = await begin()
    expect(await client.send('Tversion', { msize, version: '9P2000.L' }, NO_TAG).reply).toMatchObject({ msize: agreed })
  })

  test('another version is unknown, and nothing may follow', async () => {
    const { client } = await begin()
    expect(await client.ask('Tversion', { msize: 8192, version: '9P2000' })).toMatchObject({ version: 'unknown' })
    expect(() => client.send('Tclunk', { fid: 0 })).toThrow(NinepViolation)
  })

  test('a new version ends what was held', async () => {
    const { client, root, provider } = await begin()
    const file = await client.create(root, 'a')
    await client.ask('Tunlinkat', { fid: root, name: 'a', flags: 0 })
    expect(provider.nodes).toBe(2)
    await client.begin()
    await refused('EBADF', client.read(file))
    expect(provider.nodes).toBe(1)
  })

  test('a tree that is not there is ENOENT, and there is nothing to authenticate with', async () => {
    const tree = (aname: string) => {
      if (aname !== '') throw new FileError('ENOENT')
      return new MemoryProvider()
    }
    const { client } = await begin({ tree })
    await refused('ENOENT', client.attach('other'))
    await refused('EOPNOTSUPP', client.ask('Tauth', { afid: 7, uname: '', aname: '', uid: 0 }))
  })
})

describe('bad messages', () => {
  const walk = Buffer.from(encode('Twalk', 1, { fid: 0, newFid: 1, names: ['a', 'b'] }))

  test('a size that is not the message ends the connection', async () => {
    const { session } = await begin()
    expect(() => session.receive(walk.subarray(0, -1))).toThrow(NinepViolation)
  })

  test.each([
    ['a name beyond the message', (bytes: Buffer) => bytes.writeUInt16LE(60_000, 17)],
    ['more steps than sixteen', (bytes: Buffer) => bytes.writeUInt16LE(65_535, 15)],
    ['fewer steps than there are', (bytes: Buffer) => bytes.writeUInt16LE(1, 15)],
  ])('%s is refused', async (_, spoil) => {
    const { session, client } = await begin()
    const bytes = Buffer.from(walk)
    spoil(bytes)
    session.receive(bytes)
    expect(client.replies.at(-1)).toMatchObject({ message: 'Rlerror', errno: ERRNO.EPROTO })
  })

  test('an unknown type is refused', async () => {
    const { session, client } = await begin()
    session.receive(Uint8Array.of(7, 0, 0, 0, 200, 1, 0))
    expect(client.replies.at(-1)).toMatchObject({ message: 'Rlerror', errno: ERRNO.EOPNOTSUPP })
  })

  test.each([
    ['', 'EINVAL'],
    ['.', 'EINVAL'],
    ['..', 'EINVAL'],
    ['a/b', 'EINVAL'],
    ['a\0b', 'EINVAL'],
    ['x'.repeat(256), 'ENAMETOOLONG'],
  ] as const)('no file is called %j', async (name, code) => {
    const { client, root } = await begin()
    await refused(code, client.ask('Twalk', { fid: root, newFid: 9, names: [name] }))
    await refused(code, client.ask('Tmkdir', { fid: root, name, mode: 0o755, gid: 0 }))
  })

  test('a fid in use is not given again, one that is not is EBADF', async () => {
    const { client, root } = await begin()
    const other = await client.walk(root)
    await refused('EBADF', client.ask('Twalk', { fid: root, newFid: other, names: [] }))
    await refused('EBADF', client.ask('Tgetattr', { fid: 4711, mask: 0 }))
    await refused('EISDIR', client.read(root))
  })

  test('a tag in use ends the connection', async () => {
    const { client, root } = await begin()
    const file = await client.create(root, 'a')
    await client.ask('Tlock', record(file, 1))
    client.send('Tlock', record(file, 2), 50)
    expect(() => client.send('Tlock', record(file, 3), 50)).toThrow(NinepViolation)
  })

  test('fids are bounded', { timeout: 60_000 }, async () => {
    const { client, root } = await begin()
    let failed = 0
    for (let fid = 1; fid <= 1_000_000; fid++) {
      client.send('Twalk', { fid: root, newFid: fid, names: [] }, 1)
      if (client.replies.pop()?.message === 'Rlerror') failed++
    }
    expect(failed).toBe(1_000_000 - (FIDS_MOST - 1))
  })
})

describe('files', () => {
  test('a file lives without a name until it is clunked', async () => {
    const { client, root, provider } = await begin()
    const file = await client.create(root, 'a')
    await client.write(file, 'hello')
    await client.ask('Tunlinkat', { fid: root, name: 'a', flags: 0 })
    await client.ask('Tsetattr', { ...NOTHING, fid: file, valid: 8, size: 4 })
    expect((await client.read(file)).toString()).toBe('hell')
    await client.clunk(file)
    expect(provider.nodes).toBe(1)
  })

  test('a fid follows its file when it is renamed', async () => {
    const { client, root } = await begin()
    await client.clunk(await client.create(root, 'a'))
    const fid = await client.walk(root, 'a')
    await client.ask('Trenameat', { fid: root, name: 'a', toFid: root, toName: 'b' })
    await refused('ENOENT', client.ask('Trename', { fid, toFid: root, name: 'c' }))
    const again = await client.walk(root, 'b')
    await client.ask('Trename', { fid: again, toFid: root, name: 'c' })
    expect(await client.ask('Tgetattr', { fid, mask: 0 })).toMatchObject({ links: 1 })
    await client.walk(root, 'c')
  })

  test('appending goes to the end, wherever the guest thinks that is', async () => {
    const { client, root } = await begin()
    const one = await client.create(root, 'a', { flags: 1 | APPEND })
    const other = await client.open(root, 'a', 2 | APPEND)
    await client.write(one, 'one')
    await client.write(other, 'two', 0)
    expect((await client.read(other)).toString()).toBe('onetwo')
  })

  test('opening may truncate, and modes of opening hold', async () => {
    const { client, root } = await begin()
    const file = await client.create(root, 'a', { flags: 1 })
    await client.write(file, 'hello')
    await refused('EBADF', client.read(file))
    const cut = await client.open(root, 'a', 0o1001)
    expect(await client.ask('Tgetattr', { fid: cut, mask: 0 })).toMatchObject({ size: 0 })
    await refused('EBADF', client.write(await client.open(root, 'a'), 'x'))
    await refused('EISDIR', client.open(root, '', 2))
  })

  test('offsets beyond 4 GiB', async () => {
    const { client, root } = await begin()
    const file = await client.create(root, 'a')
    const far = 5 * 2 ** 30 + 1
    await client.write(file, 'far', far)
    expect((await client.read(file, far - 1)).toString()).toBe('\0far')
    await refused('EFBIG', client.write(file, 'x', Number.MAX_SAFE_INTEGER))
    expect(await client.read(file, Number.MAX_SAFE_INTEGER)).toHaveLength(0)
  })

  test('Tremove takes the fid also when it fails', async () => {
    const { client, root } = await begin()
    await client.ask('Tmkdir', { fid: root, name: 'd', mode: 0o755, gid: 0 })
    await client.create(await client.walk(root, 'd'), 'f')
    const folder = await client.walk(root, 'd')
    await refused('ENOTEMPTY', client.ask('Tremove', { fid: folder }))
    await refused('EBADF', client.clunk(folder))
  })

  test('a walk that ends early tells how far it came, and makes no fid', async () => {
    const { client, root } = await begin()
    await client.ask('Tmkdir', { fid: root, name: 'd', mode: 0o755, gid: 0 })
    const { qids } = await client.ask('Twalk', { fid: root, newFid: 99, names: ['d', 'none', 'x'] })
    expect(qids).toHaveLength(1)
    await refused('EBADF', client.clunk(99))
  })

  test('a folder is read to its end while entries go', async () => {
    const { client, root } = await begin()
    for (let count = 0; count < 200; count++) await client.clunk(await client.create(root, `file-${count}`))
    const folder = await client.open(root, '')
    const seen: string[] = []
    for (let offset = 0; ;) {
      const entries = entriesOf((await client.ask('Treaddir', { fid: folder, offset, count: 500 })).data)
      if (entries.length === 0) break
      for (const { name, cookie } of entries) {
        seen.push(name)
        offset = cookie
        if (name.startsWith('file')) await client.ask('Tunlinkat', { fid: root, name, flags: 0 })
      }
    }
    expect(new Set(seen).size).toBe(202)
    expect(seen.slice(0, 2)).toEqual(['.', '..'])
  })

  test('extended attributes are read, set, and removed', async () => {
    const { client, root } = await begin()
    const set = async (name: string, value: string, flags: number) => {
      const fid = await client.walk(root)
      await client.ask('Txattrcreate', { fid, name, size: value.length, flags })
      if (value !== '') await client.write(fid, value)
      await client.clunk(fid)
    }
    await set('user.a', 'one', 0)
    await refused('EEXIST', set('user.a', 'two', 1))
    const fid = client.newFid()
    expect(await client.ask('Txattrwalk', { fid: root, newFid: fid, name: 'user.a' })).toMatchObject({ size: 3 })
    expect((await client.read(fid)).toString()).toBe('one')
    const list = client.newFid()
    await client.ask('Txattrwalk', { fid: root, newFid: list, name: '' })
    expect((await client.read(list)).toString()).toBe('user.a\0')
    await set('user.a', '', 2)
    await refused('ENODATA', client.ask('Txattrwalk', { fid: root, newFid: 77, name: 'user.a' }))
    await refused('ENOSPC', client.ask('Txattrcreate', { fid: root, name: 'user.b', size: 65_537, flags: 0 }))
  })
})

const NOTHING = { mode: 0, uid: 0, gid: 0, size: 0, accessedSec: 0, accessedNsec: 0, modifiedSec: 0, modifiedNsec: 0 }

function entriesOf(data: Uint8Array): { name: string; cookie: number }[] {
  const bytes = Buffer.from(data)
  const entries = []
  for (let at = 0; at < bytes.length;) {
    const cookie = Number(bytes.readBigUInt64LE(at + 13))
    const length = bytes.readUInt16LE(at + 22)
    entries.push({ name: bytes.toString('latin1', at + 24, at + 24 + length), cookie })
    at += 24 + length
  }
  return entries
}
