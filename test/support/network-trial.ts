import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import * as v from 'valibot'
import { segmentSubnet } from '../../vmm/model/network'
import { SandboxPolicySchema, type NetworkRuleInput, type SandboxPolicyInput } from '../../vmm/model/policy'
import type { Clock } from '../../vmm/net/clock'
import { NetworkHost } from '../../vmm/net/network-host'
import type { NetworkReport } from '../../vmm/net/network-protocol'
import type { Note } from '../../vmm/net/notes'
import { macBytes } from '../../vmm/net/packet'
import { frameWords } from './frame-words'
import { ScriptedNic } from './scripted-nic'
import { SimulatedClock } from './simulated-clock'
import { SwitchedGuest } from './switched-guest'
import { temporaryFolder } from './temporary-folder'

const SUBNET = segmentSubnet(0)
const GATEWAY = { mac: macBytes('52:54:00:56:49:01'), address: SUBNET.address + 1 }
export const SEGMENT = 'lab'
export const EVERYBODY = { mac: macBytes('ff:ff:ff:ff:ff:ff'), address: 0xffff_ffff }
export const OPEN: NetworkRuleInput[] = [{ name: 'All', action: 'allow', direction: 'both', peers: ['any'] }]

export interface GuestOptions {
  rules?: NetworkRuleInput[]
  limits?: SandboxPolicyInput['limits'] | undefined
  group?: string | undefined
  segment?: string
  plugged?: boolean
  /** Instead of the name by which the test knows it. */
  calledNow?: string
}

/** A real network host with one isolated segment, and guests by name that are plugged into it. */
export class NetworkTrial<C extends Clock = SimulatedClock> {
  readonly host: NetworkHost
  readonly guests = new Map<string, SwitchedGuest>()
  readonly folder = temporaryFolder()

  readonly #notes = new Map<number, Note>()

  constructor(readonly clock: C) {
    this.host = new NetworkHost({ clock, wallClock: () => 1_700_000_000_000 + clock.now() })
    this.host.setSegment({ name: SEGMENT, subnet: SUBNET, uplink: false })
    onTestFinished(() => this.close())
  }

  async close(): Promise<void> {
    await this.host.close()
    for (const { nic } of this.guests.values()) await nic.close()
  }

  /** Plugs in a guest, whose domain and port are called `name`, as `name/0`. Resolves when the line stands. */
  async guest(name: string, { rules = OPEN, limits, group, segment, plugged = true }: GuestOptions = {}) {
    const number = this.guests.size + 15
    const nic = await new ScriptedNic(join(this.folder, `${name}.sock`)).listen()
    const mac = `52:54:00:00:00:${number.toString(16).padStart(2, '0')}`
    const guest = new SwitchedGuest(nic, mac, SUBNET.address + number, GATEWAY)
    this.guests.set(name, guest)
    this.policy(name, rules, { limits, group })
    const { address } = guest
    this.host.setPort(
      { id: `${name}/0`, domainId: name, nic: 0, mac, address, path: nic.path, plugged },
      segment ?? SEGMENT,
    )
    await nic.linked()
    return guest
  }

  /** Puts a policy into force, as main would. */
  policy(name: string, rules: NetworkRuleInput[], { limits, group, calledNow }: GuestOptions = {}): void {
    const policy = v.parse(SandboxPolicySchema, { network: { rules }, limits: limits ?? {} })
    this.host.setDomain({ domainId: name, name: calledNow ?? name, group: group ?? '', policy, once: [] })
  }

  /** Everything that any guest has sent is where it belongs. */
  async settle(...guests: SwitchedGuest[]): Promise<void> {
    for (const guest of guests) await guest.isSettled()
  }

  /** What the host tells main; what it notes is kept. */
  tick(): NetworkReport {
    const report = this.host.tick()
    for (const note of report.notes) this.#notes.set(note.seq, note)
    return report
  }

  /** Everything that was noted so far, repetitions together. */
  notes(): Note[] {
    this.tick()
    return [...this.#notes.values()]
  }

  /** What is counted of a port. */
  counters(name: string) {
    const port = this.tick().ports.find(({ id }) => id === `${name}/0`)
    if (!port) throw new Error(`There is no port ${name}.`)
    return port.counters
  }
}

export function networkTrial(): NetworkTrial {
  return new NetworkTrial(new SimulatedClock())
}

/** A trial with three guests; `options` by their names. */
export async function threeGuests(options: Record<string, GuestOptions> = {}) {
  const trial = networkTrial()
  const guest = (name: string) => trial.guest(name, options[name])
  return { trial, one: await guest('one'), two: await guest('two'), other: await guest('other') }
}

/** What a guest got and has not looked at, when all that was sent has come. */
export async function got(trial: NetworkTrial, guest: SwitchedGuest): Promise<string[]> {
  await trial.settle(...trial.guests.values())
  return guest.take().map(frameWords)
}
