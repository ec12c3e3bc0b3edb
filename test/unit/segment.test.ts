import { describe, expect, test } from 'vitest'
import { Reassembler } from '../../vmm/net/gateway-fragments'
import type { NetworkRuleInput } from '../../vmm/model/policy'
import { ETHERNET_BYTES, FRAME_MOST, macBytes, PROTOCOL, readIpv4 } from '../../vmm/net/packet'
import { frameWords, mendChecksum } from '../support/frame-words'
import { networkTrial, OPEN, SEGMENT, type GuestOptions, type NetworkTrial } from '../support/network-trial'
import { SimulatedClock } from '../support/simulated-clock'
import { FLAG, type SwitchedGuest } from '../support/switched-guest'

const EVERYBODY = { mac: macBytes('ff:ff:ff:ff:ff:ff'), address: 0xffff_ffff }
const WEB: NetworkRuleInput = {
  name: 'Web',
  action: 'allow',
  direction: 'both',
  protocol: 'tcp',
  ports: ['80'],
  peers: ['any'],
}

async function three(options: Record<string, GuestOptions> = {}) {
  const trial = networkTrial()
  const guest = (name: string) => trial.guest(name, options[name])
  return { trial, one: await guest('one'), two: await guest('two'), other: await guest('other') }
}

/** What a guest got and has not looked at, when all that was sent has come. */
async function got(trial: NetworkTrial, guest: SwitchedGuest): Promise<string[]> {
  await trial.settle(...trial.guests.values())
  return guest.take().map(frameWords)
}

describe('a frame to a neighbour', () => {
  test('comes as it was sent, and to nobody else', async () => {
    const { trial, one, two, other } = await three()
    const frames = [...one.udp(two, 9, 'first'), one.tcp(two), one.ping(two, 7), ...one.udp(two, 9, 'second')]
    one.nic.send(...frames)
    await trial.settle(one, two, other)

    expect(two.take()).toEqual(frames)
    expect([...one.take(), ...other.take()]).toEqual([])
  })

  test('comes whole when it is sent a byte at a time', async () => {
    const { trial, one, two } = await three()
    const length = Buffer.alloc(4)
    for (const frame of [...one.udp(two, 9, 'first'), one.tcp(two)]) {
      length.writeUInt32BE(frame.length)
      for (const byte of Buffer.concat([length, frame])) {
        one.nic.sendBytes(Buffer.of(byte))
        await new Promise(setImmediate)
      }
    }
    expect(await got(trial, two)).toEqual(['udp 5000>9 first', 'tcp 40000>80 S 1000 0'])
  })

  test('is dropped when nobody has the address, or the MAC address is that of another', async () => {
    const { trial, one, two, other } = await three()
    one.nic.send(
      ...one.udp({ mac: macBytes('52:54:00:00:00:99'), address: two.address }, 9),
      ...one.udp({ mac: other.mac, address: two.address }, 9),
      ...one.udp({ mac: two.mac, address: 0x0808_0808 }, 9),
      ...one.udp({ mac: EVERYBODY.mac, address: two.address }, 9),
      ...one.udp({ mac: one.mac, address: two.address }, 9),
    )
    expect(await got(trial, two)).toEqual([])
    expect(other.take()).toEqual([])
    expect(trial.counters('one').dropped).toBe(5)
  })

  test('comes to it also by way of the gateway, where one was led that asked before it was allowed', async () => {
    const { trial, one, two, other } = await three()
    one.nic.send(one.tcp({ mac: one.gateway.mac, address: two.address }))
    await trial.settle(one, two, other)

    const [frame, ...more] = two.take()
    expect(more).toEqual([])
    expect(frameWords(frame!)).toBe('tcp 40000>80 S 1000 0')
    expect(frame!.subarray(0, 12)).toEqual(Buffer.concat([two.mac, one.mac]))
  })

  test('neither leaves nor reaches a card whose cable is out', async () => {
    const { trial, one, two } = await three({ two: { plugged: false } })
    one.nic.send(...one.udp(two, 9, 'before'))
    two.nic.send(...two.udp(one, 9))
    await trial.settle(one)
    const mac = '52:54:00:00:00:10'
    const { address, nic } = two
    trial.host.setPort({ id: 'two/0', domainId: 'two', nic: 0, mac, address, path: nic.path, plugged: true }, SEGMENT)

    expect(await got(trial, two)).toEqual([])
    expect(one.take()).toEqual([])
    one.nic.send(...one.udp(two, 9, 'after'))
    expect(await got(trial, two)).toEqual(['udp 5000>9 after'])
    expect(nic.dialled).toBe(1)
  })
})

