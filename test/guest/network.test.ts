import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ENGINE_IDS, type EngineId } from '../../vmm/model/domain'
import { endMachines, NO_QEMU } from '../support/qemu-machines'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { exec, openVivarium, shell, startDomain, type TestVivarium } from '../support/vivarium'

for (const engine of ENGINE_IDS) {
  describe.skipIf(engine === 'qemu' && NO_QEMU !== '')(`${engine} ${engine === 'qemu' ? NO_QEMU : ''}`, () =>
    isConnected(engine),
  )
}

/** What a guest sees of the network, whatever runs it. */
function isConnected(engine: EngineId): void {
  const folder = temporaryFolderForFile()
  let vivarium: TestVivarium
  let id = ''

  beforeAll(async () => {
    await seedStarter(folder)
    vivarium = await openVivarium(folder, ['domains', 'tasks', 'log', 'network'])
    id = await startDomain(vivarium.call, 'One', { engine })
  })

  afterAll(async () => {
    await vivarium.close()
    await endMachines(folder)
  })

  test('it is given the address that is reserved for it, and reaches the gateway', async () => {
    const { call } = vivarium
    await expect.poll(() => shell(call, id, 'ip -4 addr show eth0'), { timeout: 60_000 }).toContain('10.86.0.15/16')
    expect((await call('network.get', { id })).nics[0]).toMatchObject({ address: '10.86.0.15', linked: true })
    expect(await shell(call, id, 'ping -c 2 -W 5 10.86.0.1')).toContain(' 0% packet loss')
  })

  test('without a rule everything is refused at once, and told', async () => {
    const { call } = vivarium
    const refused = await exec(call, id, ['wget', '-O', '-', 'http://203.0.113.7/'])
    expect(refused).toMatchObject({ exitCode: 1 })
    expect(refused.stderr).toContain('refused')
    await expect
      .poll(() => call('network.denials', { id }))
      .toMatchObject([{ peer: '203.0.113.7', port: 80, protocol: 'tcp', rule: 'default deny', direction: 'out' }])
  })

  test('the host is reached by a rule that names it, at once when it is set', async () => {
    const { call } = vivarium
    const server = createServer((_, response) => response.end('hello guest'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const fetch = `wget -q -O - http://10.86.0.1:${port}/`
    expect((await exec(call, id, ['sh', '-c', fetch])).exitCode).toBe(1)
    const rule = {
      name: 'Host',
      action: 'allow' as const,
      protocol: 'tcp' as const,
      peers: ['host'],
      ports: [String(port)],
    }
    await call('policy.set', { id, policy: { network: { rules: [rule] } } })
    expect(await shell(call, id, fetch)).toBe('hello guest')
    server.close()
  })
}
