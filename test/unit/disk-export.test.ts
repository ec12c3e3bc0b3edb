import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DISK_FORMATS, diskSource, fileSource } from '../../vmm/images/block-source'
import { checkTarget, exportDisk, type DiskExport } from '../../vmm/images/export'
import { exportOva } from '../../vmm/images/export-ova'
import { foreignDisks, importDisk } from '../../vmm/images/import-disk'
import { checkDisk, repairCopy } from '../../vmm/images/qemu-img'
import { NO_QEMU_IMG, patternDisk, qemuImg } from '../support/qemu-disks'
import { fillDisk, NO_SMALL_DISK, smallDisk } from '../support/small-disk'
import { temporaryFolder } from '../support/temporary-folder'

const FORMATS = ['qcow2', 'raw', 'vmdk', 'vdi', 'vhdx'] as const

async function pattern(): Promise<Omit<DiskExport, 'to' | 'format'> & { folder: string; content: Buffer }> {
  const folder = temporaryFolder()
  const { path, content } = await patternDisk(folder)
  return { folder, content, source: diskSource('raw', fileSource(path)), bytes: content.length, replace: false }
}

/** What the file at `path` holds, read by qemu-img. */
async function contentOf(path: string, format: string): Promise<Buffer> {
  const raw = join(temporaryFolder(), 'raw')
  qemuImg('convert', '-f', format, '-O', 'raw', path, raw)
  return await readFile(raw)
}

describe.skipIf(NO_QEMU_IMG !== '')(`An exported disk ${NO_QEMU_IMG}`, () => {
  it.each(FORMATS)('is the same, as %s', async (format) => {
    const { folder, content, ...disk } = await pattern()
    const to = join(folder, `out.${format}`)
    const shares: number[] = []
    await exportDisk({ ...disk, format, to, onProgress: ({ done }) => shares.push(done) })
    expect((await contentOf(to, format)).equals(content)).toBe(true)
    expect(readdirSync(folder).sort()).toEqual([`out.${format}`, 'pattern.raw'])
    expect(statSync(to).mode & 0o777).toBe(0o600)
    expect(shares.at(-1)).toBe(content.length)
    expect(shares).toEqual([...shares].sort((a, b) => a - b))
  })

  it('holds nothing of the host, although its first sectors say that it lies upon a file of it', async () => {
    const folder = temporaryFolder()
    const secret = join(folder, 'secret')
    await writeFile(secret, Buffer.alloc(1024 * 1024, 'TOP-SECRET'))
    const disk = join(folder, 'guest.raw')
    qemuImg('create', '-q', '-u', '-f', 'qcow2', '-b', secret, '-F', 'raw', disk, '1M')
    await truncate(disk, 1024 * 1024)
    const content = await readFile(disk)
    const to = join(folder, 'out.raw')
    const source = diskSource('raw', fileSource(disk))
    await exportDisk({ source, bytes: content.length, format: 'raw', to, replace: false })
    expect((await readFile(to)).equals(content)).toBe(true)
    expect((await readFile(to)).includes('TOP-SECRET')).toBe(false)
  })

  it('does not replace a file unless asked to, and never a folder', async () => {
    const { folder, content, ...disk } = await pattern()
    const to = join(folder, 'there.raw')
    await writeFile(to, 'mine')
    await expect(exportDisk({ ...disk, format: 'raw', to })).rejects.toMatchObject({ kind: 'conflict' })
    expect(await readFile(to, 'utf8')).toBe('mine')
    await exportDisk({ ...disk, format: 'raw', to, replace: true })
    expect((await readFile(to)).equals(content)).toBe(true)
    await mkdir(join(folder, 'sub'))
    await expect(checkTarget({ to: join(folder, 'sub'), replace: true })).rejects.toMatchObject({ kind: 'invalid' })
    await expect(checkTarget({ to: 'relative', replace: true })).rejects.toMatchObject({ kind: 'invalid' })
    await expect(checkTarget({ to: join(folder, 'no', 'x'), replace: true })).rejects.toMatchObject({
      kind: 'not-found',
    })
  })

  it('keeps a file that came up while it was written', async () => {
    const { folder, content: _, ...disk } = await pattern()
    const to = join(folder, 'late.raw')
    const appear = () => {
      if (!existsSync(to)) writeFileSync(to, 'mine')
    }
    const exporting = exportDisk({ ...disk, format: 'raw', to, onProgress: appear })
    await expect(exporting).rejects.toMatchObject({ kind: 'conflict' })
    expect(await readFile(to, 'utf8')).toBe('mine')
    expect(readdirSync(folder).sort()).toEqual(['late.raw', 'pattern.raw'])
  })

  it('leaves nothing when it is cancelled', async () => {
    const { folder, content: _, ...disk } = await pattern()
    const stop = new AbortController()
    const to = join(folder, 'out.qcow2')
    const exporting = exportDisk({ ...disk, format: 'qcow2', to, signal: stop.signal, onProgress: () => stop.abort() })
    await expect(exporting).rejects.toMatchObject({ kind: 'cancelled' })
    expect(readdirSync(folder)).toEqual(['pattern.raw'])
  })

  it.skipIf(NO_SMALL_DISK !== '')('leaves nothing on a disk that fills up', async () => {
    const { content: _, folder: __, ...disk } = await pattern()
    const small = smallDisk(2048)
    fillDisk(small, 300)
    for (const format of FORMATS) {
      const exporting = exportDisk({ ...disk, format, to: join(small, 'out') })
      await expect(exporting, format).rejects.toMatchObject({ kind: 'disk-full' })
      expect(readdirSync(small)).toEqual(['filler'])
    }
  })
})

