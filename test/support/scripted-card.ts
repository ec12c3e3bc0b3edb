import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { parseAddress } from '../../vmm/model/ipv4'
import { macBytes } from '../../vmm/net/packet'
import { ScriptedNic } from './scripted-nic'
import type { ScriptedVivarium } from './scripted-vivarium'
import { SwitchedGuest } from './switched-guest'

/** A guest's first network card, spoken for by the test: it listens where the guest that was started last would. */
export async function cardOf({ call, guests }: ScriptedVivarium, id: string): Promise<SwitchedGuest> {
  const [view] = (await call('network.get', { id })).nics
  const start = guests.at(-1)?.received.find((message) => message.type === 'start')
  const path = start?.frameLinks[0]
  if (!view || path === undefined) throw new Error('The guest has no network card.')
  mkdirSync(dirname(path), { recursive: true })
  const nic = await new ScriptedNic(path).listen()
  await nic.linked()
  const address = parseAddress(view.address) ?? 0
  const gateway = (address & 0xffff_0000) >>> 0 === 0x0a56_0000 ? 0x0a56_0001 : (address & 0xffff_ff00) + 1
  return new SwitchedGuest(nic, view.mac, address, { mac: macBytes('52:54:00:56:49:01'), address: gateway })
}
