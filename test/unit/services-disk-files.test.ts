import { readdirSync } from 'node:fs'
import { readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { diskSource, fileSource } from '../../vmm/images/block-source'
import { exportOva } from '../../vmm/images/export-ova'
import { NO_QEMU_IMG, patternDisk, qemuImg } from '../support/qemu-disks'
import { IMAGE_ID, openScripted } from '../support/scripted-vivarium'
import { temporaryFolder } from '../support/temporary-folder'
import { finish } from '../support/vivarium'

/** An appliance with two disks. */
async function appliance(): Promise<{ path: string; content: Buffer }> {
  const folder = temporaryFolder()
  const { path, content } = await patternDisk(folder)
  const disk = { source: diskSource('raw', fileSource(path)), bytes: content.length }
  const to = join(folder, 'Web shop.ova')
  const machine = { name: 'shop', cpus: 1, memoryMiB: 128, firmware: 'bios' as const, scratch: join(folder, 's') }
  await exportOva({ ...machine, disks: [disk, disk], to, replace: false })
  return { path: to, content }
}

describe.skipIf(NO_QEMU_IMG !== '')(`images.import ${NO_QEMU_IMG}`, () => {
  test('makes an image of each disk of an appliance', async () => {
    const { call, folder } = await openScripted()
    const { path, content } = await appliance()
    const { resultId } = await finish(call, call('images.import', { sources: [{ path }] }))
    const made = (await call('images.list', {})).filter(({ id }) => id !== IMAGE_ID)
    expect(made.map(({ name, kind, bytes, damage }) => ({ name, kind, bytes, damage }))).toEqual([
      { name: 'Web shop', kind: 'disk', bytes: content.length, damage: '' },
      { name: 'Web shop disk 2', kind: 'disk', bytes: content.length, damage: '' },
    ])
    expect(made[0]?.id).toBe(resultId)
    for (const { id } of made) {
      expect(readdirSync(join(folder, 'images', id))).toEqual(['disk.img'])
      expect((await readFile(join(folder, 'images', id, 'disk.img'))).equals(content)).toBe(true)
    }
  })

  test('leaves nothing of an appliance whose second disk is damaged', async () => {
    const { call, folder } = await openScripted()
    const { path } = await appliance()
    const bytes = await readFile(path)
    const second = bytes.indexOf('KDMV', bytes.indexOf('disk2.vmdk', 8192))
    bytes.fill(0xff, second + 64 * 1024 + 512, second + 64 * 1024 + 2048)
    await writeFile(path, bytes)
    await expect(finish(call, call('images.import', { sources: [{ path }] }))).rejects.toMatchObject({
      kind: 'damaged',
    })
    expect(readdirSync(join(folder, 'images'))).toEqual([IMAGE_ID])
  })

  test('says how to get qemu-img where there is none, and leaves nothing', async () => {
    const { call, folder } = await openScripted()
    const path = join(folder, 'disk.vdi')
    qemuImg('create', '-q', '-f', 'vdi', path, '1M')
    process.env['VIVARIUM_QEMU'] = folder
    onTestFinished(() => {
      delete process.env['VIVARIUM_QEMU']
    })
    await expect(finish(call, call('images.import', { sources: [{ path }] }))).rejects.toMatchObject({
      kind: 'unsupported',
      message: expect.stringMatching(/no qemu-img/),
      hint: expect.stringMatching(/Install QEMU/),
    })
    expect(readdirSync(join(folder, 'images'))).toEqual([IMAGE_ID])
  })
})

describe.skipIf(NO_QEMU_IMG !== '')(`domains.export ${NO_QEMU_IMG}`, () => {
  test('is refused at once without a disk, while it runs, and where a file is', async () => {
    const { call } = await openScripted()
    const path = join(temporaryFolder(), 'out.qcow2')
    const { id } = await call('domains.create', { spec: { name: 'bare', engine: 'embedded', imageId: IMAGE_ID } })
    const wanted = { id, path, format: 'qcow2' as const }
    await expect(call('domains.export', wanted)).rejects.toMatchObject({
      kind: 'unsupported',
      message: expect.stringMatching(/no disk/),
    })
    const spec = { name: 'web', engine: 'embedded' as const, imageId: IMAGE_ID, diskMiB: 1 }
    const web = await call('domains.create', { spec })
    await writeFile(path, 'mine')
    await expect(call('domains.export', { ...wanted, id: web.id })).rejects.toMatchObject({ kind: 'conflict' })
    await finish(call, call('domains.start', { id: web.id }))
    await expect(call('domains.export', { ...wanted, id: web.id, replace: true })).rejects.toMatchObject({
      kind: 'state',
      message: expect.stringMatching(/Shut it down first/),
    })
    expect(await readFile(path, 'utf8')).toBe('mine')
  })

  test('is refused when the image below the disk is damaged', async () => {
    const { call, folder } = await openScripted()
    const path = join(folder, 'pattern.vdi')
    qemuImg('convert', '-f', 'raw', '-O', 'vdi', (await patternDisk(folder)).path, path)
    const { resultId: imageId } = await finish(call, call('images.import', { sources: [{ path }] }))
    const { id } = await call('domains.create', { spec: { name: 'web', engine: 'embedded', imageId } })
    await writeFile(join(folder, 'images', imageId, 'disk.img'), 'short')
    const wanted = { id, path: join(temporaryFolder(), 'out.qcow2'), format: 'qcow2' as const }
    await expect(call('domains.export', wanted)).rejects.toMatchObject({ kind: 'damaged' })
  })

  test.each(['images/scripted/kernel', 'vivarium.db', 'elsewhere/vivarium.db'])(
    'does not replace %s of the data folder',
    async (file) => {
      const { call, folder } = await openScripted()
      const spec = { name: 'web', engine: 'embedded' as const, imageId: IMAGE_ID, diskMiB: 1 }
      const { id } = await call('domains.create', { spec })
      await symlink(folder, join(folder, 'elsewhere'))
      const wanted = { id, path: join(folder, file), format: 'raw' as const, replace: true }
      await expect(call('domains.export', wanted)).rejects.toMatchObject({ kind: 'denied' })
    },
  )

  test('writes the disk of a domain, an empty one as well', async () => {
    const { call, folder } = await openScripted()
    const spec = { name: 'web', engine: 'embedded' as const, imageId: IMAGE_ID, diskMiB: 3 }
    const { id } = await call('domains.create', { spec })
    const path = join(temporaryFolder(), 'out.vhdx')
    await finish(call, call('domains.export', { id, path, format: 'vhdx' }))
    const info = JSON.parse(qemuImg('info', '--output=json', '-f', 'vhdx', path)) as Record<string, unknown>
    expect(info['virtual-size']).toBe(3 * 1024 * 1024)
    expect(readdirSync(join(folder, 'domains', id)).filter((name) => name.includes('export'))).toEqual([])
    expect(await call('domains.get', { id })).toMatchObject({ state: 'off', taskId: null })
  })
})
