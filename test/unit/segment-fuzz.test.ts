import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { inBlock } from '../../vmm/model/ipv4'
import type { NetworkRuleInput } from '../../vmm/model/policy'
import { ETHERTYPE, FRAME_MOST, PROTOCOL, u16, u32 } from '../../vmm/net/packet'
import { mendChecksum } from '../support/frame-words'
import { networkTrial, SEGMENT, type NetworkTrial } from '../support/network-trial'
import { below, bytes, pick, type Random } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { FLAG, type Station, type SwitchedGuest } from '../support/switched-guest'

const FRAMES = 200_000
const BATCH = 500
const EVERYBODY = { mac: Uint8Array.of(255, 255, 255, 255, 255, 255), address: 0xffff_ffff }
const SUBNET = { address: 0x0a57_0000, bits: 24 }
const ODD_BYTES = [0, 1, 4, 5, 6, 8, 15, 17, 0x40, 0x45, 0x46, 0x4f, 0x60, 0x7f, 0x80, 0xff]

/** What a guest may send: of any kind, to anybody. */
function validFrames(random: Random, from: SwitchedGuest, to: Station): Buffer[] {
  switch (below(random, 8)) {
    case 0:
      return [from.arp(1 + below(random, 2), to.address)]
    case 1:
      return [from.ping(to, below(random, 4), below(random, 9), pick(random, [0, 8, 13]))]
    case 2:
      return from.udp(
        to,
        pick(random, [9, 53, 67, 80]),
        bytes(random, below(random, 60)),
        pick(random, [68, 5000, 5001]),
      )
    case 3:
      return from.udp(to, 9, Buffer.alloc(pick(random, [1473, 3000, 65_507])))
    case 4:
      return [from.unreachable(to, from.udp(from, pick(random, [9, 5000]), 'x', 9)[0]!)]
    case 5:
      return from.ipv4(to, below(random, 256), bytes(random, below(random, 40)))
    default: {
      const flags = pick(random, [FLAG.syn, FLAG.ack, FLAG.rst, FLAG.fin | FLAG.ack, below(random, 256)])
      return [from.tcp(to, { to: 1 + below(random, 200), flags, seq: below(random, 2 ** 32) })]
    }
  }
}

/** Changes up to four bytes of the headers, or the length; checksums are right again more often than not. */
function mutated(random: Random, frame: Buffer): Buffer {
  let hostile = frame
  for (let change = below(random, 5); change > 0; change--) {
    const at = below(random, Math.min(hostile.length, 62))
    if (at < hostile.length) hostile[at] = random() < 0.5 ? pick(random, ODD_BYTES) : below(random, 256)
  }
  if (random() < 0.1) hostile = hostile.subarray(0, below(random, hostile.length + 1))
  if (random() < 0.05) hostile = Buffer.concat([hostile, bytes(random, below(random, 80))])
  const bytesOfHeader = ((hostile[14] ?? 0) & 15) * 4
  return random() < 0.8 && hostile.length >= 14 + Math.max(20, bytesOfHeader) ? mendChecksum(hostile) : hostile
}

/** Throws for a frame that a guest must never be sent. */
function judge(trial: NetworkTrial, name: string, guest: SwitchedGuest, frame: Buffer): void {
  const complain = (what: string) => {
    throw new Error(`${name} got ${what}: ${frame.toString('hex')}`)
  }
  if (frame.length < 14 || frame.length > FRAME_MOST) complain('a frame of a wrong length')
  // a denial comes from whomever the guest has called, by whatever addresses
  if (isDenial(frame, guest)) return
  const [to, from] = [frame.subarray(0, 6), frame.subarray(6, 12)]
  const sender = [...trial.guests.values(), guest.gateway].find(({ mac }) => from.equals(mac))
  if (!sender) return complain('a frame of a stranger')
  if (!to.equals(guest.mac) && (to[0]! & 1) === 0) complain('a frame for another')
  const type = u16(frame, 12)
  if (type === ETHERTYPE.arp) {
    if (!frame.subarray(22, 28).equals(sender.mac)) complain('ARP with a wrong MAC address')
    const claimed = u32(frame, 28)
    const isTrue = claimed === sender.address || claimed === 0
    // the gateway stands in for whom the guest may not reach
    if (!isTrue && !(sender === guest.gateway && inBlock(claimed, SUBNET))) complain('ARP with a wrong address')
    return
  }
  if (type !== ETHERTYPE.ipv4) return complain(`ethertype ${type}`)
  const source = u32(frame, 26)
  const destination = u32(frame, 30)
  if (sender !== guest.gateway && source !== sender.address) complain('a wrong source address')
  const isForAll = destination === 0xffff_ffff || destination === 0x0a57_00ff || destination >>> 28 === 14
  if (destination !== guest.address && !isForAll) complain('a packet for another')
  if (name === 'hermit' && sender !== guest.gateway && sender !== guest) complain('what its policy forbids')
}

