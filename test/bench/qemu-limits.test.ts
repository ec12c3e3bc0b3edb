import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { NO_LIMITS, type DiskLimits } from '../../src-main/contract'
import { findCommand } from '../support/display'
import { removeDomains } from '../support/real-inputs'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish, openVivarium, shell, until, type TestVivarium } from '../support/vivarium'
import { note, report } from './figures'

const ROUNDS = 5
const MB = 1e6
const NO_QEMU = findCommand('qemu-system-x86_64') ? '' : '(needs qemu-system-x86_64)'
/** After a change of the limits, until what may come at once has been used up; seconds. */
const SETTLE_S = 2
const MEASURE_S = 4
const SPAN_MIB = 512
/** How long a system is held below the rates that are said to hang guests; longer than the kernel's 120 s. */
const SLOW_S = 150

type Direction = 'read' | 'write'
type Counted = 'Bytes' | 'Ops'

interface Rates {
  /** By the guest's own kernel, a second of the guest's clock. */
  guest: number
  /** By QEMU, as Vivarium tells it. */
  qemu: number
}

describe.skipIf(NO_QEMU !== '')(`limits of disks ${NO_QEMU}`, () => {
  const folder = temporaryFolderForFile()
  let vivarium: TestVivarium
  let id = ''

  beforeAll(async () => {
    await seedStarter(folder)
    vivarium = await openVivarium(folder)
    const { call } = vivarium
    const { resultId: imageId } = await finish(call, call('images.prepareStarter', {}))
    const spec = { name: 'Limited', engine: 'qemu' as const, imageId, memoryMiB: 128, diskMiB: SPAN_MIB }
    id = (await call('domains.create', { spec })).id
    await finish(call, call('domains.start', { id }))
    await until(call, id, ({ agent }) => agent === 'ready')
    // what is read afterwards is there
    await inGuest(`dd if=/dev/zero of=/dev/vda bs=1M count=${SPAN_MIB} oflag=direct 2>/dev/null`)
  })

  afterAll(async () => {
    await removeDomains(vivarium.call)
    await vivarium.close()
  })

  const inGuest = (line: string) => shell(vivarium.call, id, line)
  const limit = (limits: Partial<DiskLimits>) =>
    vivarium.call('domains.update', { id, patch: { diskLimits: { ...NO_LIMITS, ...limits } } })

  /** Keeps the disk busy from now on, past the guest's cache, in requests of `bytes`. */
  async function load(direction: Direction, bytes: number): Promise<void> {
    const size = `bs=${bytes} count=${Math.floor((SPAN_MIB * 1024 * 1024) / bytes)}`
    const copy =
      direction === 'read'
        ? `dd if=/dev/vda of=/dev/null ${size} iflag=direct`
        : `dd if=/dev/zero of=/dev/vda ${size} oflag=direct conv=notrunc`
    await inGuest(`(while ${copy}; do :; done > /dev/null 2>&1 < /dev/null & echo $! > /run/load)`)
  }

  async function unload(): Promise<void> {
    await inGuest('kill $(cat /run/load); while killall dd 2>/dev/null; do sleep 0.2; done')
  }

  /** Steady rates of what is counted in one direction. */
  async function rates(direction: Direction, counted: Counted): Promise<Rates> {
    const [before, from] = [await kernelCount(direction, counted), Date.now()]
    await delay(MEASURE_S * 1000)
    const [after, to] = [await kernelCount(direction, counted), Date.now()]
    const samples = (await vivarium.call('domains.load', { id })).filter(({ at }) => at > from + 1000 && at <= to)
    const told = samples.map((sample) =>
      counted === 'Bytes'
        ? sample[direction === 'read' ? 'diskReadPerSecond' : 'diskWritePerSecond']
        : sample[direction === 'read' ? 'diskReadOpsPerSecond' : 'diskWriteOpsPerSecond'],
    )
    return {
      guest: (after.count - before.count) / (after.seconds - before.seconds),
      qemu: told.reduce((sum, rate) => sum + rate, 0) / told.length,
    }
  }

  /** See the kernel's Documentation/block/stat.rst: requests first, sectors of 512 bytes third; then the same of writes. */
  async function kernelCount(direction: Direction, counted: Counted): Promise<{ count: number; seconds: number }> {
    const [uptime = '', stat = ''] = (await inGuest('cat /proc/uptime /sys/block/vda/stat')).split('\n')
    const fields = stat.trim().split(/ +/).map(Number)
    const value = fields[(direction === 'read' ? 0 : 4) + (counted === 'Bytes' ? 2 : 0)] ?? NaN
    return { count: counted === 'Bytes' ? value * 512 : value, seconds: Number(uptime.split(' ')[0]) }
  }

  /** All limits are set under the running load, one after the other. */
  describe.each(['read', 'write'] as const)('%s', (direction) => {
    test.each([
      ['Bytes', 1 * MB, 16 * 1024],
      ['Bytes', 10 * MB, 64 * 1024],
      ['Bytes', 100 * MB, 512 * 1024],
      ['Ops', 100, 4096],
      ['Ops', 1000, 4096],
    ] as const)('%s: %d a second', async (counted, wanted, bytes) => {
      await limit({})
      await load(direction, bytes)
      await delay(SETTLE_S * 1000)
      const free = await rates(direction, counted)
      await limit({ [`${direction}${counted}`]: wanted })
      await delay(SETTLE_S * 1000)
      const rounds: Rates[] = []
      for (let round = 0; round < ROUNDS; round++) rounds.push(await rates(direction, counted))
      await limit({})
      await unload()

      const name = `${direction} ${wanted} ${counted.toLowerCase()}/s`
      const off = (rate: number) => Math.abs(rate / wanted - 1) * 100
      report({ name: `${name}, by the guest`, values: rounds.map(({ guest }) => off(guest)), unit: ' %', atMost: 3 })
      report({ name: `${name}, by QEMU`, values: rounds.map(({ qemu }) => off(qemu)), unit: ' %', atMost: 3 })
      report({ name: `${name}: without the limit`, values: [free.guest / wanted], unit: 'x', atLeast: 2 })
    })
  })

  test.each([0.5, 1])('a file system at %d MB/s', async (rate) => {
    await inGuest('modprobe ext4; mke2fs -q /dev/vda; mkdir -p /mnt; mount -t ext2 /dev/vda /mnt')
    await limit({ readBytes: rate * MB, writeBytes: rate * MB })
    await inGuest(
      '(while dd if=/dev/zero of=/mnt/file bs=64k count=256 && sync; do :; done >/dev/null 2>&1 </dev/null & echo $! > /run/load)',
    )
    const slowest: number[] = []
    for (const until = Date.now() + SLOW_S * 1000; Date.now() < until;) {
      const begun = performance.now()
      await inGuest('echo x > /mnt/small; sync -d /mnt/small')
      slowest.push((performance.now() - begun) / 1000)
    }
    await limit({})
    await inGuest('kill $(cat /run/load); while killall dd 2>/dev/null; do sleep 0.2; done; umount /mnt')
    const complaints = await inGuest('dmesg | grep -c "blocked for more than" || :')
    note({ name: `one small file written out beside a busy writer at ${rate} MB/s`, values: slowest, unit: ' s' })
    note({ name: `complaints of hung tasks at ${rate} MB/s`, values: [Number(complaints)], unit: '' })
    expect(slowest.length).toBeGreaterThan(0)
  })
})
