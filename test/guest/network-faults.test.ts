import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { NetworkThread } from '../../vmm/net/network'
import { endMachines, NO_QEMU } from '../support/qemu-machines'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { exec, openVivarium, realNetwork, shell, startDomain, type TestVivarium } from '../support/vivarium'

const PATIENCE = { timeout: 60_000 }

/** What guests notice when the thread that carries their network is killed. */
describe(`the network's worker is killed ${NO_QEMU}`, () => {
  const folder = temporaryFolderForFile()
  const threads: NetworkThread[] = []
  let vivarium: TestVivarium
  let one = ''
  let two = ''
  let offline = ''

  beforeAll(async () => {
    await seedStarter(folder)
    vivarium = await openVivarium(folder, ['domains', 'tasks', 'log', 'network'], () => {
      const thread = realNetwork()
      threads.push(thread)
      return thread
    })
    const { call } = vivarium
    one = await startDomain(call, 'One', { engine: 'embedded' })
    two = await startDomain(call, 'Two', { engine: NO_QEMU === '' ? 'qemu' : 'embedded' })
    offline = await startDomain(call, 'Offline', { engine: 'embedded' })
    const open = (await call('policy.templates', {})).find(({ id }) => id === 'open')!.policy
    for (const id of [one, two]) await call('policy.set', { id, policy: open })
  })

  afterAll(async () => {
    await vivarium.close()
    await endMachines(folder)
  })

  const own = async (id: string) => /inet ([\d.]+)/.exec(await shell(vivarium.call, id, 'ip -4 addr show eth0'))?.[1]

  async function kill(): Promise<void> {
    const before = (await vivarium.call('networks.get', {})).restarts
    await threads.at(-1)!.terminate()
    await expect.poll(async () => (await vivarium.call('networks.get', {})).restarts).toBe(before + 1)
  }

  test('a connection between guests goes on where it was, and nothing passes without a policy', async () => {
    const { call } = vivarium
    for (const id of [one, two, offline]) await expect.poll(() => own(id), PATIENCE).toMatch(/^10\.86\./)
    const address = await own(two)
    await shell(call, two, '(sleep 300 | nc -l -p 5000 > /tmp/got) > /dev/null 2>&1 < /dev/null &')
    // pieces of a file over twenty seconds
    await shell(call, one, 'dd if=/dev/urandom of=/tmp/sent bs=64k count=20 2> /dev/null')
    const piece = 'dd if=/tmp/sent bs=64k skip=$part count=1 2> /dev/null'
    const pieces = `for part in $(seq 0 19); do ${piece}; sleep 1; done`
    await shell(call, one, `(${pieces} | nc ${address} 5000; touch /tmp/done) > /dev/null 2>&1 < /dev/null &`)
    const asked = exec(call, offline, ['ping', '-c', '300', '-i', '0.05', '-W', '1', `${address}`])
    await expect.poll(async () => Number(await shell(call, two, 'wc -c < /tmp/got')), PATIENCE).toBeGreaterThan(100_000)
    await kill()
    expect(await shell(call, one, 'ls /tmp/done 2> /dev/null || echo open')).toBe('open')
    await kill()

    await expect.poll(() => shell(call, one, 'ls /tmp/done 2> /dev/null || echo open'), PATIENCE).toBe('/tmp/done')
    expect(await shell(call, two, 'md5sum < /tmp/got')).toBe(await shell(call, one, 'md5sum < /tmp/sent'))
    expect((await asked).stdout).toContain(' 0 packets received')
  })

  test('ports of the host listen again, and a capture is told as ended', async () => {
    const { call } = vivarium
    const hostPort = 38_123
    await shell(call, two, 'mkdir -p /tmp/www && echo hello > /tmp/www/index.html')
    await shell(call, two, 'while true; do echo hello | nc -l -p 8000; done > /dev/null 2>&1 < /dev/null &')
    await call('network.addForward', { id: two, forward: { protocol: 'tcp', hostPort, guestPort: 8000 } })
    await expect.poll(() => heard(hostPort), PATIENCE).toBe('hello\n')
    const { id } = await call('captures.start', { source: { id: two, nic: 0 } })
    await kill()

    await expect.poll(() => heard(hostPort), PATIENCE).toBe('hello\n')
    expect((await call('network.get', { id: two })).forwards).toMatchObject([{ state: 'listening' }])
    const { captures, trouble } = await call('networks.get', {})
    expect(captures.find((capture) => capture.id === id)).toMatchObject({
      running: false,
      reason: expect.stringContaining('failed'),
    })
    expect(trouble).not.toBe('')
    expect((await call('log.read', {})).map(({ event }) => event)).toContain('network.restarted')
  })

  test('denials are numbered on', async () => {
    const { call } = vivarium
    const refused = () => exec(call, offline, ['wget', '-O', '-', 'http://203.0.113.7/'])
    const newest = async () => Math.max(0, ...(await call('network.denials', { id: offline })).map(({ seq }) => seq))
    await refused()
    await expect.poll(newest).toBeGreaterThan(0)
    const before = await newest()
    await kill()
    expect((await refused()).stderr).toContain('refused')
    await expect.poll(newest).toBeGreaterThan(before)
  })
})

/** What a port of this host says until it ends; '' when nobody answers. */
function heard(port: number): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect(port, '127.0.0.1')
    socket.setTimeout(3000, () => socket.destroy())
    socket.on('data', (bytes) => {
      text += bytes.toString()
      if (text.endsWith('\n')) socket.destroy()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(text))
  })
}
