import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import type { DiskSpec } from '../../vmm/engine/machine-spec'
import { LayerContent } from '../../vmm/engine/qemu-layer-content'
import { KEPT_MOST, newLayerRecord, readLayerRecord, writeLayerRecord } from '../../vmm/engine/qemu-layer-record'
import { LayerStore } from '../../vmm/engine/qemu-layers'
import type { VmmError } from '../../vmm/model/errors'
import { diskSpec } from '../support/machine-specs'
import { kindOf } from '../support/outcome'
import { NO_QEMU_IMG, qemuImg, readDisk } from '../support/qemu-disks'
import { bytes, pick } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { temporaryFolder } from '../support/temporary-folder'

let folder = ''
let layers: LayerStore
const files = () => join(folder, 'layers')
const layerAt = (name: string) => join(folder, `${name}.layer`)

beforeEach(() => {
  folder = temporaryFolder()
  layers = new LayerStore(files())
})

function write(file: string, value: number): void {
  execFileSync('qemu-io', ['-f', 'qcow2', '-c', `write -P ${value} 0 64k`, file], { stdio: 'pipe' })
}

/** Has QEMU's tools keep others from writing to the file; returns what ends that. */
async function keep(file: string): Promise<() => Promise<unknown>> {
  const reader = spawn('qemu-io', ['-r', '-f', 'qcow2', file], { stdio: ['pipe', 'pipe', 'ignore'] })
  await once(reader.stdout, 'data') // it prompts once it has opened the file
  return () => {
    reader.stdin.end('quit\n')
    return once(reader, 'exit')
  }
}

async function firstByte(disk: DiskSpec): Promise<number | undefined> {
  return (await readDisk(await new LayerContent(files()).source(disk), folder))[0]
}

/** Starts a machine on the disk, which writes `value` and ends. */
async function run(disk: DiskSpec, value: number, clean = true): Promise<string> {
  const [file = ''] = (await layers.open(disk, 'domain')).files
  write(file, value)
  await layers.closed([disk.layer], 'domain', clean)
  return file
}

/** A disk with two snapshots, `first` and `second`, and its three files from the oldest to the newest. */
async function history() {
  const disk = diskSpec(folder)
  const oldest = await run(disk, 1)
  await layers.copy(disk.layer, layerAt('first'))
  const middle = await run(disk, 2)
  await layers.copy(disk.layer, layerAt('second'))
  const newest = await run(disk, 3)
  return { disk, oldest, middle, newest, all: [disk.layer, layerAt('first'), layerAt('second')] }
}

