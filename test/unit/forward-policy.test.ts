import { createSocket, type Socket } from 'node:dgram'
import { expect, onTestFinished, test } from 'vitest'
import { GATEWAY_SUBNET } from '../../vmm/model/network'
import { macBytes } from '../../vmm/net/packet'
import { frameWords } from '../support/frame-words'
import { networkTrial } from '../support/network-trial'
import { ScriptedNic } from '../support/scripted-nic'
import { SwitchedGuest } from '../support/switched-guest'

async function bound(port = 0): Promise<Socket> {
  const socket = createSocket('udp4')
  onTestFinished(() => void socket.close())
  await new Promise<void>((resolve, reject) => socket.once('error', reject).bind(port, '127.0.0.1', resolve))
  return socket
}

test('a guest that answers through a UDP forward reaches the host no more when its caller is gone', async () => {
  const trial = networkTrial()
  trial.host.setSegment({ name: '', subnet: GATEWAY_SUBNET, uplink: true })
  trial.policy('one', [])
  const nic = await new ScriptedNic(`${trial.folder}/one.sock`).listen()
  onTestFinished(() => nic.close())
  const gateway = { mac: macBytes('52:54:00:56:49:01'), address: GATEWAY_SUBNET.address + 1 }
  const guest = new SwitchedGuest(nic, '52:54:00:00:00:15', GATEWAY_SUBNET.address + 15, gateway)
  const { address } = guest
  const mac = '52:54:00:00:00:15'
  trial.host.setPort({ id: 'one/0', domainId: 'one', nic: 0, mac, address, path: nic.path, plugged: true }, '')
  await nic.linked()
  const probe = createSocket('udp4')
  await new Promise<void>((resolve) => probe.bind(0, '127.0.0.1', resolve))
  const hostPort = probe.address().port
  await new Promise<void>((resolve) => probe.close(resolve))
  const forward = { protocol: 'udp' as const, hostAddress: '127.0.0.1', hostPort, guestPort: 5000 }
  expect(await trial.host.setForwards('one', [forward])).toMatchObject([{ failure: null }])

  const caller = await bound()
  const heard = new Promise<string>((resolve) => caller.once('message', (text) => resolve(text.toString())))
  caller.send('question', hostPort, '127.0.0.1')
  const question = await nic.frame()
  const gatewayPort = question.readUInt16BE(34)
  expect(frameWords(question)).toBe(`udp ${gatewayPort}>5000 question`)
  nic.send(...guest.udp(gateway, gatewayPort, 'answer'))
  expect(await heard).toBe('answer')

  // somebody of the host listens where the guest has seen its caller
  const service = await bound(gatewayPort)
  const reached: string[] = []
  service.on('message', (text) => reached.push(text.toString()))
  await trial.host.setForwards('one', [])
  nic.send(...guest.udp(gateway, gatewayPort, 'intrusion'))
  expect(frameWords(await nic.frame())).toBe('icmp 3/13')
  const other = await bound()
  other.send('from the host', gatewayPort, '127.0.0.1')
  while (reached.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  expect(reached).toEqual(['from the host'])
})
