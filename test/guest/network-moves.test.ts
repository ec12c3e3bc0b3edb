import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { endMachines, NO_QEMU } from '../support/qemu-machines'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { exec, finish, openVivarium, shell, startDomain, until, type TestVivarium } from '../support/vivarium'

const PATIENCE = { timeout: 60_000 }
const SEGMENT = 'lab'

/** Two guests, of two engines where there are, on a segment of their own. */
describe(`neighbours ${NO_QEMU}`, () => {
  const folder = temporaryFolderForFile()
  let vivarium: TestVivarium
  let one = ''
  let two = ''

  beforeAll(async () => {
    await seedStarter(folder)
    vivarium = await openVivarium(folder, ['domains', 'tasks', 'log', 'network'])
    const { call } = vivarium
    one = await startDomain(call, 'One', { engine: 'embedded' })
    two = await startDomain(call, 'Two', { engine: NO_QEMU === '' ? 'qemu' : 'embedded' })
    for (const id of [one, two]) {
      await template(id, 'segment')
      await call('network.connect', { id, nic: 0, mode: 'segment', segment: SEGMENT })
    }
  })

  afterAll(async () => {
    await vivarium.close()
    await endMachines(folder)
  })

  async function template(id: string, name: 'segment' | 'offline'): Promise<void> {
    const templates = await vivarium.call('policy.templates', {})
    await vivarium.call('policy.set', { id, policy: templates.find((each) => each.id === name)!.policy })
  }

  const reserved = async (id: string) => (await vivarium.call('network.get', { id })).nics[0]!.address
  const own = async (id: string) => /inet ([\d.]+)/.exec(await shell(vivarium.call, id, 'ip -4 addr show eth0'))?.[1]
  const carrier = (id: string) => shell(vivarium.call, id, 'cat /sys/class/net/eth0/carrier')
  const reaches = async (id: string, address: string) =>
    (await exec(vivarium.call, id, ['ping', '-c', '1', '-W', '5', address])).exitCode === 0

  test('a card that is moved has another address at once, which its guest knows', async () => {
    expect([await reserved(one), await reserved(two)]).toEqual(['10.87.0.15', '10.87.0.16'])
    for (const id of [one, two]) await expect.poll(() => own(id), PATIENCE).toBe(await reserved(id))
  })

  test('they ping each other, and 4 MiB come as they were sent', async () => {
    const { call } = vivarium
    expect(await reaches(one, '10.87.0.16')).toBe(true)
    expect(await reaches(two, '10.87.0.15')).toBe(true)
    for (const [from, to, address] of [
      [one, two, '10.87.0.16'],
      [two, one, '10.87.0.15'],
    ] as const) {
      // nc ends its half with its input: that lasts
      await shell(call, to, '(sleep 300 | nc -l -p 5000 > /tmp/got) > /dev/null 2>&1 < /dev/null &')
      const sent = await shell(
        call,
        from,
        'dd if=/dev/urandom of=/tmp/sent bs=1M count=4 2> /dev/null; md5sum < /tmp/sent',
      )
      await shell(call, from, `nc ${address} 5000 < /tmp/sent > /dev/null`)
      await expect.poll(() => shell(call, to, 'md5sum < /tmp/got'), PATIENCE).toBe(sent)
    }
  })

  test('a policy that forbids refuses at once, in both directions, and lets go on when it allows', async () => {
    const { call } = vivarium
    await template(two, 'offline')
    for (const [id, address] of [
      [one, '10.87.0.16'],
      [two, '10.87.0.15'],
    ] as const) {
      const refused = await exec(call, id, ['nc', '-w', '5', address, '5000'])
      expect(refused.exitCode).not.toBe(0)
      expect(refused.stderr).toContain('refused')
    }
    await expect.poll(() => call('network.denials', { id: two })).toHaveLength(2)
    expect(await reaches(one, '10.87.0.16')).toBe(false)
    await template(two, 'segment')
    expect(await reaches(one, '10.87.0.16')).toBe(true)
  })

  test('a cable that is pulled is seen by its guest, and one that is put in again works', async () => {
    const { call } = vivarium
    for (const [id, other] of [
      [one, '10.87.0.16'],
      [two, '10.87.0.15'],
    ] as const) {
      await call('network.connect', { id, nic: 0, plugged: false })
      await expect.poll(() => carrier(id).catch(() => 'down'), PATIENCE).not.toBe('1')
      expect(await reaches(id, other)).toBe(false)
      await call('network.connect', { id, nic: 0, plugged: true })
      await expect.poll(() => carrier(id).catch(() => 'down'), PATIENCE).toBe('1')
      await expect.poll(() => reaches(id, other), PATIENCE).toBe(true)
    }
  })

  test('one that is paused holds nobody up', async () => {
    const { call } = vivarium
    await call('domains.pause', { id: two })
    expect(await reaches(one, '10.87.0.16')).toBe(false)
    // more than a line takes, to one that takes nothing
    await exec(call, one, ['sh', '-c', 'ping -c 200 -i 0.01 -s 60000 -W 1 10.87.0.16 > /dev/null'])
    expect(await reaches(one, '10.87.0.1')).toBe(true)
    await call('domains.resume', { id: two })
    await expect.poll(() => reaches(one, '10.87.0.16'), PATIENCE).toBe(true)
  })

  test('one that was saved goes on with its address', async () => {
    const { call } = vivarium
    await finish(call, call('domains.save', { id: one }))
    expect(await reaches(two, '10.87.0.15')).toBe(false)
    await finish(call, call('domains.start', { id: one }))
    await until(call, one, (domain) => domain.agent === 'ready')
    await expect.poll(() => own(one), PATIENCE).toBe('10.87.0.15')
    await expect.poll(() => reaches(two, '10.87.0.15'), PATIENCE).toBe(true)
  })

  test('one that was saved on another network comes to itself where it is now', async () => {
    const { call } = vivarium
    await finish(call, call('domains.save', { id: one }))
    await call('network.connect', { id: one, nic: 0, mode: 'gateway' })
    await finish(call, call('domains.start', { id: one }))
    await until(call, one, (domain) => domain.agent === 'ready')
    await expect.poll(() => own(one), PATIENCE).toBe(await reserved(one))
    expect(await reserved(one)).toMatch(/^10\.86\./)
    await call('network.connect', { id: one, nic: 0, mode: 'segment', segment: SEGMENT })
    await expect.poll(() => own(one), PATIENCE).toBe('10.87.0.15')
  })

  test('a clone has a MAC address and an address of its own, beside the one that it is of', async () => {
    const { call } = vivarium
    const { resultId: twin } = await finish(call, call('domains.clone', { id: one, name: 'Twin' }))
    await finish(call, call('domains.start', { id: twin }))
    await until(call, twin, (domain) => domain.agent === 'ready')
    await expect.poll(() => own(twin), PATIENCE).toBe(await reserved(twin))
    expect(await reserved(twin)).toBe('10.87.0.17')
    expect(await own(one)).toBe('10.87.0.15')
    await expect.poll(() => reaches(twin, '10.87.0.15'), PATIENCE).toBe(true)
    expect(await reaches(two, '10.87.0.17')).toBe(true)
    await call('domains.forceOff', { id: twin })
  })
})
