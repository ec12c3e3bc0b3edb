import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, symlinkSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { foreignDisks, importDisk, LARGEST_DISK } from '../../vmm/images/import-disk'
import { inspectImage } from '../../vmm/images/inspect'
import { asVmmError } from '../../vmm/model/errors'
import { NO_QEMU_IMG, patternDisk, qemuImg } from '../support/qemu-disks'
import { NO_SMALL_DISK, smallDisk } from '../support/small-disk'
import { temporaryFolder } from '../support/temporary-folder'

const MIB = 1024 * 1024

/** Imports the disks of the file at `path`; their contents. */
async function contentsOf(path: string): Promise<Buffer[]> {
  const { format } = await inspectImage(path)
  if (format === undefined) throw new Error(`${path} is taken as it is`)
  const target = temporaryFolder()
  const contents: Buffer[] = []
  for (const [index, { source, virtualBytes }] of (await foreignDisks(path, format)).entries()) {
    const folder = join(target, String(index))
    const file = await importDisk(source, folder, undefined, () => undefined)
    expect(readdirSync(folder)).toEqual(['disk.img'])
    const content = await readFile(join(folder, file.name))
    expect(content.length).toBe(file.bytes)
    expect(file).toMatchObject({ role: 'disk', bytes: virtualBytes, sha256: '' })
    contents.push(content)
  }
  return contents
}

async function refusalOf(path: string) {
  return await contentsOf(path).then(
    () => expect.fail('It was taken.'),
    (error: unknown) => asVmmError(error, 'import'),
  )
}

