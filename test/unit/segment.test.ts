import { describe, expect, test } from 'vitest'
import { ETHERNET_BYTES, FRAME_MOST, macBytes, PROTOCOL } from '../../vmm/net/packet'
import { frameWords, mendChecksum } from '../support/frame-words'
import { EVERYBODY, got, SEGMENT, threeGuests } from '../support/network-trial'

describe('a frame to a neighbour', () => {
  test('comes as it was sent, and to nobody else', async () => {
    const { trial, one, two, other } = await threeGuests()
    const frames = [...one.udp(two, 9, 'first'), one.tcp(two), one.ping(two, 7), ...one.udp(two, 9, 'second')]
    one.nic.send(...frames)
    await trial.settle(one, two, other)

    expect(two.take()).toEqual(frames)
    expect([...one.take(), ...other.take()]).toEqual([])
  })

  test('comes whole when it is sent a byte at a time', async () => {
    const { trial, one, two } = await threeGuests()
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
    const { trial, one, two, other } = await threeGuests()
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
    const { trial, one, two, other } = await threeGuests()
    one.nic.send(one.tcp({ mac: one.gateway.mac, address: two.address }))
    await trial.settle(one, two, other)

    const [frame, ...more] = two.take()
    expect(more).toEqual([])
    expect(frameWords(frame!)).toBe('tcp 40000>80 S 1000 0')
    expect(frame!.subarray(0, 12)).toEqual(Buffer.concat([two.mac, one.mac]))
  })

  test('neither leaves nor reaches a card whose cable is out', async () => {
    const { trial, one, two } = await threeGuests({ two: { plugged: false } })
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
    const { trial, one, two } = await threeGuests()
    const frames = [...one.udp(two, 9), one.arp(1, two.address)]
    for (const frame of frames) frame.set(two.mac, 6)
    one.nic.send(...frames)

    expect(await got(trial, two)).toEqual([])
    expect(trial.counters('one').spoofed).toBe(2)
  })

  test('in the IPv4 header lets nothing pass, and is told', async () => {
    const { trial, one, two, other } = await threeGuests()
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
    const { trial, one, two, other } = await threeGuests()
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
    const { trial, one, two } = await threeGuests()
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
    const { trial, one, two, other } = await threeGuests()
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
    const { trial, one, two } = await threeGuests(options)
    one.nic.send(one.arp(1, two.address))
    await trial.settle(one, two)

    expect(two.take()).toEqual([])
    const [answer] = one.take()
    expect(frameWords(answer!)).toBe('arp 2 10.87.0.16>10.87.0.15')
    expect(answer!.subarray(22, 28)).toEqual(Buffer.from(one.gateway.mac))
  })

  test('that asks the gateway alone, as it had stood in, is handed on with the address of the neighbour', async () => {
    const { trial, one, two } = await threeGuests()
    const probe = one.arp(1, two.address)
    probe.set(one.gateway.mac)
    one.nic.send(probe)
    await trial.settle(one, two)

    expect(two.take().map((frame) => frame.subarray(0, 6))).toEqual([Buffer.from(two.mac)])
    expect(one.take()).toEqual([])
  })

  test('for its own address is answered by nobody', async () => {
    const { trial, one, two } = await threeGuests()
    one.nic.send(one.arp(1, one.address), one.arp(1, one.address, { address: 0 }))

    expect(await got(trial, one)).toEqual([])
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
    const { trial, one, two } = await threeGuests()
    const frame = one.udp(two, 9)[0]!
    frame.writeUInt16BE(type, 12)
    one.nic.send(frame)

    expect(await got(trial, two)).toEqual([])
    expect(trial.counters('one').unsupported).toBe(1)
  })

  test('frames that are too short, too long or cut are dropped and counted', async () => {
    const { trial, one, two } = await threeGuests()
    const whole = one.udp(two, 9, Buffer.alloc(1472))[0]!
    expect(whole.length).toBe(FRAME_MOST)
    const long = Buffer.concat([whole, Buffer.alloc(1)])
    const cuts = [0, 1, 13, 14, 33, 34, 41, 1513].map((end) => whole.subarray(0, end))
    one.nic.send(long, Buffer.alloc(60_000), ...cuts, whole)

    expect((await got(trial, two)).length).toBe(1)
    expect(trial.counters('one').unsupported).toBe(cuts.length + 2)
  })

  test('a length that no frame has ends the line, which is dialled again', async () => {
    const { trial, one, two } = await threeGuests()
    one.nic.sendBytes(Buffer.of(0xff, 0xff, 0xff, 0xff, 1, 2, 3))
    while (one.nic.dialled < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    one.nic.send(...one.udp(two, 9, 'after'))

    expect(await got(trial, two)).toEqual(['udp 5000>9 after'])
  })
})

describe('what goes to all', () => {
  test('reaches every neighbour that lets it in', async () => {
    const { trial, one, two, other } = await threeGuests({ other: { rules: [] } })
    one.nic.send(...one.udp(EVERYBODY, 9, 'all'), ...one.udp({ ...EVERYBODY, address: 0x0a57_00ff }, 9, 'subnet'))

    expect(await got(trial, two)).toEqual(['udp 5000>9 all', 'udp 5000>9 subnet'])
    expect([...one.take(), ...other.take()].map(frameWords)).toEqual([])
  })

  test('is bounded, so that a storm is the guest’s own', async () => {
    const { trial, one, two } = await threeGuests()
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

test('the gateway of a segment gives addresses and answers, and leads nowhere', async () => {
  const { trial, one } = await threeGuests()
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
  const { trial, one, two } = await threeGuests()
  one.nic.send(...one.udp(two, 9, 'before'))
  expect(await got(trial, two)).toEqual(['udp 5000>9 before'])
  trial.host.removeDomain('two')
  trial.guests.delete('two')
  one.nic.send(...one.udp(two, 9, 'gone'), one.arp(1, two.address))
  expect(await got(trial, one)).toEqual(['arp 2 10.87.0.16>10.87.0.15'])

  expect(two.nic.frames).toEqual([])
  expect(trial.host.flows('one', 10).find(({ protocol }) => protocol === PROTOCOL.udp)?.peerName).toBe('')
})
