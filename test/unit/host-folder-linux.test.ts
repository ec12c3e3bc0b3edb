import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { FileError } from '../../vmm/files/file-error'
import { HostFolderProvider } from '../../vmm/files/host-folder'
import { MODE } from '../../vmm/files/provider'
import { temporaryFolder } from '../support/temporary-folder'

const FILE = { mode: 0o644, uid: 0, gid: 0 }
const FOLDER = { mode: 0o755, uid: 0, gid: 0 }
const ROUNDS = 3000

function share() {
  const outside = temporaryFolder()
  const folder = join(outside, 'share')
  fs.mkdirSync(folder)
  fs.writeFileSync(join(outside, 'secret'), 'SECRET')
  const provider = new HostFolderProvider({ folder, writable: true })
  onTestFinished(() => provider.close())
  return { outside, folder, provider, root: provider.root() }
}

const code = (code: string) => expect.objectContaining({ name: 'FileError', code }) as Error

function read(provider: HostFolderProvider, node: object): string {
  const file = provider.open(node, false)
  const into = Buffer.alloc(100)
  const count = file.read(0, into)
  file.close()
  return into.toString('latin1', 0, count)
}

describe.skipIf(process.platform !== 'linux')('HostFolderProvider by descriptors', () => {
  test('stays with the old folder when its place is taken by a link', () => {
    const { outside, folder, provider, root } = share()
    fs.writeFileSync(join(folder, 'mine'), 'mine')
    fs.renameSync(folder, join(outside, 'moved'))
    fs.symlinkSync(outside, folder)

    expect(() => provider.lookup(root, 'secret')).toThrow(code('ENOENT'))
    expect(read(provider, provider.lookup(root, 'mine'))).toBe('mine')
    provider.createFile(root, 'new', FILE)
    expect(fs.readdirSync(join(outside, 'moved')).sort()).toEqual(['mine', 'new'])
  })

  test('holds files without a name, and gives their descriptors back', () => {
    const { folder, provider, root } = share()
    const before = fs.readdirSync('/proc/self/fd').length
    for (const [name, work] of Object.entries({
      a: () => provider.unlink(root, 'a', false),
      b: () => provider.rename(root, 'other', root, 'b'),
    })) {
      fs.writeFileSync(join(folder, name), `old ${name}`)
      fs.writeFileSync(join(folder, 'other'), 'new')
      const node = provider.lookup(root, name)
      work()
      expect(read(provider, node)).toBe(`old ${name}`)
      provider.change(node, { size: 3 })
      provider.change(node, { mode: 0o600 })
      expect(provider.attributes(node)).toMatchObject({ size: 3, links: 0, mode: MODE.file | 0o600 })
      expect(() => provider.link(node, root, 'again')).toThrow(FileError)
      provider.drop(node)
    }
    fs.symlinkSync('text', join(folder, 'link'))
    const link = provider.lookup(root, 'link')
    const gone = provider.createFolder(root, 'gone', FOLDER)
    provider.unlink(root, 'link', false)
    provider.unlink(root, 'gone', true)
    expect(provider.readLink(link)).toBe('text')
    expect(provider.list(gone)).toEqual([])
    expect(() => provider.createFile(gone, 'x', FILE)).toThrow(code('ENOENT'))
    provider.drop(link)
    provider.drop(gone)
    return provider.flush().then(() => expect(fs.readdirSync('/proc/self/fd')).toHaveLength(before))
  })

  test('a failed removal costs no descriptor', () => {
    const { provider, root } = share()
    const sub = provider.createFolder(root, 'sub', FOLDER)
    provider.createFile(sub, 'x', FILE)
    const before = fs.readdirSync('/proc/self/fd').length
    for (let round = 0; round < 100; round++)
      expect(() => provider.unlink(root, 'sub', true)).toThrow(code('ENOTEMPTY'))
    expect(fs.readdirSync('/proc/self/fd')).toHaveLength(before)
  })

  test('keeps a bounded number of folders open, and reaches the deepest still', () => {
    const { provider, root } = share()
    const before = fs.readdirSync('/proc/self/fd').length
    const folders = [root]
    for (let depth = 0; depth < 700; depth++) folders.push(provider.createFolder(folders.at(-1)!, 'd', FOLDER))
    for (const folder of folders) provider.createFile(folder, 'f', FILE)

    expect(provider.list(folders[650]!)).toHaveLength(2)
    expect(provider.list(folders[1]!)).toHaveLength(2)
    expect(fs.readdirSync('/proc/self/fd').length - before).toBeLessThanOrEqual(512)
    expect(() => {
      for (let at = folders.at(-1)!, depth = 0; depth < 400; depth++) at = provider.createFolder(at, 'd', FOLDER)
    }).toThrow(code('ENAMETOOLONG'))
  })

  test('an open folder that the host moves out of the share is lost to the guest', () => {
    const { outside, folder, provider, root } = share()
    const sub = provider.createFolder(root, 'sub', FOLDER)
    provider.createFile(sub, 'x', FILE)
    fs.renameSync(join(folder, 'sub'), join(outside, 'private'))
    fs.writeFileSync(join(outside, 'private/diary'), 'SECRET')

    expect(() => provider.lookup(sub, 'diary')).toThrow(code('ESTALE'))
    expect(() => provider.list(sub)).toThrow(code('ESTALE'))
  })

  test('a folder that the host moves within the share is found again, and never within itself', () => {
    const { folder, provider, root } = share()
    const a = provider.createFolder(root, 'a', FOLDER)
    const b = provider.createFolder(a, 'b', FOLDER)
    fs.renameSync(join(folder, 'a/b'), join(folder, 'b'))
    fs.renameSync(join(folder, 'a'), join(folder, 'b/a'))

    expect(() => provider.lookup(b, 'a')).toThrow(code('ELOOP'))
    expect(provider.lookup(root, 'b')).toBe(b)
    expect(provider.lookup(b, 'a')).toBe(a)
    expect(provider.parent(a)).toBe(b)
  })

  test('a device of the host is never opened', (context) => {
    const { folder, provider, root } = share()
    try {
      execFileSync('mknod', [join(folder, 'zero'), 'c', '1', '5'], { stdio: 'ignore' })
    } catch {
      context.skip('this account makes no devices')
    }
    const node = provider.lookup(root, 'zero')
    expect(provider.attributes(node)).toMatchObject({ device: { major: 1, minor: 5 } })
    expect(() => provider.open(node, false)).toThrow(code('ENXIO'))
    expect(() => provider.link(node, root, 'more')).toThrow(code('EPERM'))
    provider.rename(root, 'zero', root, 'null')
    provider.unlink(root, 'null', false)
  })

  test('another file system mounted below is not there', (context) => {
    const proc = fs.statSync('/proc').dev
    if (proc === fs.statSync('/').dev) context.skip('no /proc')
    const top = new HostFolderProvider({ folder: '/', writable: false })
    onTestFinished(() => top.close())
    const root = top.root()
    expect(() => top.lookup(root, 'proc')).toThrow(code('ENOENT'))
    expect(top.list(root).map(({ name }) => name)).not.toContain('proc')
    expect(top.list(root).map(({ name }) => name)).toContain('etc')
  })

  test('a number that is used again is not the old file', () => {
    const { folder, provider, root } = share()
    for (let round = 0; round < 20; round++) {
      fs.writeFileSync(join(folder, 'a'), 'old')
      const node = provider.lookup(root, 'a')
      fs.rmSync(join(folder, 'a'))
      const until = performance.now() + 10
      while (performance.now() < until);
      fs.writeFileSync(join(folder, 'b'), 'new')
      fs.renameSync(join(folder, 'b'), join(folder, 'a'))
      expect(() => provider.open(node, false)).toThrow(code('ESTALE'))
      provider.drop(node)
    }
  })

  test('a program that exchanges folders and files for links thousands of times opens no way out', async () => {
    const { outside, folder, provider, root } = share()
    for (const name of ['sub', 'twin']) {
      fs.mkdirSync(join(folder, name))
      fs.writeFileSync(join(folder, name, 'secret'), 'inside')
    }
    fs.writeFileSync(join(folder, 'file'), 'inside')
    fs.symlinkSync('../..', join(outside, 'folder-link'))
    const stop = await swapping(outside)
    const seen = new Set<string>()
    let entered = 0
    const attempt = (work: () => void) => {
      try {
        work()
      } catch (error) {
        expect(error).toBeInstanceOf(FileError)
      }
    }
    for (let round = 0; round < ROUNDS; round++) {
      if (round % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
      attempt(() => {
        const sub = provider.lookup(root, 'sub')
        attempt(() => {
          const file = provider.lookup(sub, 'secret')
          attempt(() => seen.add(read(provider, file)))
          attempt(() => provider.change(file, { mode: 0o640 }))
          provider.drop(file)
          entered++
        })
        attempt(() => provider.drop(provider.createFile(sub, `n${round % 7}`, FILE)))
        attempt(() => provider.unlink(sub, `n${round % 7}`, false))
        attempt(() => provider.list(sub).forEach(({ name }) => name.startsWith('secret-') && seen.add(name)))
        provider.drop(sub)
      })
      attempt(() => {
        const file = provider.lookup(root, 'file')
        attempt(() => seen.add(read(provider, file)))
        attempt(() => {
          const open = provider.open(file, true)
          open.write(0, Buffer.from('inside'))
          open.close()
        })
        provider.drop(file)
      })
    }
    expect(await stop()).toBeGreaterThan(ROUNDS)
    expect(entered).toBeGreaterThan(0)
    expect([...seen].filter((text) => text !== 'inside')).toEqual([])
    expect(fs.readFileSync(join(outside, 'secret'), 'utf8')).toBe('SECRET')
    expect(fs.statSync(join(outside, 'secret')).mode & 0o777).not.toBe(0o640)
    expect(fs.readdirSync(outside).filter((name) => /^n\d$/.test(name))).toEqual([])
  })
})

/** Another process that exchanges share/sub and share/file for links that lead out, and back, until it is told to stop. */
async function swapping(outside: string): Promise<() => Promise<number>> {
  const script = `
    const fs = require('node:fs')
    process.chdir(${JSON.stringify(outside)})
    let swaps = 0
    const swap = (name, target) => {
      fs.renameSync('share/' + name, 'aside')
      fs.symlinkSync(target, 'share/' + name)
      fs.unlinkSync('share/' + name)
      fs.renameSync('aside', 'share/' + name)
      swaps += 2
    }
    process.stdout.write('ready')
    process.stdin.on('end', () => process.stdout.write(String(swaps), () => process.exit())).resume()
    const some = () => {
      for (let count = 0; count < 50; count++) swap(count % 2 ? 'sub' : 'file', count % 2 ? '..' : '../secret')
      setImmediate(some)
    }
    some()`
  const child = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  let text = ''
  child.stdout.on('data', (data: Buffer) => (text += data.toString()))
  return async () => {
    const closed = once(child, 'close')
    child.stdin.end()
    await closed
    return Number(text)
  }
}
