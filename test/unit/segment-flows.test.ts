import { describe, expect, test } from 'vitest'
import type { NetworkRuleInput } from '../../vmm/model/policy'
import { frameWords } from '../support/frame-words'
import { EVERYBODY, got, OPEN, threeGuests } from '../support/network-trial'
import { FLAG } from '../support/switched-guest'

const WEB: NetworkRuleInput = {
  name: 'Web',
  action: 'allow',
  direction: 'both',
  protocol: 'tcp',
  ports: ['80'],
  peers: ['any'],
}

describe('what is refused', () => {
  test('is a SYN: the guest gets the reset that a closed port would send', async () => {
    const { trial, one, two } = await threeGuests({ one: { rules: [] } })
    one.nic.send(one.tcp(two, { seq: 0xffff_ffff }))

    expect(await got(trial, one)).toEqual(['tcp 80>40000 RA 0 0'])
    expect(two.take()).toEqual([])
    expect(trial.notes()).toMatchObject([
      { domainId: 'one', direction: 'out', peer: two.address, peerName: 'two', port: 80, rule: 'default deny' },
    ])
  })

  test('is a segment out of a connection: the reset has the number that the guest waits for', async () => {
    const { trial, one, two } = await threeGuests({ one: { rules: [] } })
    one.nic.send(one.tcp(two, { flags: FLAG.ack, seq: 5, ack: 777, payload: Buffer.alloc(100) }))

    expect(await got(trial, one)).toEqual(['tcp 80>40000 R 777 0'])
  })

  test('is UDP or an echo request: the guest gets ICMP 3/13 that repeats what it is about', async () => {
    const { trial, one, two } = await threeGuests({ one: { rules: [] } })
    const frames = [one.udp(two, 9)[0]!, one.ping(two, 7)]
    one.nic.send(...frames)
    await trial.settle(one, two)

    const answers = one.take()
    expect(answers.map(frameWords)).toEqual(['icmp 3/13', 'icmp 3/13'])
    expect(answers.map((answer) => answer.subarray(42))).toEqual(frames.map((frame) => frame.subarray(14, 42)))
    for (const answer of answers) expect(answer.subarray(0, 12)).toEqual(Buffer.concat([one.mac, two.mac]))
  })

  test('is a reset, an ICMP error or what goes to all: nothing answers', async () => {
    const { trial, one, two } = await threeGuests({ one: { rules: [] } })
    const error = one.unreachable(two, two.udp(one, 9)[0]!)
    one.nic.send(one.tcp(two, { flags: FLAG.rst }), error, ...one.udp(EVERYBODY, 9), one.ping(two, 9, 1, 0))

    expect(await got(trial, one)).toEqual([])
    expect(two.take()).toEqual([])
  })

  test('may be so by the policy of the other side: the sender is told, the refusal is the other’s', async () => {
    const { trial, one, two } = await threeGuests({ two: { rules: [] } })
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
    const { trial, one, two } = await threeGuests({
      one: { rules: [out] },
      two: { rules: [{ ...out, direction: 'in' }] },
    })
    one.nic.send(one.tcp(two))
    expect(await got(trial, two)).toEqual(['tcp 40000>80 S 1000 0'])
    two.nic.send(two.tcp(one, { from: 80, to: 40_000, flags: FLAG.syn | FLAG.ack, seq: 1, ack: 1001 }))
    expect(await got(trial, one)).toEqual(['tcp 80>40000 SA 1 1001'])

    two.nic.send(two.tcp(one))
    expect(await got(trial, two)).toEqual(['tcp 80>40000 RA 0 1001'])
    expect(one.take()).toEqual([])
  })

  test('that is known is told of by ICMP errors, and no other', async () => {
    const { trial, one, two, other } = await threeGuests()
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
    const { trial, one, two } = await threeGuests()
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
    const { trial, one, two, other } = await threeGuests({ one: { rules } })
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
    const { trial, one, two } = await threeGuests({
      one: { rules: [{ ...WEB, direction: 'out' }] },
      two: { rules: [WEB] },
    })
    two.nic.send(two.tcp(one, { from: 80, to: 40_000, flags: FLAG.ack, seq: 9, ack: 9 }))

    expect(await got(trial, one)).toEqual(['tcp 80>40000 A 9 9'])
    expect(two.take()).toEqual([])
  })
})
