import { existsSync, mkdtempSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { EngineCatalog } from '../../vmm/engine/catalog'
import type { Engine } from '../../vmm/engine/engine'
import type { DiskSpec, MachineSpec } from '../../vmm/engine/machine-spec'
import { forkGuests } from '../../vmm/engine/guest-process'
import type { StarterImage } from '../../vmm/images/starter'
import { ENGINE_IDS } from '../../vmm/model/domain'
import { failureOf, guestOf, PLAIN_PC, shell, type Guest } from '../support/machines'
import { isAlive } from '../support/main-process'
import { testStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'

const MIB = 1024 * 1024
const folder = temporaryFolderForFile()
const emptyDisk = (layer: string): DiskSpec => ({ id: 'disk', base: null, baseBytes: 0, bytes: MIB, layer })
const catalog = new EngineCatalog(forkGuests(path.resolve('.vite/build/guest.js')), {
  layers: path.join(folder, 'layers'),
  run: path.join(folder, 'run'),
  cache: path.join(folder, 'cache'),
})

for (const id of ENGINE_IDS) {
  const engine = catalog.find(id)
  describe(id, () => {
    if (engine) engineBehaves(engine)
    else test('runs machines', (context) => context.skip('this engine is not part of this version'))
  })
}

/** What every engine does. One guest is booted; the others resume from its state. */
function engineBehaves(engine: Engine): void {
  let starter: StarterImage
  let guest: Guest
  const bootedFile = path.join(folder, 'booted.state')
  const bootedLayer = path.join(folder, 'booted.layer')
  const pids = new Set<number>()
  let domains = 0

  function spec(more: Partial<MachineSpec> = {}): MachineSpec {
    return {
      domainId: `parity-${++domains}`,
      memoryMiB: 96,
      boot: { kind: 'kernel', kernel: starter.kernel, initrd: starter.initrd, cmdline: starter.cmdline },
      disks: [emptyDisk(path.join(mkdtempSync(path.join(folder, 'm-')), 'disk.layer'))],
      bios: { bios: starter.bios, vgaBios: starter.vgaBios },
      ...PLAIN_PC,
      resumeFrom: null,
      ...more,
    }
  }

  async function start(more: Partial<MachineSpec> = {}): Promise<Guest> {
    const machine = await engine.start(spec(more))
    pids.add(machine.pid ?? 0)
    return guestOf(machine)
  }

  /** A guest of its own that goes on where the booted one was saved. */
  async function resumed(more: Partial<MachineSpec> = {}): Promise<Guest> {
    const own = spec(more)
    await engine.copyLayer(bootedLayer, own.disks[0]?.layer ?? '')
    const machine = await engine.start({ ...own, resumeFrom: bootedFile, ...more })
    pids.add(machine.pid ?? 0)
    return guestOf(machine)
  }

  beforeAll(async () => {
    starter = await testStarter()
    guest = await start()
    expect(await guest.agent.answers(120_000)).toBe(true)
    await shell(guest, 'echo kept > /root/note; echo on-disk | dd of=$(echo /dev/[sv]da) conv=sync,fsync 2>/dev/null')
    await guest.machine.saveState(bootedFile, { compress: false, layerCopies: { disk: bootedLayer } })
  })

  afterAll(async () => {
    await guest.machine.kill()
    await vi.waitFor(() => expect([...pids].filter(isAlive)).toEqual([]), 10_000)
  })

  test('works here', async () => {
    expect(await engine.probe()).toMatchObject({ works: true, reason: '' })
  })

  test('carries the console both ways', async () => {
    guest.machine.console.write(Buffer.from('echo $((6 * 7))-\r'))

    await expect.poll(guest.console, { timeout: 10_000 }).toContain('\r\n42-\r\n')
    expect(guest.console()).toMatch(/Linux|login|root@/)
  })

  test('takes a long paste whole', async () => {
    const lines = Array.from({ length: 500 }, (_, n) => `line ${n} of what was pasted, and some more of it`)

    guest.machine.console.write(Buffer.from(`cat > /root/pasted\r${lines.join('\r')}\r\u0004`))

    await expect.poll(() => shell(guest, 'wc -l < /root/pasted'), { timeout: 30_000 }).toBe('500')
    expect(await shell(guest, 'cat /root/pasted')).toBe(lines.join('\n'))
  })

  test('runs commands through the agent', async () => {
    expect(await shell(guest, 'uname -s; exit 0')).toBe('Linux')
    expect((await guest.commands.run('/bin/sh', ['-c', 'exit 5'])).exitCode).toBe(5)
  })

  test('counts, and what it counts only grows', async () => {
    const before = await guest.machine.counters()
    await shell(
      guest,
      'i=0; while [ $i -lt 5000 ]; do i=$((i + 1)); done; echo x | dd of=$(echo /dev/[sv]da) conv=sync,fsync 2>/dev/null',
    )
    const after = await guest.machine.counters()

    const shrunk = Object.entries(before).filter(
      ([name, value]) =>
        !['hostBytes', 'guestUsedBytes'].includes(name) && Number(value) > Number(after[name as keyof typeof after]),
    )
    expect(shrunk).toEqual([])
    if (before.instructions !== null) expect(after.instructions).toBeGreaterThan(before.instructions + 100_000)
    expect(after.ranMs).toBeGreaterThan(before.ranMs)
    expect(after.diskWriteBytes).toBeGreaterThan(before.diskWriteBytes)
    expect(after.hostBytes).toBeGreaterThan(MIB)
  })

  test('tells its counters about once a second, until nobody listens', async () => {
    const told: number[] = []
    const stop = guest.machine.onCounters((counters) => told.push(counters.ranMs))
    await expect.poll(() => told.length, { timeout: 10_000 }).toBeGreaterThan(1)
    stop()
    const heard = told.length

    await delay(1500)

    expect(told).toHaveLength(heard)
  })

  test('stands still while it is paused, and goes on as if nothing had been', async () => {
    await guest.machine.pause()
    await guest.machine.pause()
    const before = await guest.machine.counters()
    await delay(300)
    const after = await guest.machine.counters()
    const silent = await guest.agent.answers(500)
    await guest.machine.resume()

    expect(after.instructions).toBe(before.instructions)
    expect(after.ranMs - before.ranMs).toBeLessThan(50)
    expect(silent).toBe(false)
    expect(await shell(guest, 'echo back')).toBe('back')
  })

  test.each([
    ['packed', true],
    ['plain', false],
  ])('saves its state, %s, goes on, and another machine goes on from there', async (name, compress) => {
    const file = path.join(folder, `${name}.state`)
    const layer = path.join(folder, `${name}.layer`)
    await shell(
      guest,
      `echo ${name} > /root/note; echo ${name} | dd of=$(echo /dev/[sv]da) conv=sync,fsync 2>/dev/null`,
    )

    const { bytes } = await guest.machine.saveState(file, { compress, layerCopies: { disk: layer } })
    await shell(guest, 'echo later > /root/note; echo later | dd of=$(echo /dev/[sv]da) conv=sync,fsync 2>/dev/null')
    const twin = await start({ resumeFrom: file, disks: [emptyDisk(layer)] })
    const told = await shell(
      twin,
      'cat /root/note; echo 3 > /proc/sys/vm/drop_caches; head -n 1 /dev/[sv]da | tr -d "\\0"',
    )
    await twin.machine.kill()

    expect(bytes).toBe(readFileSync(file).length)
    expect(existsSync(`${file}.partial`)).toBe(false)
    expect(await engine.checkState(file)).toBe('')
    expect(told.split('\n')).toEqual([name, name])
    expect(await shell(guest, 'cat /root/note')).toBe('later')
  })

  test('a paused machine is saved as well, and is paused afterwards', async () => {
    const file = path.join(folder, 'paused.state')
    await guest.machine.pause()

    await guest.machine.saveState(file, { compress: true, layerCopies: {} })
    const silent = await guest.agent.answers(500)
    await guest.machine.resume()

    expect(silent).toBe(false)
    expect(await engine.checkState(file)).toBe('')
  })

  test('a state that cannot be written is refused, and the machine goes on', async () => {
    const nowhere = path.join(folder, 'no', 'such', 'folder.state')

    await expect(guest.machine.saveState(nowhere, { compress: true, layerCopies: {} })).rejects.toMatchObject({
      kind: 'not-found',
    })

    expect(await shell(guest, 'echo fine')).toBe('fine')
  })

  test.each([
    ['a shutdown', 'powered-off', (own: Guest): Promise<void> => own.commands.shutdown('powerdown')],
    ['a kill', 'killed', (own: Guest): Promise<void> => own.machine.kill()],
    [
      'a signal to its process',
      'crashed',
      async (own: Guest): Promise<void> => void process.kill(own.machine.pid ?? 0, 'SIGKILL'),
    ],
  ] as const)('ends by %s, says how, and refuses what comes later', async (_, how, end) => {
    const own = await resumed()
    expect(await own.agent.answers(20_000)).toBe(true)

    await end(own)

    expect(await own.machine.ended).toMatchObject({ how })
    await expect(own.machine.pause()).rejects.toMatchObject({ kind: 'engine' })
    await expect(own.machine.counters()).rejects.toMatchObject({ kind: 'engine' })
    await expect(own.machine.kill()).resolves.toBeUndefined()
    expect(() => own.machine.console.write(Buffer.from('x'))).not.toThrow()
  })

  test('a reboot is told, whether the machine ends with it or goes on', async () => {
    const own = await resumed()
    expect(await own.agent.answers(20_000)).toBe(true)
    const reset = new Promise((resolve) => own.machine.onReset(() => resolve('in place')))

    await own.commands.shutdown('reboot')

    expect(['in place', { how: 'reset', reason: '' }]).toContainEqual(await Promise.race([reset, own.machine.ended]))
    await own.machine.kill()
  })

  test('is killed while it starts', async () => {
    const leave = new AbortController()
    const starting = failureOf(engine.start(spec(), leave.signal))
    await delay(20)

    leave.abort()

    expect(await starting).toMatchObject({ kind: 'cancelled' })
    expect(await failureOf(engine.start(spec(), leave.signal))).toMatchObject({ kind: 'cancelled' })
  })

  describe('refuses', () => {
    function broken(name: string, content: Buffer): string {
      const file = path.join(folder, name)
      writeFileSync(file, content)
      return file
    }

    test.each(['kernel', 'initrd', 'bios', 'resumeFrom', 'base'] as const)(
      'a missing %s, by kind not-found',
      async (what) => {
        const none = path.join(folder, 'none')
        const { boot, bios, disks } = spec()
        const missing: Record<typeof what, Partial<MachineSpec>> = {
          kernel: { boot: { ...boot, kernel: none } as MachineSpec['boot'] },
          initrd: { boot: { ...boot, initrd: none } as MachineSpec['boot'] },
          bios: { bios: { ...bios, bios: none } },
          resumeFrom: { resumeFrom: none },
          base: { disks: disks.map((disk) => ({ ...disk, base: none })) },
        }

        const failure = await failureOf(engine.start(spec(missing[what])))

        expect(failure).toMatchObject({ kind: 'not-found', hint: expect.stringMatching(/.+/) })
      },
    )

    test.each([
      ['empty', () => Buffer.alloc(0)],
      ['cut off after 1000 bytes', (whole: Buffer) => whole.subarray(0, 1000)],
      ['something else', () => Buffer.alloc(100_000, 'not a kernel ')],
    ] as const)('a kernel that is %s', async (name, spoil) => {
      const kernel = broken(`kernel-${name}`, spoil(readFileSync(starter.kernel)))

      const failure = await failureOf(
        engine.start(spec({ boot: { kind: 'kernel', kernel, initrd: null, cmdline: '' } })),
      )

      expect(failure).toMatchObject({ kind: 'invalid', message: expect.stringMatching(/\.$/) })
    })

    test.each([
      ['empty', () => Buffer.alloc(0)],
      ['cut off', (whole: Buffer) => whole.subarray(0, whole.length - 1)],
      ['no state', () => Buffer.alloc(100_000, 'x')],
    ] as const)('a state that is %s, by kind damaged', async (name, spoil) => {
      const resumeFrom = broken(`state-${name}`, spoil(readFileSync(bootedFile)))

      expect(await failureOf(resumed({ resumeFrom }).then((own) => own.machine))).toMatchObject({ kind: 'damaged' })
      expect(await engine.checkState(resumeFrom)).toMatch(/^The saved state .+\.$/)
    })

    test('a state whose content is not one', async () => {
      const spoilt = readFileSync(bootedFile)
      spoilt.fill(0xee, 40, 4000)

      const failure = await failureOf(
        resumed({ resumeFrom: broken('spoilt.state', spoilt) }).then((own) => own.machine),
      )

      expect(failure).toMatchObject({ kind: 'damaged', message: expect.stringMatching(/\.$/) })
    })

    test('a state of another memory size', async () => {
      const failure: unknown = await failureOf(resumed({ memoryMiB: 64 }).then((own) => own.machine))

      expect(failure).toMatchObject({
        kind: expect.stringMatching(/^(invalid|damaged)$/),
        message: expect.stringMatching(/\.$/),
      })
    })

    test('a disk layer that is damaged, by kind damaged', async () => {
      const layer = broken('spoilt.layer', Buffer.alloc(10_000, 'x'))

      const failure = await failureOf(engine.start(spec({ disks: [emptyDisk(layer)] })))

      expect(failure).toMatchObject({ kind: 'damaged' })
    })

    test('a base image that got shorter, by kind damaged', async () => {
      const base = broken('short.img', Buffer.alloc(MIB))
      truncateSync(base, 1000)

      const failure = await failureOf(
        engine.start(spec({ disks: [{ ...emptyDisk(path.join(folder, 'over-short.layer')), base, baseBytes: MIB }] })),
      )

      expect(failure).toMatchObject({ kind: 'damaged' })
    })
  })
}
