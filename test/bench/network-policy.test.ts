import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'vitest'
import { openServices } from '../../src-main/services'
import { GATEWAY_SUBNET } from '../../vmm/model/network'
import { networkThread } from '../../vmm/net/network'
import { macBytes } from '../../vmm/net/packet'
import { ScriptedGuest } from '../support/scripted-guest'
import { ScriptedNic } from '../support/scripted-nic'
import { runningDomain, scriptedFolder } from '../support/scripted-vivarium'
import { SwitchedGuest } from '../support/switched-guest'
import { filesInProcess } from '../support/files-in-process'
import { newClient, type Call } from '../support/vivarium'
import { percentile, report } from './figures'

const ROUNDS = 25
const GATEWAY = { mac: macBytes('52:54:00:56:49:01'), address: GATEWAY_SUBNET.address + 1 }
const OPEN = [{ name: 'All', action: 'allow' as const, direction: 'both' as const, peers: ['neighbours'] }]

/** A domain that runs as far as main knows, with a card that the bench plays. */
async function guestOf(call: Call, folder: string, name: string): Promise<{ id: string; guest: SwitchedGuest }> {
  const id = await runningDomain(call, name)
  const place = path.join(folder, 'run', id)
  await mkdir(place, { recursive: true })
  const nic = await new ScriptedNic(path.join(place, 'net0.sock')).listen()
  await nic.linked()
  const [card] = (await call('network.get', { id })).nics
  const parts = (card?.address ?? '').split('.').map(Number)
  const address = parts.reduce((sum, part) => sum * 256 + part, 0)
  return { id, guest: new SwitchedGuest(nic, card?.mac ?? '', address, GATEWAY) }
}

/** Milliseconds from the call that changes the policy, through main, storage and worker, to the first packet treated so. */
test('a policy is in force', async () => {
  const folder = await scriptedFolder()
  const services = await openServices({
    dataFolder: folder,
    spawnGuest: () => new ScriptedGuest({}),
    spawnNetwork: networkThread(path.resolve('.vite/build/network.js')),
    spawnFiles: filesInProcess,
    keychain: null,
    shell: { kind: 'headless', show: () => '' },
  })
  const call = newClient(services)
  const [one, other] = [await guestOf(call, folder, 'One'), await guestOf(call, folder, 'Other')]
  await call('policy.set', { id: other.id, policy: { network: { rules: OPEN } } })
  const values: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    for (const rules of [OPEN, []]) {
      const target = rules.length > 0 ? other.guest : one.guest
      one.guest.take()
      other.guest.take()
      const begun = performance.now()
      const set = call('policy.set', { id: one.id, policy: { network: { rules } } })
      const sending = setInterval(() => one.guest.nic.send(...one.guest.udp(other.guest, 9)), 1)
      await target.nic.frame()
      values.push(performance.now() - begun)
      clearInterval(sending)
      await set
      await one.guest.isSettled()
    }
  }
  report({ name: 'a changed policy in force, median', values, unit: ' ms', atMost: 100 })
  report({ name: 'a changed policy in force, p95', values: [percentile(values, 0.95)], unit: ' ms', atMost: 100 })
  await one.guest.nic.close()
  await other.guest.nic.close()
  await services.close()
})
