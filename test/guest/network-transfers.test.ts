import { createHash } from 'node:crypto'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ENGINE_IDS, type EngineId } from '../../vmm/model/domain'
import { endMachines, NO_QEMU } from '../support/qemu-machines'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { openVivarium, shell, startDomain, type TestVivarium } from '../support/vivarium'

const BYTES = 5_000_000

for (const engine of ENGINE_IDS) {
  describe.skipIf(engine === 'qemu' && NO_QEMU !== '')(`${engine} ${engine === 'qemu' ? NO_QEMU : ''}`, () =>
    transfers(engine),
  )
}

/** The TCP of the gateway against that of a real Linux, over lines that lose frames each way. */
function transfers(engine: EngineId): void {
  const folder = temporaryFolderForFile()
  const data = Buffer.alloc(BYTES)
  for (let at = 0; at < BYTES; at += 4) data.writeUInt32LE((at * 2654435761) % 2 ** 32, at)
  const md5 = createHash('md5').update(data).digest('hex')
  let vivarium: TestVivarium
  let id = ''
  const servers: Server[] = []

  const listen = async (serve: (socket: Socket) => void): Promise<number> => {
    const server = createServer({ allowHalfOpen: true }, (socket) => serve(socket.on('error', () => {})))
    servers.push(server)
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    return (server.address() as AddressInfo).port
  }

  beforeAll(async () => {
    await seedStarter(folder)
    vivarium = await openVivarium(folder, ['domains', 'tasks', 'log', 'network'])
    id = await startDomain(vivarium.call, 'One', { engine })
  })

  afterAll(async () => {
    for (const server of servers) server.close()
    await vivarium.close()
    await endMachines(folder)
  })

  test('the guest has its address', async () => {
    const { call } = vivarium
    await expect.poll(() => shell(call, id, 'ip -4 addr show eth0'), { timeout: 60_000 }).toContain('10.86.0.15/16')
  })

  test.each([0, 0.1, 1, 5])('5 MB each way over a line that loses %s %', async (lossPercent) => {
    const { call } = vivarium
    const sums: string[] = []
    const source = await listen((socket) => socket.resume().end(data))
    const sink = await listen((socket) => {
      const hash = createHash('md5')
      socket
        .on('data', (chunk) => hash.update(chunk))
        .on('end', () => {
          sums.push(hash.digest('hex'))
          socket.end()
        })
    })
    const rules = [{ name: 'Host', action: 'allow' as const, protocol: 'tcp' as const, peers: ['host'] }]
    const limits = lossPercent > 0 ? { network: [{ nic: 0, lossPercent }] } : { network: [] }
    await call('policy.set', { id, policy: { network: { rules }, limits } })

    let begin = performance.now()
    expect(await shell(call, id, `nc 10.86.0.1 ${source} </dev/null >/tmp/got; md5sum </tmp/got`)).toContain(md5)
    const down = performance.now() - begin
    begin = performance.now()
    await shell(call, id, `nc 10.86.0.1 ${sink} </tmp/got`)
    const up = performance.now() - begin

    console.log(`${engine}, ${lossPercent} %: down ${Math.round(down)} ms, up ${Math.round(up)} ms`)
    expect(sums).toEqual([md5])
  })
}
