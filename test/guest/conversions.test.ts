import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { childrenOf, isAlive, startMain, type MainProcess } from '../support/main-process'
import { NO_QEMU_IMG, patternDisk, qemuImg } from '../support/qemu-disks'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish } from '../support/vivarium'

const WHY_NOT = NO_QEMU_IMG || (process.platform === 'linux' ? '' : '(needs /proc)')

/** The real qemu-img, but so slow that a conversion does not end by itself. */
const SLOW = `#!/bin/sh
if [ "$1" = convert ]; then shift; exec REAL convert -r 65536 "$@"; fi
exec REAL "$@"
`

describe.skipIf(WHY_NOT !== '')(`kill -9 of main in the middle of a conversion ${WHY_NOT}`, () => {
  const folder = temporaryFolderForFile()
  const home = path.join(folder, 'home')
  const slow = path.join(folder, 'slow')
  const disk = path.join(folder, 'disk.qcow2')
  let main: MainProcess

  beforeAll(async () => {
    await mkdir(slow)
    const real = execFileSync('sh', ['-c', 'command -v qemu-img'], { encoding: 'utf8' }).trim()
    writeFileSync(path.join(slow, 'qemu-img'), SLOW.replaceAll('REAL', real), { mode: 0o755 })
    const { path: raw } = await patternDisk(folder)
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', raw, disk)
  })

  beforeEach(async () => {
    process.env['VIVARIUM_QEMU'] = slow
    main = await startMain(home)
  })

  afterEach(() => {
    delete process.env['VIVARIUM_QEMU']
  })

  afterAll(() => main.end())

  /** Waits for the conversion's processes, kills main, and waits until they are gone as well. */
  async function killWhenConverting(): Promise<void> {
    const found: number[] = []
    await expect
      .poll(async () => {
        const shells = await childrenOf(main.child.pid ?? 0)
        found.splice(0, found.length, ...shells, ...(await Promise.all(shells.map(childrenOf))).flat())
        return found.length
      })
      .toBe(3) // the shell, qemu-img, and the guard
    await main.kill()
    await expect.poll(() => found.filter(isAlive), { timeout: 10_000 }).toEqual([])
  }

  test('of an import: qemu-img ends, its file goes at once, and no half image is offered', async () => {
    await main.call('images.import', { sources: [{ path: disk }] })
    await killWhenConverting()
    const files = () =>
      readdirSync(path.join(home, 'images'), { recursive: true }).filter((name) => String(name).includes('disk'))
    await expect.poll(files, { timeout: 10_000 }).toEqual([])
    delete process.env['VIVARIUM_QEMU']
    main = await startMain(home)
    expect(await main.call('images.list', {})).toEqual([])
    expect(readdirSync(path.join(home, 'images'))).toEqual([])
    const { resultId } = await finish(main.call, main.call('images.import', { sources: [{ path: disk }] }))
    expect(await main.call('images.list', {})).toMatchObject([{ id: resultId, name: 'disk', damage: '' }])
    await main.end()
  })

  test('of an export: nothing is left beside the target, and the domain can be exported again', async () => {
    const [image] = await main.call('images.list', {})
    const { id } = await main.call('domains.create', {
      spec: { name: 'Web', engine: 'embedded', imageId: image?.id ?? '' },
    })
    const out = path.join(folder, 'out')
    await mkdir(out)
    const wanted = { id, path: path.join(out, 'web.qcow2'), format: 'qcow2' as const }
    await main.call('domains.export', wanted)
    await killWhenConverting()
    await expect.poll(() => readdirSync(out), { timeout: 10_000 }).toEqual([])
    delete process.env['VIVARIUM_QEMU']
    main = await startMain(home)
    expect(readdirSync(path.join(home, 'domains', id)).filter((name) => name.includes('export'))).toEqual([])
    await finish(main.call, main.call('domains.export', wanted))
    expect(existsSync(wanted.path)).toBe(true)
    expect(qemuImg('compare', '-f', 'qcow2', '-F', 'qcow2', wanted.path, disk)).toContain('identical')
  })
})