describe('an address that is not the card’s own', () => {
  test('in the Ethernet header lets nothing pass', async () => {
    const { trial, one, two } = await three()
    const frames = [...one.udp(two, 9), one.arp(1, two.address)]
    for (const frame of frames) frame.set(two.mac, 6)
    one.nic.send(...frames)

    expect(await got(trial, two)).toEqual([])
    expect(trial.counters('one').spoofed).toBe(2)
  })

  test('in the IPv4 header lets nothing pass, and is told', async () => {
    const { trial, one, two, other } = await three()
    for (const source of [other.address, one.gateway.address, 0, 0x7f00_0001, 0xffff_ffff, 0x0808_0808]) {
      const frame = one.udp(two, 9)[0]!
      frame.writeUInt32BE(source, 26)
      one.nic.send(mendChecksum(frame))
    }
    expect(await got(trial, two)).toEqual([])
    expect(trial.counters('one').spoofed).toBe(6)
    expect(trial.notes()).toMatchObject([{ rule: 'address lock', domainId: 'one', peer: two.address, count: 6 }])
  })

  test('in ARP lets nothing pass: neither a question nor an answer nor an announcement', async () => {
    const { trial, one, two, other } = await three()
    one.nic.send(
      one.arp(1, two.address, { address: other.address }),
      one.arp(2, two.address, { address: other.address }),
      one.arp(2, two.address, { address: one.gateway.address }),
      one.arp(2, two.address, { mac: other.mac }),
      one.arp(2, other.address, { mac: one.gateway.mac, address: one.gateway.address }),
    )
    expect(await got(trial, two)).toEqual([])
    expect(await got(trial, other)).toEqual([])
    expect(trial.counters('one').spoofed).toBe(5)
  })

  test('in ARP is not hidden by lengths of other kinds of addresses', async () => {
    const { trial, one, two } = await three()
    const kinds = [Buffer.of(0, 1, 8, 0, 8, 4), Buffer.of(0, 6, 8, 0, 6, 4), Buffer.of(0, 1, 0x86, 0xdd, 6, 16)]
    for (const kind of kinds) {
      const frame = one.arp(2, two.address)
      frame.set(kind, ETHERNET_BYTES)
      one.nic.send(frame)
    }
    expect(await got(trial, two)).toEqual([])
    expect(trial.counters('one').unsupported).toBe(3)
  })
})

describe('ARP', () => {
  test('is handed to the neighbour when both may talk', async () => {
    const { trial, one, two, other } = await three()
    one.nic.send(one.arp(1, two.address), one.arp(1, two.address, { address: 0 }))

    expect(await got(trial, two)).toEqual(['arp 1 10.87.0.15>10.87.0.16', 'arp 1 0.0.0.0>10.87.0.16'])
    two.nic.send(two.arp(2, one.address))
    expect(await got(trial, one)).toEqual(['arp 2 10.87.0.16>10.87.0.15'])
    expect(other.take()).toEqual([])
  })

  test.each([
    ['the one who asks', { one: { rules: [] } }],
    ['the one who is asked', { two: { rules: [] } }],
  ])('is answered by the gateway when the policy of %s forbids that', async (_, options) => {
    const { trial, one, two } = await three(options)
    one.nic.send(one.arp(1, two.address))
    await trial.settle(one, two)

    expect(two.take()).toEqual([])
    const [answer] = one.take()
    expect(frameWords(answer!)).toBe('arp 2 10.87.0.16>10.87.0.15')
    expect(answer!.subarray(22, 28)).toEqual(Buffer.from(one.gateway.mac))
  })

  test('for its own address is answered by nobody', async () => {
    const { trial, one, two } = await three()
    one.nic.send(one.arp(1, one.address), one.arp(1, one.address, { address: 0 }))

    expect(await got(trial, one)).toEqual([])
    expect(two.take()).toEqual([])
  })
})

