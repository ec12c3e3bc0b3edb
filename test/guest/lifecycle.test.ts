import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ENGINE_IDS, type EngineId } from '../../vmm/model/domain'
import { endMachines, NO_QEMU } from '../support/qemu-machines'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { exec, finish, openVivarium, shell, startDomain, until, type TestVivarium } from '../support/vivarium'

for (const engine of ENGINE_IDS) {
  describe.skipIf(engine === 'qemu' && NO_QEMU !== '')(`${engine} ${engine === 'qemu' ? NO_QEMU : ''}`, () =>
    lives(engine),
  )
}

/** What people do with a domain, whatever runs it. */
function lives(engine: EngineId): void {
  const folder = temporaryFolderForFile()
  let vivarium: TestVivarium
  let first = ''

  beforeAll(async () => {
    await seedStarter(folder)
    vivarium = await openVivarium(folder, ['domains', 'tasks', 'load', 'log', 'images'])
  })

  afterAll(async () => {
    await vivarium.close()
    await endMachines(folder)
  })

  test('a new domain boots cold, shows its console and answers', async () => {
    const { call } = vivarium
    first = await startDomain(call, 'First one', { engine })
    const domain = await call('domains.get', { id: first })
    expect(domain).toMatchObject({
      state: 'running',
      startedInstantly: false,
      isolation: engine === 'embedded' ? 'wasm' : 'emulated',
    })
    const { bytes } = await call('console.read', { id: first, offset: 0 })
    expect(Buffer.from(bytes).toString()).toContain('root@')
    expect(await shell(call, first, 'uname -m; hostname')).toBe('i686\nfirst-one')
  })

  test('commands stream both outputs, take input, and end with their own status', async () => {
    const { call } = vivarium
    const mixed = await exec(call, first, ['sh', '-c', 'echo out; echo err >&2; cat; exit 3'], 'from the host')
    expect(mixed).toEqual({ stdout: 'out\nfrom the host', stderr: 'err\n', exitCode: 3, signal: null })
    expect((await exec(call, first, ['sh', '-c', 'kill -9 $$'])).signal).toBe(9)
    expect((await exec(call, first, ['no-such-program'])).exitCode).toBe(127)
    const argv = ['printf', '%s|', 'a b', '"$HOME"', "it's", '*', '']
    expect((await exec(call, first, argv)).stdout).toBe('a b|"$HOME"|it\'s|*||')
  })

  test('a command that writes more than the guest has memory is held back, and all of it arrives', async () => {
    const lines = 200_000
    const { stdout } = await exec(vivarium.call, first, ['seq', '1', String(lines)])
    expect(stdout).toBe(Array.from({ length: lines }, (_, index) => `${index + 1}\n`).join(''))
  })

  test('typing into the console reaches the shell', async () => {
    const { call } = vivarium
    const { end } = await call('console.read', { id: first, offset: 0 })
    await call('console.write', { id: first, bytes: Buffer.from('echo $((6 * 7))\r') })
    let text = ''
    for (let offset = end; !text.includes('\r\n42\r\n');) {
      const chunk = await call('console.read', { id: first, offset, waitMs: 10_000 })
      expect(chunk.bytes.byteLength, `no answer after ${text}`).toBeGreaterThan(0)
      offset = chunk.offset + chunk.bytes.byteLength
      text += Buffer.from(chunk.bytes).toString()
    }
  })

  test('the terminal size reaches the guest', async () => {
    const { call } = vivarium
    await call('console.resize', { id: first, columns: 101, rows: 37 })
    await expect.poll(() => shell(call, first, 'stty -F /dev/ttyS0 size'), { timeout: 10_000 }).toBe('37 101')
  })

  test('the second start of the same image is instant, and shares nothing with the first', async () => {
    const { call } = vivarium
    const second = await startDomain(call, 'Second', { engine })
    expect(await call('domains.get', { id: second })).toMatchObject({ startedInstantly: true })
    const identity = 'hostname; cat /etc/machine-id; cat /sys/class/net/eth0/address; head -c 16 /dev/urandom | od -x'
    const [one, two] = [await shell(call, first, identity), await shell(call, second, identity)]
    const pairs = one.split('\n').map((line, index) => [line, two.split('\n')[index]])
    for (const [mine, yours] of pairs.slice(0, 4)) expect(mine).not.toBe(yours)
    const skew = Math.abs(Number(await shell(call, second, 'date +%s')) - Date.now() / 1000)
    expect(skew).toBeLessThan(5)
    await call('domains.forceOff', { id: second })
  })

  test('another memory size boots cold by itself', async () => {
    const { call } = vivarium
    const id = await startDomain(call, 'Larger', { engine, memoryMiB: 192 })
    expect((await call('domains.get', { id })).startedInstantly).toBe(false)
    expect(Number(await shell(call, id, "awk '/MemTotal/ {print $2}' /proc/meminfo"))).toBeGreaterThan(150 * 1024)
    await call('domains.forceOff', { id })
  })

  test('a paused guest stands still and goes on', async () => {
    const { call } = vivarium
    await call('domains.pause', { id: first })
    await expect(exec(call, first, ['true'])).rejects.toMatchObject({ kind: 'state' })
    await call('domains.resume', { id: first })
    expect(await shell(call, first, 'echo back')).toBe('back')
  })

  test('save ends the machine, start brings it back as it was', async () => {
    const { call } = vivarium
    await shell(call, first, 'echo kept > /root/note')
    await finish(call, call('domains.save', { id: first }))
    expect(await call('domains.get', { id: first })).toMatchObject({ state: 'saved', startedAt: null })
    await finish(call, call('domains.start', { id: first }))
    expect(await shell(call, first, 'cat /root/note')).toBe('kept')
  })

  test('snapshots make a tree; reverting to one loses no other', async () => {
    const { call } = vivarium
    const { resultId: a } = await finish(call, call('snapshots.create', { id: first, name: 'A' }))
    await shell(call, first, 'echo b > /root/note')
    await finish(call, call('snapshots.create', { id: first, name: 'B' }))
    await finish(call, call('snapshots.revert', { id: first, snapshotId: a }))
    expect(await shell(call, first, 'cat /root/note')).toBe('kept')
    const { resultId: c } = await finish(call, call('snapshots.create', { id: first, name: 'C' }))
    const list = await call('snapshots.list', { id: first })
    expect(list.map(({ name, parentId, current, damage }) => ({ name, parentId, current, damage }))).toEqual([
      { name: 'A', parentId: null, current: false, damage: '' },
      { name: 'B', parentId: a, current: false, damage: '' },
      { name: 'C', parentId: a, current: true, damage: '' },
    ])
    await finish(call, call('snapshots.revert', { id: first, snapshotId: list[1]?.id ?? '' }))
    expect(await shell(call, first, 'cat /root/note')).toBe('b')
    await finish(call, call('snapshots.delete', { id: first, snapshotId: a }))
    const left = await call('snapshots.list', { id: first })
    expect(left.map(({ id, parentId }) => ({ id, parentId }))).toContainEqual({ id: c, parentId: null })
  })

  test('a clone of a running guest goes on from the same moment with an identity of its own', async () => {
    const { call } = vivarium
    const { resultId: clone } = await finish(call, call('domains.clone', { id: first, name: 'Twin' }))
    expect((await call('domains.get', { id: clone })).state).toBe('saved')
    await finish(call, call('domains.start', { id: clone }))
    expect(await shell(call, clone, 'cat /root/note; hostname')).toBe('b\ntwin')
    const mac = 'cat /sys/class/net/eth0/address'
    expect(await shell(call, clone, mac)).toBe((await call('domains.get', { id: clone })).mac)
    expect(await shell(call, first, mac)).not.toBe(await shell(call, clone, mac))
    await finish(call, call('domains.shutdown', { id: clone }))
    expect((await call('domains.get', { id: clone })).state).toBe('off')
  })

  test('counters tell load while a guest works', async () => {
    const { call, events } = vivarium
    events.length = 0
    await exec(call, first, ['sh', '-c', 'i=0; while [ $i -lt 60000 ]; do i=$((i + 1)); done'])
    await expect
      .poll(() => events.filter((event) => event.topic === 'load' && event.payload.id === first).length, {
        timeout: 20_000,
      })
      .toBeGreaterThan(1)
    const samples = await call('domains.load', { id: first })
    if (engine === 'embedded') {
      expect(Math.max(...samples.map((sample) => sample.instructionsPerSecond ?? 0))).toBeGreaterThan(1e6)
    }
    await expect
      .poll(async () => (await call('domains.load', { id: first })).at(-1)?.guestUsedBytes ?? 0, { timeout: 20_000 })
      .toBeGreaterThan(1024 * 1024)
  })

  test('restart gives a fresh guest, shut down a clean end, delete a way back', async () => {
    const { call } = vivarium
    await finish(call, call('domains.restart', { id: first }))
    await until(call, first, (domain) => domain.agent === 'ready')
    expect((await exec(call, first, ['cat', '/root/note'])).exitCode).not.toBe(0)
    await expect(call('domains.delete', { id: first })).rejects.toMatchObject({ kind: 'state' })
    await finish(call, call('domains.shutdown', { id: first }))
    await call('domains.delete', { id: first })
    expect((await call('domains.list', {})).some(({ id }) => id === first)).toBe(false)
    expect((await call('trash.list', {})).map(({ id }) => id)).toEqual([first])
    await call('trash.restore', { id: first })
    expect((await call('snapshots.list', { id: first })).length).toBe(2)
    await call('domains.delete', { id: first })
    await finish(call, call('trash.empty', {}))
    expect(await call('trash.list', {})).toEqual([])
  })

  test('a disk of its own keeps what is written to it, also through snapshots', async () => {
    const { call } = vivarium
    const id = await startDomain(call, 'Keeper', { engine, diskMiB: 64 })
    const mount = 'modprobe ext4; mkdir -p /mnt/d; mount -t ext2 /dev/[sv]da /mnt/d'
    await shell(call, id, `mke2fs /dev/[sv]da >/dev/null 2>&1; ${mount} && echo one > /mnt/d/file && sync`)
    const { resultId: snapshotId } = await finish(call, call('snapshots.create', { id, name: 'One' }))
    await shell(call, id, 'echo two > /mnt/d/file && sync')
    await finish(call, call('domains.shutdown', { id }))
    await finish(call, call('domains.start', { id }))
    await until(call, id, (domain) => domain.agent === 'ready')
    expect(await shell(call, id, `${mount} && cat /mnt/d/file`)).toBe('two')
    await finish(call, call('snapshots.revert', { id, snapshotId }))
    expect(await shell(call, id, 'cat /mnt/d/file')).toBe('one')
    await call('domains.forceOff', { id })
  })

  test('an ephemeral domain goes when it stops', async () => {
    const { call } = vivarium
    const imageId = (await call('images.list', {}))[0]?.id ?? ''
    const spec = { name: 'Passing', engine, imageId }
    const { id } = await call('domains.create', { spec, ephemeral: true })
    await finish(call, call('domains.start', { id }))
    await call('domains.forceOff', { id }).catch(() => undefined)
    await expect.poll(async () => (await call('domains.list', {})).some((domain) => domain.id === id)).toBe(false)
  })

  test('a guest that reboots by itself is started anew', async () => {
    const { call } = vivarium
    const id = await startDomain(call, 'Rebooter', { engine })
    const before = await until(call, id, (domain) => domain.startedAt !== null)
    await exec(call, id, ['touch', '/root/gone-after-this'])
    await call('console.write', { id, bytes: Buffer.from('reboot -f\r') })
    const isNewRun = (startedAt: number | null) => (startedAt ?? 0) > (before.startedAt ?? 0)
    await until(
      call,
      id,
      ({ state, startedAt, agent }) => state === 'running' && isNewRun(startedAt) && agent === 'ready',
    )
    expect((await exec(call, id, ['test', '-e', '/root/gone-after-this'])).exitCode).toBe(1)
    await call('domains.forceOff', { id })
  })
}
