import { createHash } from 'node:crypto'
import { appendFile, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { importImage, verifyImage } from '../../vmm/images/store'

const MIB = 1024 * 1024
import { temporaryFolder } from '../support/temporary-folder'

let home: string
let folder: string
beforeEach(() => {
  home = temporaryFolder()
  folder = join(home, 'image')
})

async function source(name: string, content: Buffer): Promise<string> {
  const path = join(home, name)
  await writeFile(path, content)
  return path
}

/** Data, a hole of 3 MiB, data, and a hole at the end. */
const sparse = Buffer.concat([
  Buffer.alloc(MIB, 7),
  Buffer.alloc(3 * MIB),
  Buffer.alloc(1000, 9),
  Buffer.alloc(2 * MIB + 5),
])

describe('importImage', () => {
  it('copies every file under the name of its role, with its checksum', async () => {
    const kernel = await source('vmlinuz-6.1', Buffer.from('kernel'))
    const initrd = await source('initrd.img-6.1', Buffer.from('initrd!'))
    const sources = [
      { role: 'kernel' as const, path: kernel },
      { role: 'initrd' as const, path: initrd },
    ]
    const files = await importImage({ sources, folder })
    const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
    expect(files).toEqual([
      { role: 'kernel', name: 'kernel', bytes: 6, sha256: sha256('kernel') },
      { role: 'initrd', name: 'initrd', bytes: 7, sha256: sha256('initrd!') },
    ])
    expect((await readdir(folder)).sort()).toEqual(['initrd', 'kernel'])
    expect(await verifyImage(folder, files)).toBe('')
  })

  it.skipIf(process.platform === 'win32')('keeps the copies to their owner, and zeros as holes', async () => {
    const path = await source('disk.raw', sparse)
    const [file] = await importImage({ sources: [{ role: 'disk', path }], folder })
    const copy = join(folder, 'disk.img')
    const found = await stat(copy)
    expect((await readFile(copy)).equals(sparse)).toBe(true)
    expect(file?.sha256).toBe(createHash('sha256').update(sparse).digest('hex'))
    expect(found.mode & 0o777).toBe(0o600)
    expect((await stat(folder)).mode & 0o777).toBe(0o700)
    expect(found.blocks * 512).toBeLessThan(3 * MIB)
  })

  it('reports bytes up to the total', async () => {
    const path = await source('disk.raw', sparse)
    const reports: number[] = []
    await importImage({ sources: [{ role: 'disk', path }], folder, onProgress: ({ done }) => reports.push(done) })
    expect(reports.at(-1)).toBe(sparse.length)
    expect([...reports].sort((a, b) => a - b)).toEqual(reports)
  })

  it('leaves nothing when it is cancelled', async () => {
    const path = await source('disk.raw', sparse)
    const abort = new AbortController()
    const onProgress = () => {
      abort.abort()
    }
    const work = importImage({ sources: [{ role: 'disk', path }], folder, signal: abort.signal, onProgress })
    await expect(work).rejects.toMatchObject({ kind: 'cancelled' })
    expect(await readdir(home)).toEqual(['disk.raw'])
  })

  it('refuses a file that grows while it is copied', async () => {
    const path = await source('disk.raw', sparse)
    let grown: Promise<void> | undefined
    const onProgress = () => {
      grown ??= appendFile(path, 'more')
    }
    const work = importImage({ sources: [{ role: 'disk', path }], folder, onProgress })
    await expect(work).rejects.toMatchObject({ kind: 'conflict' })
    await grown
    expect(await readdir(home)).toEqual(['disk.raw'])
  })

  it('takes all files or none', async () => {
    const kernel = await source('vmlinuz', Buffer.from('kernel'))
    const sources = [
      { role: 'kernel' as const, path: kernel },
      { role: 'initrd' as const, path: join(home, 'missing') },
    ]
    await expect(importImage({ sources, folder })).rejects.toMatchObject({ kind: 'not-found' })
    expect(await readdir(home)).toEqual(['vmlinuz'])
  })

  it('refuses two files of one role', async () => {
    const path = await source('a', Buffer.from('a'))
    const twice = [
      { role: 'disk' as const, path },
      { role: 'disk' as const, path },
    ]
    await expect(importImage({ sources: twice, folder })).rejects.toMatchObject({ kind: 'invalid' })
  })
})

describe('verifyImage', () => {
  it('names the file that is missing or has another size', async () => {
    const path = await source('disk.raw', sparse)
    const files = await importImage({ sources: [{ role: 'disk', path }], folder })
    await writeFile(join(folder, 'disk.img'), 'short')
    expect(await verifyImage(folder, files)).toMatch(/'disk.img' of this image has 5 bytes instead of/)
    await rm(join(folder, 'disk.img'))
    expect(await verifyImage(folder, files)).toMatch(/'disk.img' of this image is missing/)
  })
})
