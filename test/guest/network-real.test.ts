import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ENGINE_IDS, type EngineId } from '../../vmm/model/domain'
import { findCommand } from '../support/display'
import { freePort, md5, received, tcpServer, webServer, type HostServer, type Upload } from '../support/host-servers'
import { rule, rules, startNetworkGuest, type NetworkGuest } from '../support/network-guests'
import { NO_NETWORK_TOOLS, seedNetworkTools } from '../support/network-tools'
import { endMachines, NO_QEMU } from '../support/qemu-machines'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { openVivarium, type TestVivarium } from '../support/vivarium'

const run = promisify(execFile)
const MIB = 1024 * 1024
const NO_IPERF = findCommand('iperf3') ? '' : '(needs iperf3)'
const NO_CURL = findCommand('curl') ? '' : '(needs curl)'
/** What is looked at of what iperf3 tells. */
interface IperfResult {
  end: { sum_received: { bytes: number } }
}

const LOSSES = [0.1, 1, 5]

for (const engine of [...ENGINE_IDS].reverse()) {
  const missing = NO_NETWORK_TOOLS || (engine === 'qemu' ? NO_QEMU : '')
  describe.skipIf(missing !== '')(`real clients: ${engine} ${missing}`, () => clientsOf(engine))
}

/** What programs that others wrote make of the gateway, whatever runs the guest that they are in. */
function clientsOf(engine: EngineId): void {
  const folder = temporaryFolderForFile()
  const mib = engine === 'qemu' ? 20 : 5
  const content = randomBytes(mib * MIB)
  let vivarium: TestVivarium
  let guest: NetworkGuest
  let web: HostServer
  let site = ''

  beforeAll(async () => {
    await seedNetworkTools(folder)
    vivarium = await openVivarium(folder)
    web = await webServer(content)
    site = `http://10.86.0.1:${web.port}/`
    guest = await startNetworkGuest(vivarium.call, 'One', { spec: { engine }, policy: rules(rule('Host', ['host'])) })
  })
  afterAll(async () => {
    await vivarium.close()
    await endMachines(folder)
    await web.close()
  })

  test(`curl fetches ${mib} MiB, byte for byte`, async () => {
    expect(await guest.shell(`curl -sSf ${site} | md5sum`)).toBe(`${md5(content)}  -`)
  })

  test(`curl sends ${mib} MiB, byte for byte`, async () => {
    const answer = await guest.shell(`curl -sSf ${site} > /tmp/whole; curl -sSf -T /tmp/whole ${site}; rm /tmp/whole`)
    expect(JSON.parse(answer)).toEqual({ bytes: mib * MIB, md5: md5(content) } satisfies Upload)
  })

  test('the guest ends its half, and still gets what comes then', async () => {
    const server = await tcpServer((socket) => {
      void received(socket).then((all) => socket.end(`${all.length} bytes, ${md5(all)}`))
    })
    const line = `head -c 300000 /dev/urandom > /tmp/half; md5sum < /tmp/half; nc.openbsd -N 10.86.0.1 ${server.port} < /tmp/half`
    const [sent = '', answer = ''] = (await guest.shell(line)).split('\n')
    await server.close()
    expect(answer).toBe(`300000 bytes, ${sent.split(' ')[0]}`)
  })

  test('the host ends its half, and still gets what comes then', async () => {
    let whole: Promise<Buffer> | undefined
    const server = await tcpServer((socket) => {
      whole = received(socket)
      socket.end('goodbye')
    })
    const answer = 'until grep -q goodbye /run/heard; do sleep 0.1; done; head -c 200000 /tmp/half'
    const line = `: > /run/heard; (${answer}) | nc.openbsd -N 10.86.0.1 ${server.port} > /run/heard`
    const sent = await guest.shell(`${line}; head -c 200000 /tmp/half | md5sum`)
    const got = await whole
    await server.close()
    expect(got).toHaveLength(200_000)
    expect(sent).toBe(`${md5(got!)}  -`)
  })

  test.skipIf(NO_IPERF !== '').each(['-n 8M', '-R -n 8M', '-P 4 -n 8M'])(`iperf3 %s ${NO_IPERF}`, async (options) => {
    const port = await freePort()
    const server = spawn('iperf3', ['-s', '-1', '-p', String(port), '-B', '127.0.0.1', '--forceflush'])
    await once(server.stdout, 'data') // it listens
    const result = JSON.parse(await guest.shell(`iperf3 -J -c 10.86.0.1 -p ${port} ${options}`)) as IperfResult
    if (server.exitCode === null) await once(server, 'exit')
    // what is still on its way when the client says that it has done is not counted
    expect(result.end.sum_received.bytes).toBeGreaterThan(6 * MIB)
  })

  test.skipIf(NO_CURL !== '')(`a port of the host leads to the guest's own web server ${NO_CURL}`, async () => {
    await guest.shell('mkdir -p /tmp/www; echo from the guest > /tmp/www/index.html; busybox httpd -p 80 -h /tmp/www')
    const taken = await tcpServer((socket) => socket.end())
    const forward = { protocol: 'tcp' as const, hostAddress: '127.0.0.1', guestPort: 80 }
    const { call } = vivarium
    await expect(
      call('network.addForward', { id: guest.id, forward: { ...forward, hostPort: taken.port } }),
    ).rejects.toMatchObject({ kind: 'conflict', message: expect.stringContaining(String(taken.port)) as string })
    await taken.close()

    await call('network.addForward', { id: guest.id, forward: { ...forward, hostPort: taken.port } })
    const { stdout } = await run('curl', ['-sSf', `http://127.0.0.1:${taken.port}/`])
    expect(stdout).toBe('from the guest\n')
  })

  test.each(LOSSES)('2 MiB each way with %d % of the frames lost', async (lossPercent) => {
    const limits = { network: [{ nic: 0, lossPercent }] }
    await guest.setPolicy({ ...rules(rule('Host', ['host'])), limits })
    const part = content.subarray(0, 2 * MIB)
    const server = await webServer(part)
    const begun = performance.now()
    const url = `http://10.86.0.1:${server.port}/`
    const down = await guest.shell(`curl -sSf ${url} > /tmp/part; md5sum < /tmp/part`)
    const between = performance.now()
    const up = JSON.parse(await guest.shell(`curl -sSf -T /tmp/part ${url}`)) as Upload
    const end = performance.now()
    await server.close()
    const seconds = [between - begun, end - between].map((ms) => (ms / 1000).toFixed(1))
    console.log(`${engine}: 2 MiB at ${lossPercent} % loss: ${seconds[0]} s down, ${seconds[1]} s up`)
    expect(down).toBe(`${md5(part)}  -`)
    expect(up).toEqual({ bytes: 2 * MIB, md5: md5(part) })
  })
}
