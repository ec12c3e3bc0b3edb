import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { emptyDisk, MIB, onEveryEngine, type EngineTrial } from '../support/engine-trial'
import { failureOf, shell, type Guest } from '../support/machines'
import { temporaryFolderForFile } from '../support/temporary-folder'

const folder = temporaryFolderForFile()

await onEveryEngine(folder, machinesBehave)

/** What the machines of every engine do. */
function machinesBehave(trial: EngineTrial): void {
  test('works here', async () => {
    expect(await trial.engine.probe()).toMatchObject({ works: true, reason: '' })
  })

  test('carries the console both ways', async () => {
    trial.guest.machine.console.write(Buffer.from('echo $((6 * 7))-\r'))

    await expect.poll(trial.guest.console, { timeout: 10_000 }).toContain('\r\n42-\r\n')
    expect(trial.guest.console()).toMatch(/Linux|login|root@/)
  })

  test('takes a long paste whole', async () => {
    const lines = Array.from({ length: 500 }, (_, n) => `line ${n} of what was pasted, and some more of it`)

    trial.guest.machine.console.write(Buffer.from(`cat > /root/pasted\r${lines.join('\r')}\r\u0004`))

    await expect.poll(() => shell(trial.guest, 'wc -l < /root/pasted'), { timeout: 30_000 }).toBe('500')
    expect(await shell(trial.guest, 'cat /root/pasted')).toBe(lines.join('\n'))
  })

  test('runs commands through the agent', async () => {
    expect(await shell(trial.guest, 'uname -s; exit 0')).toBe('Linux')
    expect((await trial.guest.commands.run('/bin/sh', ['-c', 'exit 5'])).exitCode).toBe(5)
  })

  test('counts, and what it counts only grows', async () => {
    const before = await trial.guest.machine.counters()
    await shell(
      trial.guest,
      'i=0; while [ $i -lt 5000 ]; do i=$((i + 1)); done; echo x | dd of=$(echo /dev/[sv]da) conv=sync,fsync 2>/dev/null',
    )
    const after = await trial.guest.machine.counters()

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
    const stop = trial.guest.machine.onCounters((counters) => told.push(counters.ranMs))
    await expect.poll(() => told.length, { timeout: 10_000 }).toBeGreaterThan(1)
    stop()
    const heard = told.length

    await delay(1500)

    expect(told).toHaveLength(heard)
  })

  test('stands still while it is paused, and goes on as if nothing had been', async () => {
    await trial.guest.machine.pause()
    await trial.guest.machine.pause()
    const before = await trial.guest.machine.counters()
    await delay(300)
    const after = await trial.guest.machine.counters()
    const silent = await trial.guest.agent.answers(500)
    await trial.guest.machine.resume()

    expect(after.instructions).toBe(before.instructions)
    expect(after.ranMs - before.ranMs).toBeLessThan(50)
    expect(silent).toBe(false)
    expect(await shell(trial.guest, 'echo back')).toBe('back')
  })

  test.each([
    ['packed', true],
    ['plain', false],
  ])('saves its state, %s, goes on, and another machine goes on from there', async (name, compress) => {
    const file = path.join(folder, `${name}.state`)
    const layer = path.join(folder, `${name}.layer`)
    await shell(
      trial.guest,
      `echo ${name} > /root/note; echo ${name} | dd of=$(echo /dev/[sv]da) conv=sync,fsync 2>/dev/null`,
    )

    const { bytes } = await trial.guest.machine.saveState(file, { compress, layerCopies: { disk: layer } })
    await shell(
      trial.guest,
      'echo later > /root/note; echo later | dd of=$(echo /dev/[sv]da) conv=sync,fsync 2>/dev/null',
    )
    const twin = await trial.start({ resumeFrom: file, disks: [emptyDisk(layer)] })
    const told = await shell(
      twin,
      'cat /root/note; echo 3 > /proc/sys/vm/drop_caches; head -n 1 /dev/[sv]da | tr -d "\\0"',
    )
    await twin.machine.kill()

    expect(bytes).toBe(readFileSync(file).length)
    expect(existsSync(`${file}.partial`)).toBe(false)
    expect(await trial.engine.checkState(file)).toBe('')
    expect(told.split('\n')).toEqual([name, name])
    expect(await shell(trial.guest, 'cat /root/note')).toBe('later')
  })

  test('a paused machine is saved as well, and is paused afterwards', async () => {
    const file = path.join(folder, 'paused.state')
    await trial.guest.machine.pause()

    await trial.guest.machine.saveState(file, { compress: true, layerCopies: {} })
    const silent = await trial.guest.agent.answers(500)
    await trial.guest.machine.resume()

    expect(silent).toBe(false)
    expect(await trial.engine.checkState(file)).toBe('')
  })

  test('a state that cannot be written is refused, and the machine goes on', async () => {
    const nowhere = path.join(folder, 'no', 'such', 'folder.state')

    await expect(trial.guest.machine.saveState(nowhere, { compress: true, layerCopies: {} })).rejects.toMatchObject({
      kind: 'not-found',
    })

    expect(await shell(trial.guest, 'echo fine')).toBe('fine')
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
    const own = await trial.resumed()
    expect(await own.agent.answers(20_000)).toBe(true)

    await end(own)

    expect(await own.machine.ended).toMatchObject({ how })
    await expect(own.machine.pause()).rejects.toMatchObject({ kind: 'engine' })
    await expect(own.machine.counters()).rejects.toMatchObject({ kind: 'engine' })
    await expect(own.machine.kill()).resolves.toBeUndefined()
    expect(() => own.machine.console.write(Buffer.from('x'))).not.toThrow()
  })

  test('a reboot is told, whether the machine ends with it or goes on', async () => {
    const own = await trial.resumed()
    expect(await own.agent.answers(20_000)).toBe(true)
    const reset = new Promise((resolve) => own.machine.onReset(() => resolve('in place')))

    await own.commands.shutdown('reboot')

    expect(['in place', { how: 'reset', reason: '' }]).toContainEqual(await Promise.race([reset, own.machine.ended]))
    await own.machine.kill()
  })

  test('is killed while it starts', async () => {
    const leave = new AbortController()
    const starting = failureOf(trial.engine.start(trial.spec(), leave.signal))
    await delay(20)

    leave.abort()

    expect(await starting).toMatchObject({ kind: 'cancelled' })
    expect(await failureOf(trial.engine.start(trial.spec(), leave.signal))).toMatchObject({ kind: 'cancelled' })
  })
}