describe('what is refused', () => {
  test('is a SYN: the guest gets the reset that a closed port would send', async () => {
    const { trial, one, two } = await three({ one: { rules: [] } })
    one.nic.send(one.tcp(two, { seq: 0xffff_ffff }))

    expect(await got(trial, one)).toEqual(['tcp 80>40000 RA 0 0'])
    expect(two.take()).toEqual([])
    expect(trial.notes()).toMatchObject([
      { domainId: 'one', direction: 'out', peer: two.address, peerName: 'two', port: 80, rule: 'default deny' },
    ])
  })

  test('is a segment out of a connection: the reset has the number that the guest waits for', async () => {
    const { trial, one, two } = await three({ one: { rules: [] } })
    one.nic.send(one.tcp(two, { flags: FLAG.ack, seq: 5, ack: 777, payload: Buffer.alloc(100) }))

    expect(await got(trial, one)).toEqual(['tcp 80>40000 R 777 0'])
  })

  test('is UDP or an echo request: the guest gets ICMP 3/13 that repeats what it is about', async () => {
    const { trial, one, two } = await three({ one: { rules: [] } })
    const frames = [one.udp(two, 9)[0]!, one.ping(two, 7)]
    one.nic.send(...frames)
    await trial.settle(one, two)

    const answers = one.take()
    expect(answers.map(frameWords)).toEqual(['icmp 3/13', 'icmp 3/13'])
    expect(answers.map((answer) => answer.subarray(42))).toEqual(frames.map((frame) => frame.subarray(14, 42)))
    for (const answer of answers) expect(answer.subarray(0, 12)).toEqual(Buffer.concat([one.mac, two.mac]))
  })

  test('is a reset, an ICMP error or what goes to all: nothing answers', async () => {
    const { trial, one, two } = await three({ one: { rules: [] } })
    const error = one.unreachable(two, two.udp(one, 9)[0]!)
    one.nic.send(one.tcp(two, { flags: FLAG.rst }), error, ...one.udp(EVERYBODY, 9), one.ping(two, 9, 1, 0))

    expect(await got(trial, one)).toEqual([])
    expect(two.take()).toEqual([])
  })

  test('may be so by the policy of the other side: the sender is told, the refusal is the other’s', async () => {
    const { trial, one, two } = await three({ two: { rules: [] } })
    one.nic.send(one.tcp(two), ...one.udp(two, 9), one.tcp({ mac: one.gateway.mac, address: two.address }, { to: 81 }))

    expect(await got(trial, one)).toEqual(['tcp 80>40000 RA 0 1001', 'icmp 3/13', 'tcp 81>40000 RA 0 1001'])
    expect(two.take()).toEqual([])
    expect(trial.notes().map(({ domainId, direction, port }) => [domainId, direction, port])).toEqual([
      ['two', 'in', 80],
      ['two', 'in', 9],
      ['two', 'in', 81],
    ])
  })
})

describe('a flow', () => {
  test('is decided by whoever begins it: replies pass without a rule of their own', async () => {
    const out = { ...WEB, direction: 'out' } as const
    const { trial, one, two } = await three({ one: { rules: [out] }, two: { rules: [{ ...out, direction: 'in' }] } })
    one.nic.send(one.tcp(two))
    expect(await got(trial, two)).toEqual(['tcp 40000>80 S 1000 0'])
    two.nic.send(two.tcp(one, { from: 80, to: 40_000, flags: FLAG.syn | FLAG.ack, seq: 1, ack: 1001 }))
    expect(await got(trial, one)).toEqual(['tcp 80>40000 SA 1 1001'])

    two.nic.send(two.tcp(one))
    expect(await got(trial, two)).toEqual(['tcp 80>40000 RA 0 1001'])
    expect(one.take()).toEqual([])
  })

  test('that is known is told of by ICMP errors, and no other', async () => {
    const { trial, one, two, other } = await three()
    const asked = one.udp(two, 9)[0]!
    const ping = one.ping(two, 12)
    one.nic.send(asked, ping)
    await trial.settle(one, two)
    two.nic.send(
      two.unreachable(one, asked),
      two.unreachable(one, ping),
      two.unreachable(one, one.udp(two, 10)[0]!), // never sent
      two.unreachable(one, one.udp(other, 9)[0]!), // of another
    )
    other.nic.send(other.unreachable(one, asked))

    expect(await got(trial, one)).toEqual(['icmp 3/3', 'icmp 3/3'])
  })

  test('is cut by a policy at once, and another is opened', async () => {
    const { trial, one, two } = await three()
    one.nic.send(one.tcp(two), ...one.udp(two, 9, 'open'))
    expect(await got(trial, two)).toHaveLength(2)

    trial.policy('one', [{ ...WEB, ports: ['81'] }])
    one.nic.send(one.tcp(two, { flags: FLAG.ack, ack: 55 }), ...one.udp(two, 9, 'cut'), one.tcp(two, { to: 81 }))

    expect(await got(trial, one)).toEqual(['tcp 80>40000 R 55 0', 'icmp 3/13'])
    expect(two.take().map(frameWords)).toEqual(['tcp 40000>81 S 1000 0'])
    trial.policy('one', OPEN)
    one.nic.send(...one.udp(two, 9, 'open again'))
    expect(await got(trial, two)).toEqual(['udp 5000>9 open again'])
  })

  test('to a neighbour by name ends when the neighbour gets another name, and begins when one gets it', async () => {
    const rules: NetworkRuleInput[] = [{ name: 'Db', action: 'allow', peers: ['domain:two'] }]
    const { trial, one, two, other } = await three({ one: { rules } })
    one.nic.send(...one.udp(two, 9, 'a'), ...one.udp(other, 9, 'b'))
    expect(await got(trial, two)).toEqual(['udp 5000>9 a'])
    expect(other.take()).toEqual([])

    trial.policy('two', OPEN, { calledNow: 'three' })
    trial.policy('other', OPEN, { calledNow: 'two' })
    one.nic.send(...one.udp(two, 9, 'c'), ...one.udp(other, 9, 'd'))
    expect(await got(trial, two)).toEqual([])
    expect(other.take().map(frameWords)).toEqual(['udp 5000>9 d'])
  })

  test('out of a connection that began before the switch is let pass by either side’s rule', async () => {
    const { trial, one, two } = await three({ one: { rules: [{ ...WEB, direction: 'out' }] }, two: { rules: [WEB] } })
    two.nic.send(two.tcp(one, { from: 80, to: 40_000, flags: FLAG.ack, seq: 9, ack: 9 }))

    expect(await got(trial, one)).toEqual(['tcp 80>40000 A 9 9'])
    expect(two.take()).toEqual([])
  })
})