describe.skipIf(NO_QEMU_IMG)(`layers of the QEMU engine ${NO_QEMU_IMG}`, () => {
  test('are where they were when the data folder has moved', async () => {
    const base = join(folder, 'base.raw')
    writeFileSync(base, Buffer.alloc(1024 * 1024, 7))
    const disk = diskSpec(folder, { base, baseBytes: 1024 * 1024 })
    await run(disk, 1)
    await layers.copy(disk.layer, layerAt('first'))
    await run(disk, 2)

    const elsewhere = join(temporaryFolder(), 'moved')
    renameSync(folder, elsewhere)
    mkdirSync(folder)
    folder = elsewhere
    layers = new LayerStore(files())
    const moved = { ...disk, base: join(folder, 'base.raw'), layer: layerAt('disk') }
    await layers.sweep([moved.layer, layerAt('first')])
    expect(await firstByte(moved)).toBe(2)
    await layers.remove(layerAt('first'))
    await run(moved, 3)
    const read = await readDisk(await new LayerContent(files()).source(moved), folder)
    expect([read[0], read.at(-1)]).toEqual([3, 7])
    expect(readdirSync(files()), 'merged after the move').toHaveLength(1)
  })

  test('go on when the folders of their records are renamed', async () => {
    const { disk, all } = await history()
    await layers.sweep(all)
    mkdirSync(join(folder, 'trash'))
    const trashed = join(folder, 'trash', 'renamed.layer')
    renameSync(layerAt('first'), trashed)

    await layers.remove(layerAt('second'))
    expect(await firstByte({ ...disk, layer: trashed })).toBe(1)
    await layers.remove(trashed)
    expect(await firstByte(disk)).toBe(3)
    expect(readdirSync(files())).toHaveLength(1)
  })

  test.each([
    ['a record that is garbage', (all: string[]) => writeFile(all[1] ?? '', '{"format":')],
    ['a file that is garbage', (_: string[], middle: string) => writeFile(middle, 'garbage')],
    ['a file that is missing', (_: string[], middle: string) => rm(middle)],
    ['a file that is cut off', (_: string[], middle: string) => truncate(middle, 50)],
  ])('are not removed while there is %s', async (_, spoil) => {
    const { all, middle } = await history()
    await spoil(all, middle)
    const before = readdirSync(files())

    layers = new LayerStore(files())
    await layers.sweep(all)
    await layers.remove(layerAt('second'))

    expect(readdirSync(files())).toEqual(before)
  })

  test('lose no file when one below them cannot be read all of a sudden', async () => {
    const { disk, oldest, middle, all } = await history()
    await layers.sweep(all)
    const header = readFileSync(middle)
    await writeFile(middle, 'unreadable just now')

    await kindOf(layers.open(disk, 'domain'))
    await layers.remove(layerAt('first'))
    await layers.closed([disk.layer], 'domain', true)
    await writeFile(middle, header)

    expect(readdirSync(files())).toContain(oldest.slice(files().length + 1))
    expect(await firstByte({ ...disk, layer: layerAt('second') })).toBe(2)
  })

  test('remove what was not finished, and nothing that is not theirs', async () => {
    const { all } = await history()
    const before = readdirSync(files())
    mkdirSync(join(files(), 'lost+found'))
    writeFileSync(join(files(), 'notes.txt'), 'mine')
    writeFileSync(join(files(), `${'a'.repeat(32)}.qcow2.partial`), '')
    writeFileSync(join(files(), `${'b'.repeat(32)}.qcow2`), '')

    await layers.sweep(all)

    expect(readdirSync(files())).toEqual([...before, 'lost+found', 'notes.txt'].sort())
  })

  test('are merged another time when that fails now, and nothing else fails for it', async () => {
    const { disk, all, newest } = await history()
    await layers.sweep(all)
    const letGo = await keep(newest)
    try {
      await layers.remove(layerAt('second'))
      expect(readdirSync(files())).toHaveLength(3)
    } finally {
      await letGo()
    }
    await run(disk, 4)
    expect(readdirSync(files())).toHaveLength(2)
    expect(await firstByte(disk)).toBe(4)
  })

  test('whose files go in a circle are told of, and do not hang', { timeout: 10_000 }, async () => {
    const { disk, oldest, newest } = await history()
    const top = newest.slice(files().length + 1)
    qemuImg('rebase', '-u', '-f', 'qcow2', '-b', top, '-F', 'qcow2', oldest)
    const opened = await layers.open(disk, 'domain')
    expect(opened.files).toHaveLength(3)
  })

  test('are refused to a disk whose image has become shorter', async () => {
    const base = join(folder, 'base.raw')
    writeFileSync(base, Buffer.alloc(1000))
    const disk = diskSpec(folder, { base, baseBytes: 1024 })
    expect(await kindOf(layers.open(disk, 'domain'))).toBe('damaged')
    expect(await kindOf(new LayerContent(files()).source(disk))).toBe('damaged')
  })

  test('that a machine did not close are known, and mended in a copy', async () => {
    const disk = diskSpec(folder)
    const content = new LayerContent(files())
    const file = await run(disk, 1, false)
    expect(await content.isUnclean(disk.layer)).toBe(true)
    // the reference count of the first data cluster, which says now that it is free
    const handle = await readFile(file)
    const table = Number(handle.readBigUInt64BE(48))
    const block = Number(handle.readBigUInt64BE(table))
    handle.fill(0, block, block + 64)
    await writeFile(file, handle)
    expect(await content.check(disk)).toMatchObject({ repairable: true, damage: expect.stringContaining('error') })

    await layers.put(disk.layer, await content.repair(disk, {}))

    expect(await content.check(disk)).toEqual({ damage: '', repairable: false })
    expect(await firstByte(disk)).toBe(1)
    expect(await content.isUnclean(disk.layer)).toBe(false)
    expect(await readFile(file), 'the damaged one is kept').toEqual(handle)
    await layers.sweep([disk.layer])
    expect(readdirSync(files())).toHaveLength(2)
  })
})

describe('the record of a layer', () => {
  const sound = newLayerRecord(diskSpec(''))

  test.each([
    ['nothing', ''],
    ['another format', JSON.stringify({ ...sound, format: 'vivarium-layer-2' })],
    ['a path as a file', JSON.stringify({ ...sound, top: '../../etc/passwd' })],
    ['a negative size', JSON.stringify({ ...sound, bytes: -512 })],
    ['an unknown field', JSON.stringify({ ...sound, more: 1 })],
    ['too many kept files', JSON.stringify({ ...sound, kept: Array(KEPT_MOST + 1).fill('a'.repeat(32)) })],
    ['deep nesting', '['.repeat(30_000)],
    ['a prototype', `{"__proto__":{"top":null},${JSON.stringify(sound).slice(1)}`],
    ['megabytes', `${JSON.stringify(sound)}${' '.repeat(2_000_000)}`],
  ])('is refused when it is %s', async (_, content) => {
    await writeFile(layerAt('disk'), content)
    await expect(readLayerRecord(layerAt('disk'))).rejects.toMatchObject({ kind: 'damaged', hint: expect.any(String) })
  })

  test('is never half believed, whatever is spoilt of it', async () => {
    const { random } = seededRandom()
    await writeLayerRecord(layerAt('disk'), { ...sound, top: 'a'.repeat(32) })
    const whole = await readFile(layerAt('disk'))
    for (let count = 0; count < 200; count += 1) {
      const spoilt = Buffer.from(whole)
      const at = Math.floor(random() * spoilt.length)
      bytes(random, 1 + Math.floor(random() * 8)).copy(spoilt, at)
      await writeFile(layerAt('spoilt'), pick(random, [spoilt, spoilt.subarray(0, at)]))
      const read = await readLayerRecord(layerAt('spoilt')).catch((error: unknown) => (error as VmmError).kind)
      if (read !== 'damaged') expect(Object.keys(read ?? {})).toEqual(Object.keys(sound))
    }
  })

  test('stays as it was when the new one cannot be written', async () => {
    await writeLayerRecord(layerAt('disk'), sound)
    mkdirSync(`${layerAt('disk')}.partial`)
    await expect(writeLayerRecord(layerAt('disk'), { ...sound, bytes: 1 })).rejects.toThrow()
    expect(await readLayerRecord(layerAt('disk'))).toEqual(sound)
  })
})