describe.skipIf(NO_QEMU_IMG !== '')(`An appliance ${NO_QEMU_IMG}`, () => {
  const machine = { name: 'Web & <"Mail">', cpus: 2, memoryMiB: 512, firmware: 'uefi' as const, replace: false }

  it.each([1, 2, 5])('comes back with its %i disks', async (count) => {
    const { folder, content, source, bytes } = await pattern()
    const disks = Array.from({ length: count }, () => ({ source, bytes }))
    const to = join(folder, 'out.ova')
    await exportOva({ ...machine, disks, to, scratch: join(folder, 'scratch') })
    expect(readdirSync(folder).sort()).toEqual(['out.ova', 'pattern.raw'])
    const found = await foreignDisks(to, 'ova')
    expect(found.map((disk) => disk.virtualBytes)).toEqual(disks.map(() => bytes))
    for (const [index, disk] of found.entries()) {
      const target = join(folder, `image-${index}`)
      await importDisk(disk.source, target, undefined, () => undefined)
      expect((await readFile(join(target, 'disk.img'))).equals(content)).toBe(true)
    }
  })

  it('leaves nothing when it is cancelled while it is packed', async () => {
    const { folder, source, bytes } = await pattern()
    const stop = new AbortController()
    const exporting = exportOva({
      ...machine,
      disks: [{ source, bytes }],
      to: join(folder, 'out.ova'),
      scratch: join(folder, 'scratch'),
      signal: stop.signal,
      onProgress: ({ step }) => {
        if (step === 'Packing') stop.abort()
      },
    })
    await expect(exporting).rejects.toMatchObject({ kind: 'cancelled' })
    expect(readdirSync(folder)).toEqual(['pattern.raw'])
  })
})

describe.skipIf(NO_QEMU_IMG !== '')(`A check ${NO_QEMU_IMG}`, () => {
  it.each(DISK_FORMATS)('finds a new %s disk clean', async (format) => {
    const path = join(temporaryFolder(), 'disk')
    qemuImg('create', '-q', '-f', format, path, '4M')
    expect(await checkDisk(path, format)).toEqual({ clean: true, errors: 0, leaks: 0, repairable: false, message: '' })
  })

  it('finds leaks and errors of a qcow2, and a repaired copy is clean', async () => {
    const folder = temporaryFolder()
    const { path } = await patternDisk(folder)
    const disk = join(folder, 'disk.qcow2')
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', path, disk)
    const bytes = await readFile(disk)
    const refcountBlock = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(48))))
    bytes.writeUInt16BE(0, refcountBlock + 2 * 5) // a cluster in use that counts as free
    bytes.writeUInt16BE(7, refcountBlock + 2 * 6)
    await writeFile(disk, bytes)
    const found = await checkDisk(disk, 'qcow2')
    expect(found).toMatchObject({ clean: false, repairable: true, message: expect.stringMatching(/error/) })
    await repairCopy(disk, 'qcow2', join(folder, 'mended.qcow2'))
    expect(await checkDisk(join(folder, 'mended.qcow2'), 'qcow2')).toMatchObject({ clean: true })
    expect((await readFile(disk)).equals(bytes), 'the original is not touched').toBe(true)
    expect(readdirSync(folder).sort()).toEqual(['disk.qcow2', 'mended.qcow2', 'pattern.raw'])
  })

  it('tells what is no disk at all as damaged', async () => {
    const path = join(temporaryFolder(), 'disk')
    await writeFile(path, 'nothing of the kind')
    expect(await checkDisk(path, 'qcow2')).toMatchObject({ clean: false, repairable: false })
    await expect(checkDisk(join(path, 'x'), 'qcow2')).rejects.toMatchObject({ kind: 'not-found' })
  })
})
