import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { NbdServer } from '../../vmm/disks/nbd-server'
import { VolumeStore } from '../../vmm/disks/volume-store'
import { BlobPool } from '../../vmm/sealed/blob-pool'
import { StoreKey } from '../../vmm/sealed/store-key'
import { temporaryFolder } from '../support/temporary-folder'
import { volumeDisk } from '../support/volume-disks'
import { median, note, report } from './figures'

const run = promisify(execFile)
const MIB = 1024 * 1024
const DISK_MIB = 256
const ROUNDS = 5
const BLOCKS = { '64k': 3000, '4k': 8000 }

/** Seconds that QEMU takes for `count` blocks in a row, eight at a time, past the host's cache where it is a file. */
async function bench(target: string, block: string, count: number, write: boolean): Promise<number> {
  const words = ['bench', '-f', 'raw', '-t', 'none', '-c', String(count), '-d', '8', '-s', block]
  const { stdout } = await run('qemu-img', [...words, ...(write ? ['-w'] : []), target])
  return Number(/in ([\d.]+) seconds/.exec(stdout)?.[1])
}

async function serve(folder: string, id: string, master: Uint8Array | null): Promise<string> {
  const store = new VolumeStore(join(folder, `${id}-volumes`), StoreKey.of(master, 'volumes'), new BlobPool())
  const disk = volumeDisk(folder, id, { bytes: DISK_MIB * MIB })
  const socket = join(folder, `${id}.sock`)
  const server = await NbdServer.listen(socket)
  const volume = await store.open(disk, 'bench')
  for (let at = 0; at < DISK_MIB; at++) volume.write(at * MIB, randomBytes(MIB))
  await volume.flush()
  server.add('disk', volume, { pass: () => null })
  onTestFinished(async () => {
    await server.close()
    await store.close(disk.layer)
  })
  return `nbd+unix:///disk?socket=${socket}`
}

/** The server shares its process with the test, as it shares one with all other files of guests in the product. */
test('volumes against a raw file', async () => {
  const folder = temporaryFolder()
  const raw = join(folder, 'raw')
  writeFileSync(raw, randomBytes(DISK_MIB * MIB))
  const targets = {
    raw,
    plain: await serve(folder, 'plain', null),
    sealed: await serve(folder, 'sealed', randomBytes(32)),
  }
  for (const [block, count] of Object.entries(BLOCKS)) {
    for (const write of [false, true]) {
      const seconds = { raw: [] as number[], plain: [] as number[], sealed: [] as number[] }
      for (let round = 0; round < ROUNDS; round++) {
        for (const [name, target] of Object.entries(targets)) {
          seconds[name as keyof typeof seconds].push(await bench(target, block, count, write))
        }
      }
      const what = `${write ? 'writing' : 'reading'} ${block}`
      const ratio = (above: number[], under: number[]) => under.map((each, round) => (above[round] ?? NaN) / each)
      const speed = seconds.sealed.map((each) => (count * parseInt(block)) / 1024 / each)
      note({ name: `${what}, sealed`, values: speed, unit: ' MiB/s' })
      report({ name: `${what}, plain to raw`, values: ratio(seconds.raw, seconds.plain), unit: 'x', atLeast: 0.85 })
      report({ name: `${what}, sealed to raw`, values: ratio(seconds.raw, seconds.sealed), unit: 'x', atLeast: 0.6 })
      report({
        name: `${what}, sealed to plain`,
        values: ratio(seconds.plain, seconds.sealed),
        unit: 'x',
        atLeast: 0.8,
      })
      expect(median(speed)).toBeGreaterThan(0)
    }
  }
})
