import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { LayeredDisk } from '../../vmm/engine/embedded-disk'
import { copyLayer } from '../../vmm/engine/embedded-layers'
import { checkStateFile, readState, writeState } from '../../vmm/engine/embedded-state'
import { below, bytes } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { fillDisk, NO_SMALL_DISK, smallDisk } from '../support/small-disk'
import { temporaryFolder } from '../support/temporary-folder'

const HEADER = 32
const MIB = 1024 * 1024

function stateOf(content: Uint8Array): ArrayBuffer {
  return Uint8Array.from(content).buffer
}

async function outcome(file: string): Promise<Buffer | { kind: string }> {
  return await readState(file).then(
    (state) => Buffer.from(state),
    (error: unknown) => error as { kind: string },
  )
}

describe('a state file', () => {
  test.each([
    ['gzip', true],
    ['plain', false],
  ])('as %s gives back what was written, of any size', async (_, compress) => {
    const { random } = seededRandom()
    const folder = temporaryFolder()
    for (const length of [0, 1, 31, 4096, MIB - 1, MIB, MIB + 1, 3 * MIB + 5]) {
      const file = join(folder, `${length}.state`)
      const content = Buffer.concat([bytes(random, Math.min(length, 5000)), Buffer.alloc(Math.max(0, length - 5000))])

      const written = await writeState(file, stateOf(content), compress)

      expect(statSync(file)).toMatchObject({ size: written, mode: 0o100600 })
      expect(Buffer.from(await readState(file)).equals(content)).toBe(true)
    }
    expect(readdirSync(folder).filter((name) => name.includes('partial'))).toEqual([])
  })

  test.each([
    ['gzip', true],
    ['plain', false],
  ])('as %s, cut off anywhere, is damaged', async (_, compress) => {
    const { random } = seededRandom()
    const folder = temporaryFolder()
    const whole = join(folder, 'whole.state')
    const size = await writeState(whole, stateOf(bytes(random, 200)), compress)
    const cut = join(folder, 'cut.state')
    for (let length = 0; length < size; length++) {
      copyFileSync(whole, cut)
      truncateSync(cut, length)

      expect(await outcome(cut)).toMatchObject({ kind: 'damaged' })
      await expect(checkStateFile(cut)).rejects.toMatchObject({ kind: 'damaged' })
    }
  })

  test('as gzip, with any bit turned, is damaged or says what it said', async () => {
    const { random } = seededRandom()
    const folder = temporaryFolder()
    const whole = join(folder, 'whole.state')
    const content = Buffer.from('what the guest had in its memory, over and over. '.repeat(20))
    const size = await writeState(whole, stateOf(content), true)
    const file = join(folder, 'turned.state')
    for (let round = 0; round < 400; round++) {
      const turned = readFileSync(whole)
      const at = below(random, size)
      turned[at] = (turned[at] ?? 0) ^ (1 << below(random, 8))
      writeFileSync(file, turned)

      expect([content, expect.objectContaining({ kind: 'damaged' })]).toContainEqual(await outcome(file))
    }
  })

  test('as plain, with any bit of its header turned, is damaged', async () => {
    const folder = temporaryFolder()
    const whole = join(folder, 'whole.state')
    await writeState(whole, stateOf(Buffer.alloc(100, 'x')), false)
    const file = join(folder, 'turned.state')
    for (let bit = 0; bit < HEADER * 8; bit++) {
      const turned = readFileSync(whole)
      turned[bit >> 3] = (turned[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      writeFileSync(file, turned)

      expect(await outcome(file)).toMatchObject({ kind: 'damaged' })
    }
  })

  test('that holds more than it says is not unpacked', async () => {
    const folder = temporaryFolder()
    const file = join(folder, 'bomb.state')
    await writeState(file, stateOf(Buffer.alloc(100)), true)
    const body = gzipSync(Buffer.alloc(64 * MIB))
    const header = readFileSync(file).subarray(0, HEADER)
    header.writeBigUInt64LE(BigInt(body.length), 24)
    writeFileSync(file, Buffer.concat([header, body]))
    const before = process.memoryUsage().arrayBuffers

    expect(await outcome(file)).toMatchObject({ kind: 'damaged' })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * MIB)
  })

  test.each(['missing', 'a folder', 'empty', 'something else'])('that is %s is damaged', async (what) => {
    const file = join(temporaryFolder(), 'it.state')
    const make: Record<string, () => void> = {
      missing: () => undefined,
      'a folder': () => mkdirSync(file),
      empty: () => writeFileSync(file, ''),
      'something else': () => writeFileSync(file, 'x'.repeat(1000)),
    }
    make[what]?.()

    expect(await outcome(file)).toMatchObject({ kind: 'damaged' })
  })

  test('that replaces another one leaves the other whole when it cannot be written', async () => {
    const folder = temporaryFolder()
    const file = join(folder, 'it.state')
    await writeState(file, stateOf(Buffer.from('old')), true)
    mkdirSync(`${file}.partial`)

    await expect(writeState(file, stateOf(Buffer.from('new')), true)).rejects.toThrow()

    expect(Buffer.from(await readState(file)).toString()).toBe('old')
  })
})

describe.skipIf(NO_SMALL_DISK !== '')(`on a full disk ${NO_SMALL_DISK && `(skipped: ${NO_SMALL_DISK})`}`, () => {
  test.each([
    ['gzip', true],
    ['plain', false],
  ])('a %s state that does not fit, by much or by a little, is refused and leaves nothing', async (_, compress) => {
    const { random } = seededRandom()
    const content = stateOf(bytes(random, 300_000))
    for (const kib of [0, 4, 32, 100, 272, 288]) {
      const folder = smallDisk(1024)
      fillDisk(folder, kib)

      await expect(writeState(join(folder, 'it.state'), content, compress)).rejects.toMatchObject({ code: 'ENOSPC' })

      expect(readdirSync(folder)).toEqual(['filler'])
    }
  })

  test('a copy of a layer that does not fit is refused and leaves nothing', async () => {
    const source = join(temporaryFolder(), 'disk.layer')
    const disk = new LayeredDisk({ base: null, baseBytes: 0, bytes: MIB, layer: source }, () => undefined)
    disk.set(0, Buffer.alloc(400_000, 'x'), () => undefined)
    for (const kib of [0, 4, 8, 12, 100, 384]) {
      const folder = smallDisk(1024)
      fillDisk(folder, kib)

      await expect(copyLayer(source, join(folder, 'disk.layer'))).rejects.toMatchObject({ code: 'ENOSPC' })

      expect(readdirSync(folder)).toEqual(['filler'])
    }
  })
})
