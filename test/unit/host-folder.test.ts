import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { HostFolderProvider } from '../../vmm/files/host-folder'
import { MODE } from '../../vmm/files/provider'
import { temporaryFolder } from '../support/temporary-folder'

const FILE = { mode: 0o644, uid: 0, gid: 0 }
const FOLDER = { mode: 0o755, uid: 0, gid: 0 }

function share(options: { writable?: boolean; portable?: boolean } = {}) {
  const outside = temporaryFolder()
  const folder = join(outside, 'share')
  fs.mkdirSync(folder)
  fs.writeFileSync(join(outside, 'secret'), 'SECRET')
  const provider = new HostFolderProvider({ folder, writable: true, ...options })
  const root = provider.root()
  const put = (name: string, text: string) => {
    const file = provider.open(provider.createFile(root, name, FILE), true)
    file.write(0, Buffer.from(text))
    file.close()
  }
  const text = (node: object): string => {
    const file = provider.open(node, false)
    const into = Buffer.alloc(100)
    const count = file.read(0, into)
    file.close()
    return into.toString('latin1', 0, count)
  }
  return { outside, folder, provider, root, put, text }
}

const code = (code: string) => expect.objectContaining({ name: 'FileError', code }) as Error

describe.each([{ portable: false }, { portable: true }])('HostFolderProvider, portable: $portable', (kind) => {
  test('shows and makes files of the host', () => {
    const { folder, provider, root, put, text } = share(kind)
    put('a', 'hello')
    const sub = provider.createFolder(root, 'sub', { ...FOLDER, mode: 0o777 })
    provider.rename(root, 'a', sub, 'b')

    expect(fs.readFileSync(join(folder, 'sub/b'), 'utf8')).toBe('hello')
    expect(fs.statSync(join(folder, 'sub')).mode & 0o7777).toBe(0o777)
    expect(text(provider.lookup(sub, 'b'))).toBe('hello')
    expect(provider.list(root).map(({ name, kind }) => [name, kind])).toEqual([['sub', MODE.folder]])
    expect(provider.parent(sub)).toBe(root)
    provider.unlink(sub, 'b', false)
    provider.unlink(root, 'sub', true)
    expect(fs.readdirSync(folder)).toEqual([])
  })

  test('keeps names as bytes', () => {
    const { folder, provider, root } = share(kind)
    provider.createFile(root, 'n\xff\xc3', FILE)

    expect(fs.readdirSync(folder, { encoding: 'buffer' })).toEqual([Buffer.from('n\xff\xc3', 'latin1')])
    expect(provider.list(root)).toHaveLength(1)
    expect(provider.attributes(provider.lookup(root, 'n\xff\xc3')).mode & MODE.kind).toBe(MODE.file)
  })

  test('refuses names that are more than a name', () => {
    const { provider, root } = share(kind)
    for (const name of ['', '.', '..', 'a/b', '../secret', '/etc/passwd', 'a\0b', '\u012f', 'x'.repeat(256)]) {
      const codes = name.length > 255 ? 'ENAMETOOLONG' : 'EINVAL'
      expect(() => provider.lookup(root, name)).toThrow(code(codes))
      expect(() => provider.createFile(root, name, FILE)).toThrow(code(codes))
      expect(() => provider.rename(root, name, root, 'z')).toThrow(code(codes))
      expect(() => provider.unlink(root, name, false)).toThrow(code(codes))
    }
  })

  test('tells links and never follows them', () => {
    const { outside, folder, provider, root } = share(kind)
    for (const [name, target] of Object.entries({
      absolute: join(outside, 'secret'),
      up: '../secret',
      dangling: '../nothing',
      folder: '..',
      proc: '/proc/self/root',
    })) {
      fs.symlinkSync(target, join(folder, name))
      const link = provider.lookup(root, name)
      expect(provider.readLink(link)).toBe(target)
      expect(provider.attributes(link).mode & MODE.kind).toBe(MODE.link)
      expect(() => provider.open(link, false)).toThrow(code('ELOOP'))
      expect(() => provider.open(link, true)).toThrow(code('ELOOP'))
      expect(() => provider.lookup(link, 'secret')).toThrow(code('ENOTDIR'))
      expect(() => provider.list(link)).toThrow(code('ENOTDIR'))
      expect(() => provider.createFile(link, 'x', FILE)).toThrow(code('ENOTDIR'))
      expect(() => provider.createFile(root, name, FILE)).toThrow(code('EEXIST'))
      expect(() => provider.change(link, { mode: 0o777 })).toThrow(code('EOPNOTSUPP'))
      expect(() => provider.change(link, { size: 0 })).toThrow(code('ELOOP'))
      provider.change(link, { modified: { sec: 5, nsec: 0 } })
      expect(() => provider.link(link, root, 'another')).toThrow(code('EPERM'))
    }
    expect(fs.existsSync(join(outside, 'nothing'))).toBe(false)
    expect(fs.readFileSync(join(outside, 'secret'), 'utf8')).toBe('SECRET')
    expect(fs.statSync(outside).mode & 0o777).toBe(0o700)
    expect(fs.statSync(join(outside, 'secret')).mtimeMs).toBeGreaterThan(5000)
  })

  test('makes no links that lead out, nor moves any to where they would', () => {
    const { folder, provider, root } = share(kind)
    const sub = provider.createFolder(root, 'sub', FOLDER)
    const deep = provider.createFolder(sub, 'deep', FOLDER)
    for (const target of ['/etc', '..', './..', 'x/..', 'x/../../..', '../..', 'C:\\x', '\\\\host\\x'])
      expect(() => provider.createLink(root, 'bad', target)).toThrow(code('EPERM'))
    expect(() => provider.createLink(sub, 'bad', '../../secret')).toThrow(code('EPERM'))
    expect(() => provider.createLink(root, 'bad', '\u012fetc')).toThrow(code('EINVAL'))
    provider.createLink(deep, 'up', '../../there')
    provider.createLink(sub, 'down', 'deep/up')

    expect(() => provider.rename(deep, 'up', sub, 'up')).toThrow(code('EPERM'))
    expect(() => provider.rename(sub, 'deep', root, 'deep')).toThrow(code('EXDEV'))
    provider.rename(sub, 'down', root, 'down')
    expect(fs.readlinkSync(join(folder, 'sub/deep/up'))).toBe('../../there')
  })

  test('neither opens nor makes devices, fifos and sockets', async () => {
    const { folder, provider, root } = share(kind)
    execFileSync('mkfifo', [join(folder, 'fifo')])
    const server = net.createServer().listen(join(folder, 'socket'))
    await new Promise((resolve) => server.once('listening', resolve))
    for (const name of ['fifo', 'socket']) {
      const node = provider.lookup(root, name)
      for (const write of [false, true]) expect(() => provider.open(node, write)).toThrow(code('ENXIO'))
      expect(() => provider.link(node, root, 'more')).toThrow(code('EPERM'))
    }
    server.close()
    expect(() => provider.createDevice()).toThrow(code('EPERM'))
  })

  test('lets nobody become somebody else', () => {
    const { provider, root, put } = share(kind)
    put('a', '')
    const node = provider.lookup(root, 'a')
    const { uid, gid } = provider.attributes(node)
    provider.change(node, { uid, gid })

    expect(() => provider.change(node, { uid: uid + 1 })).toThrow(code('EPERM'))
    expect(() => provider.change(node, { gid: gid + 1, mode: 0o777 })).toThrow(code('EPERM'))
    for (const bit of [0o4000, 0o2000]) {
      expect(() => provider.change(node, { mode: bit | 0o755 })).toThrow(code('EPERM'))
      expect(() => provider.createFile(root, 'b', { ...FILE, mode: bit | 0o755 })).toThrow(code('EPERM'))
      expect(() => provider.createFolder(root, 'b', { ...FILE, mode: bit | 0o755 })).toThrow(code('EPERM'))
    }
    expect(provider.attributes(node).mode & 0o7777).toBe(0o644)
  })

  test('does not write a program that runs as its owner', () => {
    const { folder, provider, root } = share(kind)
    fs.writeFileSync(join(folder, 'su'), 'x')
    fs.chmodSync(join(folder, 'su'), 0o4755)
    const node = provider.lookup(root, 'su')

    expect(() => provider.open(node, true)).toThrow(code('EPERM'))
    expect(() => provider.change(node, { size: 0 })).toThrow(code('EPERM'))
  })

  test('gives nothing of another share', () => {
    const [one, two] = [share(kind), share(kind)]
    one.put('a', '')
    const node = one.provider.lookup(one.root, 'a')

    expect(() => two.provider.link(node, two.root, 'b')).toThrow(code('EXDEV'))
    expect(() => two.provider.rename(one.root, 'a', two.root, 'b')).toThrow(code('EXDEV'))
    expect(() => two.provider.open(node, false)).toThrow(code('EXDEV'))
    expect(() => two.provider.open({}, false)).toThrow(code('EXDEV'))
  })

  test('changes nothing when it is read-only', () => {
    const { folder, provider, root } = share({ ...kind, writable: false })
    fs.writeFileSync(join(folder, 'a'), 'text')
    const node = provider.lookup(root, 'a')
    const changes = [
      () => provider.open(node, true),
      () => provider.change(node, { mode: 0o600 }),
      () => provider.createFile(root, 'b', FILE),
      () => provider.createFolder(root, 'b', FOLDER),
      () => provider.createLink(root, 'b', 'a'),
      () => provider.createDevice(),
      () => provider.link(node, root, 'b'),
      () => provider.unlink(root, 'a', false),
      () => provider.rename(root, 'a', root, 'b'),
      () => provider.setXattr(),
      () => provider.removeXattr(),
    ]
    for (const change of changes) expect(change).toThrow(code('EROFS'))
    expect(fs.readdirSync(folder)).toEqual(['a'])
  })

  test('tells that the host has put something else in a place, or nothing', () => {
    const { folder, provider, root, put } = share(kind)
    put('a', 'one')
    put('b', 'two')
    const node = provider.lookup(root, 'a')
    const identity = provider.identity(node)
    fs.renameSync(join(folder, 'b'), join(folder, 'a'))

    expect(() => provider.open(node, false)).toThrow(code('ESTALE'))
    expect(() => provider.attributes(node)).toThrow(code('ESTALE'))
    expect(() => provider.change(node, { size: 0 })).toThrow(code('ESTALE'))
    expect(() => provider.revive(identity)).toThrow(code('ESTALE'))
    expect(fs.readFileSync(join(folder, 'a'), 'utf8')).toBe('two')
  })

  test('a folder that the host has exchanged for a link is not entered', () => {
    const { outside, folder, provider, root } = share(kind)
    const sub = provider.createFolder(root, 'sub', FOLDER)
    provider.createFile(sub, 'secret', FILE)
    const file = provider.lookup(sub, 'secret')
    fs.renameSync(join(folder, 'sub'), join(outside, 'gone'))
    fs.symlinkSync(outside, join(folder, 'sub'))

    expect(() => provider.lookup(sub, 'secret')).toThrow(code('ESTALE'))
    expect(() => provider.list(sub)).toThrow(code('ESTALE'))
    expect(() => provider.open(file, true)).toThrow(code('ESTALE'))
    expect(() => provider.createFile(sub, 'new', FILE)).toThrow(code('ESTALE'))
    expect(() => provider.unlink(sub, 'secret', false)).toThrow(code('ESTALE'))
    expect(fs.readdirSync(outside).sort()).toEqual(['gone', 'secret', 'share'])
  })

  test('finds what it told the identity of', () => {
    const { provider, root, text } = share(kind)
    const sub = provider.createFolder(root, 'a:b', FOLDER)
    const file = provider.open(provider.createFile(sub, 'c', FILE), true)
    file.write(0, Buffer.from('found'))
    file.close()
    const identity = provider.identity(provider.lookup(sub, 'c'))

    expect(text(provider.revive(identity))).toBe('found')
    expect(provider.revive(provider.identity(root))).toBe(root)
    for (const wrong of ['', '1.2.3:x', '1.2.3:../..', `${identity}/..`, identity.replace('a:b', '..')])
      expect(() => provider.revive(wrong)).toThrow(code('ESTALE'))
  })

  test('what was flushed is with the host', async () => {
    const { provider, put } = share(kind)
    put('a', 'text')

    await provider.flush()
    provider.close()
  })
})