describe('what is no use to anybody', () => {
  test.each([
    ['IPv6', 0x86dd],
    ['a VLAN', 0x8100],
    ['LLDP', 0x88cc],
    ['an 802.3 length', 46],
  ])('%s is dropped and counted', async (_, type) => {
    const { trial, one, two } = await three()
    const frame = one.udp(two, 9)[0]!
    frame.writeUInt16BE(type, 12)
    one.nic.send(frame)

    expect(await got(trial, two)).toEqual([])
    expect(trial.counters('one').unsupported).toBe(1)
  })

  test('frames that are too short, too long or cut are dropped and counted', async () => {
    const { trial, one, two } = await three()
    const whole = one.udp(two, 9, Buffer.alloc(1472))[0]!
    expect(whole.length).toBe(FRAME_MOST)
    const long = Buffer.concat([whole, Buffer.alloc(1)])
    const cuts = [0, 1, 13, 14, 33, 34, 41, 1513].map((end) => whole.subarray(0, end))
    one.nic.send(long, Buffer.alloc(60_000), ...cuts, whole)

    expect((await got(trial, two)).length).toBe(1)
    expect(trial.counters('one').unsupported).toBe(cuts.length + 2)
  })

  test('a length that no frame has ends the line, which is dialled again', async () => {
    const { trial, one, two } = await three()
    one.nic.sendBytes(Buffer.of(0xff, 0xff, 0xff, 0xff, 1, 2, 3))
    while (one.nic.dialled < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    one.nic.send(...one.udp(two, 9, 'after'))

    expect(await got(trial, two)).toEqual(['udp 5000>9 after'])
  })
})

describe('what goes to all', () => {
  test('reaches every neighbour that lets it in', async () => {
    const { trial, one, two, other } = await three({ other: { rules: [] } })
    one.nic.send(...one.udp(EVERYBODY, 9, 'all'), ...one.udp({ ...EVERYBODY, address: 0x0a57_00ff }, 9, 'subnet'))

    expect(await got(trial, two)).toEqual(['udp 5000>9 all', 'udp 5000>9 subnet'])
    expect([...one.take(), ...other.take()].map(frameWords)).toEqual([])
  })

  test('is bounded, so that a storm is the guest’s own', async () => {
    const { trial, one, two } = await three()
    const storm = Array.from({ length: 1000 }, () => one.udp(EVERYBODY, 9)[0]!)
    const questions = Array.from({ length: 1000 }, () => one.arp(1, two.address))
    one.nic.send(...storm, ...questions)
    expect((await got(trial, two)).length).toBe(200)
    expect(trial.counters('one').dropped).toBe(1800)

    trial.clock.advance(500)
    one.nic.send(...storm)
    expect((await got(trial, two)).length).toBe(100)
  })
})

describe('fragments', () => {
  const payload = Buffer.from(Array.from({ length: 20_000 }, (_, index) => index & 0xff))

  function whole(frames: readonly Buffer[]): Buffer | null {
    const reassembler = new Reassembler(new SimulatedClock())
    return frames.map((frame) => reassembler.add(readIpv4(frame, 14, frame.length)!)).find((each) => each) ?? null
  }

  test('come to a neighbour as fragments that fit', async () => {
    const { trial, one, two } = await three()
    const sent = one.udp(two, 9, payload)
    one.nic.send(...sent.toReversed())
    await trial.settle(one, two)

    const frames = two.take()
    expect(Math.max(...frames.map((frame) => frame.length))).toBeLessThanOrEqual(FRAME_MOST)
    expect(whole(frames)?.subarray(28)).toEqual(payload)
    expect(whole(frames)?.readUInt16BE(4)).toBe(sent[0]!.readUInt16BE(18))
  })

  test('of what fits into one frame come as that', async () => {
    const { trial, one, two } = await three()
    const datagram = one.udp(two, 9, 'x'.repeat(120))[0]!
    one.nic.send(...inPieces(datagram, 56))

    expect(await got(trial, two)).toEqual([`udp 5000>9 ${'x'.repeat(120)}`])
  })

  test('come also through limits and a bad line', async () => {
    const limit = { nic: 0, upBits: 1e9, downBits: 1e9, delayMs: 1 }
    const { trial, one, two } = await three({
      one: { limits: { network: [limit] } },
      two: { limits: { network: [limit] } },
    })
    one.nic.send(...one.udp(two, 9, payload))
    while (whole(two.nic.frames) === null) {
      trial.clock.advance(1)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    expect(whole(two.take())?.subarray(28)).toEqual(payload)
  })

  test('are refused as a whole, by what the first holds', async () => {
    const { trial, one, two } = await three({ one: { rules: [{ ...WEB, protocol: 'udp' }] } })
    one.nic.send(...one.udp(two, 9, payload), ...one.udp(two, 80, payload))

    expect(await got(trial, one)).toEqual(['icmp 3/13'])
    expect(two.take().length).toBe(14)
  })

  test('that overlap, so that a port could be hidden, come to nobody', async () => {
    const { trial, one, two } = await three({ one: { rules: [{ ...WEB, protocol: 'udp' }] } })
    const [first, second] = inPieces(one.udp(two, 80, Buffer.alloc(120))[0]!, 56)
    const hidden = Buffer.from(first!)
    hidden.writeUInt16BE(9, 36)
    one.nic.send(first!, hidden, second!)

    expect(await got(trial, two)).toEqual([])
  })

  function inPieces(frame: Buffer, bytes: number): Buffer[] {
    const { payloadAt, end } = readIpv4(frame, 14, frame.length)!
    return Array.from({ length: Math.ceil((end - payloadAt) / bytes) }, (_, index) => {
      const part = frame.subarray(payloadAt + index * bytes, Math.min(end, payloadAt + (index + 1) * bytes))
      const piece = Buffer.concat([frame.subarray(0, payloadAt), part])
      piece.writeUInt16BE(20 + part.length, 16)
      piece.writeUInt16BE((payloadAt + (index + 1) * bytes < end ? 0x2000 : 0) | ((index * bytes) >> 3), 20)
      return mendChecksum(piece)
    })
  }
})

test('the gateway of a segment gives addresses and answers, and leads nowhere', async () => {
  const { trial, one } = await three()
  one.nic.send(
    one.arp(1, one.gateway.address),
    one.tcp({ mac: one.gateway.mac, address: 0x0808_0808 }),
    ...one.udp({ mac: one.gateway.mac, address: 0x0808_0808 }, 53),
    ...one.udp(one.gateway, 53),
  )
  const answers = await got(trial, one)
  expect(answers[0]).toBe('arp 2 10.87.0.1>10.87.0.15')
  expect(answers.slice(1).every((answer) => /^(tcp 80>40000 RA|icmp 3\/)/.test(answer))).toBe(true)
  expect(answers.length).toBe(4)
})

test('a card that goes leaves nothing behind, and one that comes is reached', async () => {
  const { trial, one, two } = await three()
  one.nic.send(...one.udp(two, 9, 'before'))
  expect(await got(trial, two)).toEqual(['udp 5000>9 before'])
  trial.host.removeDomain('two')
  trial.guests.delete('two')
  one.nic.send(...one.udp(two, 9, 'gone'), one.arp(1, two.address))
  expect(await got(trial, one)).toEqual(['arp 2 10.87.0.16>10.87.0.15'])

  expect(two.nic.frames).toEqual([])
  expect(trial.host.flows('one', 10).find(({ protocol }) => protocol === PROTOCOL.udp)?.peerName).toBe('')
})
