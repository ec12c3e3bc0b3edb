import type * as nodeFs from 'node:fs'
import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { LayeredDisk } from '../../vmm/engine/embedded-disk'
import { copyLayer } from '../../vmm/engine/embedded-layers'
import { below, bytes, type Random } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { temporaryFolder } from '../support/temporary-folder'

const BLOCK = 4096
const SECTOR = 512

/** What the host does with the next writes. */
const host = vi.hoisted(() => ({ writesLeft: Infinity, shortest: Infinity }))

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof nodeFs>()
  const writeSync = (file: number, data: Uint8Array, at: number, length: number, position: number) => {
    if (host.writesLeft-- <= 0)
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
    return fs.writeSync(file, data, at, Math.min(length, host.shortest), position)
  }
  return { ...fs, writeSync }
})

beforeEach(() => {
  Object.assign(host, { writesLeft: Infinity, shortest: Infinity })
})

interface Place {
  base: string | null
  baseBytes: number
  bytes: number
  layer: string
}

function place(size: number, base: Buffer | null = null): Place {
  const folder = temporaryFolder()
  const file = join(folder, 'base.img')
  if (base) writeFileSync(file, base)
  return { base: base ? file : null, baseBytes: base?.length ?? 0, bytes: size, layer: join(folder, 'disk.layer') }
}

function open(where: Place, onFailure: (error: Error) => void = (error) => expect.unreachable(error.message)) {
  return new LayeredDisk(where, onFailure)
}

function read(disk: LayeredDisk, offset = 0, length = disk.byteLength - offset): Buffer {
  let data: Uint8Array = new Uint8Array()
  disk.get(offset, length, (got) => (data = got))
  return Buffer.from(data)
}

function write(disk: LayeredDisk, offset: number, data: Uint8Array): boolean {
  let done = false
  disk.set(offset, data, () => (done = true))
  return done
}

/** Random writes to `disk` and to `model`, at odd offsets. */
function scribble(random: Random, disk: LayeredDisk, model: Buffer, times: number): void {
  for (let turn = 0; turn < times; turn++) {
    const offset = below(random, model.length)
    const data = bytes(random, below(random, Math.min(3 * BLOCK, model.length - offset) + 1))
    write(disk, offset, data)
    data.copy(model, offset)
  }
}