describe.skipIf(NO_QEMU_IMG !== '')(`A disk of another program ${NO_QEMU_IMG}`, () => {
  it.each([
    ['qcow2', ''],
    ['qcow2', 'compat=0.10'],
    ['vmdk', ''],
    ['vmdk', 'subformat=streamOptimized'],
    ['vmdk', 'subformat=monolithicFlat'],
    ['vmdk', 'subformat=twoGbMaxExtentSparse'],
    ['vmdk', 'subformat=twoGbMaxExtentFlat'],
    ['vdi', ''],
    ['vdi', 'static=on'],
    ['vhdx', ''],
    ['vhdx', 'subformat=fixed'],
    ['vpc', 'force_size=on'],
    ['vpc', 'subformat=fixed,force_size=on'],
  ])('comes in from %s %s byte for byte', async (format, options) => {
    const folder = temporaryFolder()
    const { path, content } = await patternDisk(folder)
    const from = join(folder, `disk.${format}`)
    qemuImg('convert', '-f', 'raw', '-O', format, ...(options ? ['-o', options] : []), path, from)
    const [imported] = await contentsOf(from)
    expect(imported?.equals(content)).toBe(true)
  })

  it('comes in with the disks below it, by names in its own folder', async () => {
    const folder = temporaryFolder()
    const { path, content } = await patternDisk(folder, 'base.raw')
    const size = ['-o', `size=${content.length}`]
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.raw', '-F', 'raw', join(folder, 'middle.qcow2'))
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'middle.qcow2', '-F', 'qcow2', ...size, join(folder, 'top.qcow2'))
    execFileSync('qemu-io', ['-c', 'write -P 0x5a 65536 4096', join(folder, 'top.qcow2')], { cwd: folder })
    const [imported] = await contentsOf(join(folder, 'top.qcow2'))
    const expected = Buffer.from(await readFile(path)).fill(0x5a, 65536, 65536 + 4096)
    expect(imported?.equals(expected)).toBe(true)
  })

  it('is refused when it lies upon a file outside its folder, whatever the way out', async () => {
    const folder = temporaryFolder()
    const inner = join(folder, 'inner')
    await mkdir(inner)
    await writeFile(join(folder, 'secret'), Buffer.alloc(MIB, 'secret'))
    symlinkSync(join(folder, 'secret'), join(inner, 'link'))
    const names = [join(folder, 'secret'), '../secret', './link', 'nbd://127.0.0.1:1/x', 'json:{"driver":"null-co"}']
    for (const name of [...names, 'file:secret', 'C:\\secret', '..']) {
      const path = join(inner, 'disk.qcow2')
      qemuImg('create', '-q', '-u', '-f', 'qcow2', '-b', name, '-F', 'raw', path, '1M')
      expect(await refusalOf(path), name).toMatchObject({ kind: 'denied' })
    }
    const path = join(inner, 'link.qcow2')
    qemuImg('create', '-q', '-u', '-f', 'qcow2', '-b', 'link', '-F', 'raw', path, '1M')
    expect(await refusalOf(path)).toMatchObject({ message: expect.stringMatching(/not a regular file/) })
  })

  it('is refused when the format of the disk below it is not stated', async () => {
    const folder = temporaryFolder()
    await patternDisk(folder, 'base.raw')
    const path = join(folder, 'disk.qcow2')
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.raw', '-F', 'raw', path)
    const bytes = await readFile(path)
    const at = bytes.indexOf(Buffer.from('e2792aca', 'hex'))
    bytes.writeUInt32BE(0x12345678, at)
    await writeFile(path, bytes)
    const refusal = await refusalOf(path)
    expect(refusal).toMatchObject({ kind: 'denied', message: expect.stringMatching(/without saying what format/) })
    expect(refusal.hint).toMatch(/qemu-img rebase/)
  })

  it('is refused when its chain is a circle, or longer than any', async () => {
    const folder = temporaryFolder()
    const link = (name: string, below: string) =>
      qemuImg('create', '-q', '-u', '-f', 'qcow2', '-b', below, '-F', 'qcow2', join(folder, name), '1M')
    link('a.qcow2', 'b.qcow2')
    link('b.qcow2', 'a.qcow2')
    expect(await refusalOf(join(folder, 'a.qcow2'))).toMatchObject({ message: expect.stringMatching(/upon itself/) })
    for (let level = 0; level < 10; level += 1) link(`${level}.qcow2`, `${level + 1}.qcow2`)
    qemuImg('create', '-q', '-f', 'qcow2', join(folder, '10.qcow2'), '1M')
    expect(await refusalOf(join(folder, '0.qcow2'))).toMatchObject({ message: expect.stringMatching(/chain/) })
  })

  it('is refused when it is encrypted or keeps its content elsewhere', async () => {
    const folder = temporaryFolder()
    const locked = join(folder, 'locked.qcow2')
    qemuImg('create', '-q', '-f', 'qcow2', locked, '1M')
    const bytes = await readFile(locked)
    bytes.writeUInt32BE(2, 32) // LUKS; to make a real one takes qemu-img a measurement that fails on a busy host
    await writeFile(locked, bytes)
    expect(await refusalOf(locked)).toMatchObject({ message: expect.stringMatching(/encrypted/) })
    const data = join(folder, 'outside.raw')
    qemuImg('create', '-q', '-f', 'qcow2', '-o', `data_file=${data}`, join(folder, 'split.qcow2'), '1M')
    expect(await refusalOf(join(folder, 'split.qcow2'))).toMatchObject({
      message: expect.stringMatching(/another file/),
    })
  })

  it('is refused when it is larger than what is taken', async () => {
    const path = join(temporaryFolder(), 'huge.qcow2')
    qemuImg('create', '-q', '-f', 'qcow2', path, String(LARGEST_DISK + 512))
    expect(await refusalOf(path)).toMatchObject({ kind: 'unsupported', hint: expect.stringMatching(/at most 8 TiB/) })
  })

  it.each([
    ['RW 2048 FLAT "../secret.vmdk" 0', 'denied'],
    ['RW 2048 FLAT "/etc/secret.vmdk" 0', 'denied'],
    ['RW 2048 SPARSE "nbd:localhost:1.vmdk"', 'denied'],
    ['RW 2048 FLAT "secret.txt" 0', 'damaged'],
    ['RW 2048 FLAT "absent.vmdk" 0', 'not-found'],
    ['RW 2048 VMFSRDM "x-rdm.vmdk"', 'damaged'],
    ['RW\v2048\nFLAT "../secret.vmdk" 0', 'damaged'],
    ['parentFileNameHint="base.vmdk"\nRW 2048 ZERO', 'unsupported'],
    ['parentCID=12345678\nRW 2048 ZERO', 'unsupported'],
  ])('is refused as a VMware disk that says %j', async (line, kind) => {
    const folder = temporaryFolder()
    await writeFile(join(folder, 'secret.txt'), 'secret')
    const path = join(folder, 'disk.vmdk')
    await writeFile(path, `# Disk DescriptorFile\nversion=1\nCID=1\ncreateType="custom"\n${line}\n`)
    expect(await refusalOf(path)).toMatchObject({ kind, hint: expect.stringMatching(/./) })
  })

  it('is refused as a VMware disk whose header hands over to the extents of its description', async () => {
    const folder = temporaryFolder()
    const { path } = await patternDisk(folder)
    const from = join(folder, 'disk.vmdk')
    qemuImg('convert', '-f', 'raw', '-O', 'vmdk', path, from)
    const bytes = await readFile(from)
    bytes.writeBigUInt64LE(0n, 12)
    await writeFile(from, bytes)
    expect(await refusalOf(from)).toMatchObject({ kind: 'damaged' })
  })

  it.each([
    ['vdi', 76, [4, 0, 0, 0]],
    ['vpc', 60, [0, 0, 0, 4]],
  ] as const)('is refused as a %s that holds only differences', async (format, at, type) => {
    const folder = temporaryFolder()
    const { path } = await patternDisk(folder)
    const from = join(folder, `disk.${format}`)
    qemuImg('convert', '-f', 'raw', '-O', format, path, from)
    const bytes = await readFile(from)
    Buffer.from(type).copy(bytes, at)
    await writeFile(from, bytes)
    expect(await refusalOf(from)).toMatchObject({ kind: 'unsupported', message: expect.stringMatching(/differs/) })
  })

  it('is refused as a VHDX that holds only differences', async () => {
    const folder = temporaryFolder()
    const { path } = await patternDisk(folder)
    const from = join(folder, 'disk.vhdx')
    qemuImg('convert', '-f', 'raw', '-O', 'vhdx', path, from)
    const bytes = await readFile(from)
    const table = bytes.indexOf('metadata')
    const entry = bytes.indexOf(Buffer.from('3767a1ca36fa434db3b633f0aa44e76b', 'hex'), table)
    const flags = table + bytes.readUInt32LE(entry + 16) + 4
    bytes.writeUInt32LE(bytes.readUInt32LE(flags) | 2, flags)
    await writeFile(from, bytes)
    expect(await refusalOf(from)).toMatchObject({ kind: 'unsupported', message: expect.stringMatching(/differs/) })
  })

  it('that is damaged is told as that, and leaves nothing', async () => {
    const folder = temporaryFolder()
    const { path } = await patternDisk(folder)
    const from = join(folder, 'disk.qcow2')
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', path, from)
    const bytes = await readFile(from)
    bytes.writeBigUInt64BE(0xffff_ffff_ffff_0000n, 40)
    await writeFile(from, bytes)
    expect(await refusalOf(from)).toMatchObject({ kind: 'damaged', hint: expect.stringMatching(/./) })
  })

  it('leaves nothing when it is cancelled', async () => {
    const folder = temporaryFolder()
    const { path } = await patternDisk(folder)
    const from = join(folder, 'disk.qcow2')
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', path, from)
    const [disk] = await foreignDisks(from, 'qcow2')
    const stop = new AbortController()
    const target = join(folder, 'image')
    const importing = importDisk(disk?.source ?? {}, target, stop.signal, () => stop.abort())
    await expect(importing).rejects.toMatchObject({ kind: 'cancelled' })
    expect(existsSync(target)).toBe(false)
  })

  it.skipIf(NO_SMALL_DISK !== '')('leaves nothing on a disk that fills up', async () => {
    const folder = temporaryFolder()
    const { path } = await patternDisk(folder)
    const from = join(folder, 'disk.vdi')
    qemuImg('convert', '-f', 'raw', '-O', 'vdi', path, from)
    const [disk] = await foreignDisks(from, 'vdi')
    const small = smallDisk(512)
    const importing = importDisk(disk?.source ?? {}, join(small, 'image'), undefined, () => undefined)
    await expect(importing).rejects.toMatchObject({ kind: 'disk-full', hint: expect.stringMatching(/./) })
    expect(readdirSync(small)).toEqual([])
  })

  it('needs qemu-img, and says how to get it', async () => {
    const folder = temporaryFolder()
    const { path } = await patternDisk(folder)
    await rename(path, join(folder, 'disk.raw'))
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', join(folder, 'disk.raw'), join(folder, 'disk.qcow2'))
    process.env['VIVARIUM_QEMU'] = folder
    try {
      expect(await refusalOf(join(folder, 'disk.qcow2'))).toMatchObject({
        kind: 'unsupported',
        hint: expect.stringMatching(/Install QEMU/),
      })
    } finally {
      delete process.env['VIVARIUM_QEMU']
    }
    expect(existsSync(join(folder, 'disk.qcow2'))).toBe(true)
  })
})