const HERMIT: NetworkRuleInput[] = []
const SOME: NetworkRuleInput[] = [
  { name: 'noted', action: 'log', direction: 'both', protocol: 'tcp', ports: ['1-50'], peers: ['any'] },
  { name: 'no', action: 'deny', direction: 'both', protocol: 'tcp', ports: ['100-150'], peers: ['any'] },
  { name: 'slow', action: 'allow', direction: 'out', protocol: 'udp', ports: ['9'], peers: ['any'], upBits: 1e8 },
  { name: 'rest', action: 'allow', direction: 'both', peers: ['neighbours', 'public'] },
]

/** A reset or ICMP 3/13 for the guest. */
function isDenial(frame: Buffer, guest: SwitchedGuest): boolean {
  if (u16(frame, 12) !== ETHERTYPE.ipv4 || u32(frame, 30) !== guest.address || !frame.subarray(0, 6).equals(guest.mac))
    return false
  const isReset = frame[23] === PROTOCOL.tcp && (frame[47]! & FLAG.rst) !== 0
  return isReset || (frame[23] === PROTOCOL.icmp && frame[34] === 3 && frame[35] === 13)
}

test('hostile frames neither end the switch nor reach whom they must not', async () => {
  const { random } = seededRandom()
  const trial = networkTrial()
  const options = [{ rules: SOME }, {}, { rules: HERMIT }, {}]
  for (const [index, name] of ['some', 'open', 'hermit', 'watcher'].entries()) await trial.guest(name, options[index])
  await watchEverything(trial)
  const senders = ['some', 'open', 'hermit'].map((name) => trial.guests.get(name)!)
  const stations = [...trial.guests.values(), trial.guests.get('some')!.gateway, EVERYBODY]
  let sent = 0
  while (sent < FRAMES) {
    for (const guest of senders) {
      const target = { ...pick(random, stations) }
      const other = pick(random, stations)
      const to =
        random() < 0.8 ? target : { mac: target.mac, address: random() < 0.5 ? other.address : below(random, 2 ** 32) }
      const frames = Array.from({ length: BATCH / 8 }, () => validFrames(random, guest, to)).flat()
      guest.nic.send(...frames.map((frame) => mutated(random, frame)))
      sent += frames.length
    }
    trial.clock.advance(below(random, 300))
    await trial.settle(...senders)
    for (const [name, guest] of trial.guests) {
      for (const frame of guest.take()) if (name !== 'watcher') judge(trial, name, guest, frame)
    }
    expectBounded(trial)
  }
  const [some, open] = senders as [SwitchedGuest, SwitchedGuest]
  trial.clock.advance(60_000)
  some.nic.send(some.tcp(open, { from: 7, to: 180 }))
  await trial.settle(some, open)
  expect(open.take().length).toBe(1)
}, 120_000)

async function watchEverything(trial: NetworkTrial): Promise<void> {
  const size = { snapBytes: 128, fileBytes: 0, files: 0, totalBytes: 0 }
  for (const stage of ['before', 'after'] as const) {
    trial.host.setMirror({ id: stage, source: 'some/0', target: 'watcher/0', stage, direction: 'both' })
    for (const [index, source] of [{ segment: SEGMENT }, { port: 'hermit/0' }].entries()) {
      const folder = join(trial.folder, `${stage}${index}`)
      await mkdir(folder)
      trial.host.startCapture({ id: folder, source, stage, folder, ...size })
    }
  }
}

function expectBounded(trial: NetworkTrial): void {
  const report = trial.tick()
  if (report.notes.length > 3 * 200) throw new Error(`${report.notes.length} notes at a time`)
  for (const name of trial.guests.keys()) {
    if (trial.host.flows(name, 1e6).length > 8192) throw new Error(`${name} has too many flows`)
  }
}