describe('LayeredDisk', () => {
  test.each([
    ['an empty disk', false],
    ['a base', true],
  ])('random reads and writes over %s agree with a buffer, also after it is opened again', (_, withBase) => {
    const { random } = seededRandom()
    for (let round = 0; round < 10; round++) {
      const size = SECTOR * (1 + below(random, 200))
      const base = withBase ? bytes(random, size) : null
      const where = place(size, base)
      const model = Buffer.from(base ?? Buffer.alloc(size))
      for (let opening = 0; opening < 3; opening++) {
        const disk = open(where)
        scribble(random, disk, model, 10)
        const offset = below(random, size)
        const length = below(random, size - offset + 1)

        expect(read(disk, offset, length).equals(model.subarray(offset, offset + length))).toBe(true)
        expect(read(disk).equals(model)).toBe(true)
        disk.close()
      }
      expect(base === null || readFileSync(where.base ?? '').equals(base)).toBe(true)
    }
  })

  test('counts what was read and written', () => {
    const disk = open(place(BLOCK))

    write(disk, 0, Buffer.alloc(700))
    read(disk, 0, 300)

    expect([disk.readBytes, disk.writeBytes]).toEqual([300, 700])
  })

  test('killed between a block and its bit, the base shows through', () => {
    const where = place(BLOCK * 2, Buffer.alloc(BLOCK * 2, 'b'))
    const disk = open(where, () => undefined)
    host.writesLeft = 1

    const done = write(disk, 0, Buffer.alloc(BLOCK, 'n'))
    host.writesLeft = Infinity

    expect(done).toBe(false)
    expect(read(open(where)).equals(Buffer.alloc(BLOCK * 2, 'b'))).toBe(true)
  })

  test('a write that the host refuses is not confirmed, and is done when tried again', () => {
    const failures: string[] = []
    const disk = open(place(BLOCK * 4), (error) => failures.push(error.message))
    const outcomes: string[] = []
    const data = Buffer.alloc(BLOCK, 'x')
    host.writesLeft = 0

    disk.set(100, data, () => outcomes.push('first'))
    disk.set(9000, data, () => outcomes.push('second'))
    data.fill('changed')
    disk.retry()
    const whileFull = [...outcomes]
    host.writesLeft = Infinity
    disk.retry()

    expect(whileFull).toEqual([])
    expect(outcomes).toEqual(['first', 'second'])
    expect(failures).toHaveLength(4)
    expect(read(disk, 100, BLOCK).equals(Buffer.alloc(BLOCK, 'x'))).toBe(true)
    expect(read(disk, 9000, BLOCK).equals(Buffer.alloc(BLOCK, 'x'))).toBe(true)
  })

  test('a block whose bit the host refused is still there after it was tried again', () => {
    const where = place(BLOCK * 4)
    const disk = open(where, () => undefined)
    host.writesLeft = 1
    write(disk, 0, Buffer.alloc(BLOCK, 'n'))
    const stalled = disk.stalled

    host.writesLeft = Infinity
    disk.retry()

    expect([stalled, disk.stalled]).toEqual([true, false])
    expect(read(open(where), 0, BLOCK).equals(Buffer.alloc(BLOCK, 'n'))).toBe(true)
  })

  test('a host that takes less than it is given is given the rest', () => {
    const where = place(BLOCK * 8)
    const { random } = seededRandom()
    const model = Buffer.alloc(BLOCK * 8)
    host.shortest = 100

    scribble(random, open(where), model, 20)

    expect(read(open(where)).equals(model)).toBe(true)
  })

  test('a layer that could not be begun is begun anew', () => {
    const where = place(BLOCK * 4)
    host.writesLeft = 0
    expect(() => open(where)).toThrow(/ENOSPC/)
    host.writesLeft = Infinity

    const disk = open(where)

    expect(write(disk, 0, Buffer.from('fine'))).toBe(true)
  })

  test('a layer whose first write was cut off by a kill is begun anew', () => {
    const where = place(BLOCK * 4)
    writeFileSync(where.layer, Buffer.alloc(0))

    expect(read(open(where)).equals(Buffer.alloc(BLOCK * 4))).toBe(true)
  })

  test.each([
    ['another magic', 0, Buffer.from('X')],
    ['another version', 8, Buffer.from([9])],
    ['another size', 17, Buffer.from([9])],
    ['an impossible size', 16, Buffer.alloc(8, 0xff)],
  ])('a header with %s is damaged, for opening and for copying', async (_, at, damage) => {
    const where = place(BLOCK * 4)
    open(where).close()
    const content = readFileSync(where.layer)
    damage.copy(content, at)
    writeFileSync(where.layer, content)

    expect(() => open(where)).toThrow(expect.objectContaining({ kind: 'damaged' }))
    const copied = await copyLayer(where.layer, `${where.layer}.copy`).catch((error: unknown) => error)
    expect([undefined, expect.objectContaining({ kind: 'damaged' })]).toContainEqual(copied)
  })

  test('a layer that lost its end is damaged', async () => {
    const where = place(BLOCK * 16)
    write(open(where), BLOCK * 15, Buffer.alloc(BLOCK, 'x'))
    truncateSync(where.layer, statSync(where.layer).size - 1)

    expect(() => open(where)).toThrow(expect.objectContaining({ kind: 'damaged' }))
    await expect(copyLayer(where.layer, `${where.layer}.copy`)).rejects.toMatchObject({ kind: 'damaged' })
  })

  test('larger than its image reads as zeros beyond it, and takes writes there', () => {
    const base = Buffer.alloc(BLOCK + SECTOR, 7)
    const where = place(BLOCK * 4, base)
    const disk = open(where)
    const model = Buffer.concat([base, Buffer.alloc(BLOCK * 4 - base.length)])
    expect(read(disk).equals(model)).toBe(true)
    write(disk, BLOCK + SECTOR, Buffer.alloc(SECTOR, 9))
    model.fill(9, BLOCK + SECTOR, BLOCK + 2 * SECTOR)
    disk.close()
    expect(read(open(where)).equals(model)).toBe(true)
  })

  test('a base shorter than it was is damaged', () => {
    const where = { ...place(BLOCK * 4, Buffer.alloc(BLOCK)), baseBytes: BLOCK * 2 }

    expect(() => open(where)).toThrow(expect.objectContaining({ kind: 'damaged' }))
  })

  test('a write beyond the end is not confirmed and hurts nothing', () => {
    const disk = open(place(BLOCK), () => undefined)

    const done = write(disk, BLOCK * 100, Buffer.alloc(SECTOR, 'x'))

    expect(done).toBe(false)
    expect(read(disk).equals(Buffer.alloc(BLOCK))).toBe(true)
  })
})

describe('copyLayer', () => {
  test('copies what the layer holds and leaves its holes', async () => {
    const { random } = seededRandom()
    const size = 64 * 1024 * 1024
    const where = place(size)
    const disk = open(where)
    const model = Buffer.alloc(size)
    scribble(random, disk, model, 40)
    write(disk, size - 10, Buffer.from('end'))
    model.write('end', size - 10)
    const copy = { ...where, layer: `${where.layer}.copy` }

    await copyLayer(where.layer, copy.layer)

    expect(read(open(copy)).equals(model)).toBe(true)
    expect(statSync(copy.layer).blocks * SECTOR).toBeLessThan(4 * 1024 * 1024)
    expect(existsSync(`${copy.layer}.partial`)).toBe(false)
  })

  test('a source that is missing leaves nothing', async () => {
    const to = join(temporaryFolder(), 'copy')

    await expect(copyLayer(`${to}.missing`, to)).rejects.toMatchObject({ code: 'ENOENT' })

    expect(existsSync(to)).toBe(false)
  })
})
