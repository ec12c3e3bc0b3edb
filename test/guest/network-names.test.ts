import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DNS_RULE, REBINDING_RULE } from '../../vmm/model/policy'
import { findCommand } from '../support/display'
import { farNetwork } from '../support/far-network'
import { rule, rules, startNetworkGuest, type NetworkGuest } from '../support/network-guests'
import { NO_NETWORK_TOOLS, seedNetworkTools } from '../support/network-tools'
import { endMachines, NO_QEMU } from '../support/qemu-machines'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { exec, openVivarium, type TestVivarium } from '../support/vivarium'

/** A web server that tells what it was asked for, and a port of DNS over TLS that somebody listens on. */
const SERVICES = `const answer = (request, response) => response.end('you asked ' + request.headers.host)
require('node:http').createServer(answer).listen(80, () => console.log('up'))
require('node:net').createServer((socket) => socket.end('hello')).listen(853)`
const RULES = rules(
  rule('Shop', ['shop.example', '*.shop.example'], { protocol: 'tcp', ports: ['80'] }),
  rule('Trap', ['trap.example']),
)

const missing = NO_NETWORK_TOOLS || NO_QEMU || (findCommand('dnsmasq') ? '' : '(needs dnsmasq)')
const far = missing === '' ? farNetwork() : missing
if (typeof far === 'string') console.log(`skipped: ${far}`)

describe.skipIf(typeof far === 'string')('a guest that may reach names, and a real network outside', () => {
  if (typeof far === 'string') return
  const folder = temporaryFolderForFile()
  let vivarium: TestVivarium
  let guest: NetworkGuest

  beforeAll(async () => {
    const server = ['--keep-in-foreground', '--no-resolv', '--no-hosts', '--conf-file=/dev/null', '--user=root']
    const names = ['shop', 'other'].map((name) => `--address=/${name}.example/${far.address}`)
    const dns = far.start('dnsmasq', ...server, '--log-facility=-', ...names, '--address=/trap.example/10.1.2.3')
    const services = far.start(process.execPath, '-e', SERVICES)
    await Promise.all([once(dns.stderr!, 'data'), once(services.stdout!, 'data')]) // each speaks when it listens
    await seedNetworkTools(folder)
    vivarium = await openVivarium(folder)
    await vivarium.call('settings.update', { dnsServers: [far.address] })
    guest = await startNetworkGuest(vivarium.call, 'One', { policy: RULES })
  })
  afterAll(async () => {
    await vivarium.close()
    await endMachines(folder)
    await far.close()
  })

  /** How a command in the guest ended, and what it complained of. */
  const tried = (line: string) => exec(vivarium.call, guest.id, ['sh', '-c', line])
  const denied = () => vivarium.call('network.denials', { id: guest.id })

  test('an allowed name resolves, and leads where it should', async () => {
    expect(await guest.shell('curl -sSf http://shop.example/')).toBe('you asked shop.example')
    expect(await guest.shell('curl -sSf http://deep.down.shop.example/')).toBe('you asked deep.down.shop.example')
  })

  test('only on the ports of its rule', async () => {
    const outcome = await tried('curl -sS --max-time 20 http://shop.example:8080/')
    expect(outcome.exitCode).toBe(7)
    await expect.poll(denied).toContainEqual(
      expect.objectContaining({
        peer: far.address,
        peerName: expect.stringContaining('shop.example') as string,
        port: 8080,
      }),
    )
  })

  test('another name does not exist, and the denial is told with it', async () => {
    expect((await tried('nslookup -type=a other.example')).stdout).toContain('NXDOMAIN')
    expect(await tried('curl -sS --max-time 20 http://other.example/')).toMatchObject({ exitCode: 6 })
    await expect.poll(denied).toContainEqual(expect.objectContaining({ peerName: 'other.example' }))
  })

  test('the same server by another address than those of names is refused', async () => {
    const [own = ''] = far.address.split('.').slice(-1)
    const beside = far.address.replace(/\d+$/, String(Number(own) + 1))
    expect(await tried(`curl -sS --max-time 20 http://${beside}/`)).toMatchObject({ exitCode: 7 })
  })

  test('a public name that leads inside is refused', async () => {
    expect((await tried('nslookup -type=a trap.example')).stdout).not.toContain('10.1.2.3')
    expect(await tried('curl -sS --max-time 20 http://trap.example/')).toMatchObject({ exitCode: 6 })
    await expect
      .poll(denied)
      .toContainEqual(expect.objectContaining({ peerName: 'trap.example', rule: REBINDING_RULE }))
  })

  test('names are asked of the gateway, and of nobody else', async () => {
    const elsewhere = await tried(`timeout 20 nslookup -type=a shop.example ${far.address}`)
    expect(elsewhere.exitCode).not.toBe(0)
    expect(elsewhere.stdout).not.toContain('Name:')
    expect(await tried(`nc.openbsd -w 20 -z ${far.address} 53`)).toMatchObject({ exitCode: 1 })
    expect(await tried(`nc.openbsd -w 20 -z ${far.address} 853`)).toMatchObject({ exitCode: 1 })
    for (const [protocol, port] of [
      ['udp', 53],
      ['tcp', 53],
      ['tcp', 853],
    ] as const) {
      await expect
        .poll(denied)
        .toContainEqual(expect.objectContaining({ peer: far.address, protocol, port, rule: DNS_RULE }))
    }
  })

  test('an address is refused as long as no name led to it', async () => {
    const later = await startNetworkGuest(vivarium.call, 'Two', { policy: RULES })
    const raw = `curl -sS --max-time 20 http://${far.address}/`
    const { call } = vivarium
    expect(await exec(call, later.id, ['sh', '-c', raw])).toMatchObject({ exitCode: 7 })
    await expect
      .poll(() => call('network.denials', { id: later.id }))
      .toContainEqual(expect.objectContaining({ peer: far.address, port: 80, peerName: '' }))
    expect(await later.shell(`nslookup -type=a shop.example > /dev/null; ${raw}`)).toBe(`you asked ${far.address}`)
  })
})
