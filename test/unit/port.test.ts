import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { NetworkRuleInput } from '../../vmm/model/policy'
import { frameWords } from '../support/frame-words'
import { networkTrial, SEGMENT, type GuestOptions, type NetworkTrial } from '../support/network-trial'
import { FLAG, type SwitchedGuest } from '../support/switched-guest'

const ALL: NetworkRuleInput = { name: 'All', action: 'allow', direction: 'both', peers: ['any'] }
const MIB = 1024 * 1024

async function pair(options: Record<string, GuestOptions> = {}) {
  const trial = networkTrial()
  return { trial, one: await trial.guest('one', options['one']), two: await trial.guest('two', options['two']) }
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 2))
}

/** Resolves when the switch takes no more of what a guest sends. */
async function heldBack(trial: NetworkTrial, name: string): Promise<void> {
  let before = -1
  for (let still = 0; still < 50; still++) {
    const { upBytes } = trial.counters(name)
    if (upBytes !== before) still = 0
    before = upBytes
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** Full frames, `bytes` of them together. */
function transfer(from: SwitchedGuest, to: SwitchedGuest, bytes: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes / 1514) }, (_, index) => {
    const payload = Buffer.alloc(1472)
    payload.writeUInt32BE(index)
    return from.udp(to, 9, payload)[0]!
  })
}

const numberOf = (frame: Buffer) => frame.readUInt32BE(42)

describe('a guest that reads slowly', () => {
  test('loses nothing: who sends to it waits', async () => {
    const { trial, one, two } = await pair()
    const frames = transfer(one, two, 16 * MIB)
    two.nic.stopReading()
    one.nic.send(...frames)
    await heldBack(trial, 'one')
    expect(trial.counters('one').upFrames).toBeLessThan(frames.length)

    two.nic.startReading()
    await until(() => two.nic.frames.length === frames.length)
    expect(two.take().map(numberOf)).toEqual([...frames.keys()])
    expect(trial.counters('two').dropped).toBe(0)
  })

  test('that never reads at all holds others back for two seconds, and loses what comes then', async () => {
    const { trial, one, two } = await pair()
    const others = [await trial.guest('three'), await trial.guest('four')] as const
    const frames = transfer(one, two, 16 * MIB)
    two.nic.stopReading()
    one.nic.send(...frames)
    await heldBack(trial, 'one')
    others[0].nic.send(...transfer(others[0], others[1], MIB))
    await until(() => others[1].nic.frames.length === Math.ceil(MIB / 1514))

    trial.clock.advance(1999)
    await heldBack(trial, 'one')
    expect(trial.counters('one').upFrames).toBeLessThan(frames.length)
    trial.clock.advance(1)
    await until(() => trial.counters('one').upFrames === frames.length)
    const { dropped, downFrames } = trial.counters('two')
    expect(dropped).toBeGreaterThan(1000)
    expect(downFrames).toBe(frames.length)
    await one.isSettled()

    two.nic.startReading()
    await until(() => two.nic.frames.length === frames.length - dropped)
    two.take()
    one.nic.send(...one.udp(two, 9, 'after'))
    await trial.settle(one, two)
    expect(two.take().map(frameWords)).toEqual(['udp 5000>9 after'])
  })

  test('and ends while others wait for it lets them go on', async () => {
    const { trial, one, two } = await pair()
    const frames = transfer(one, two, 16 * MIB)
    two.nic.stopReading()
    one.nic.send(...frames)
    await heldBack(trial, 'one')
    trial.host.removeDomain('two')

    await until(() => trial.counters('one').upFrames === frames.length)
  })
})

test('a line that closes is dialled again, and flows go on', async () => {
  const { trial, one, two } = await pair()
  one.nic.send(one.tcp(two))
  await trial.settle(one, two)
  await two.nic.close()
  one.nic.send(...one.udp(two, 9, 'lost'))
  await until(() => trial.tick().ports.some(({ id, linked }) => id === 'two/0' && !linked))
  await two.nic.listen()
  await two.nic.linked()
  two.take()
  two.nic.send(two.tcp(one, { from: 80, to: 40_000, flags: FLAG.syn | FLAG.ack, seq: 1, ack: 1001 }))
  await trial.settle(one, two)

  expect(one.take().map(frameWords)).toEqual(['tcp 80>40000 SA 1 1001'])
})

describe('limits', () => {
  /** Bytes that come to 'two' in a second, of three times as much as 1 Mbit/s. */
  async function inOneSecond({ trial, one, two }: Awaited<ReturnType<typeof pair>>): Promise<number> {
    let before = 0
    for (let step = 1; step <= 200; step++) {
      one.nic.send(...transfer(one, two, 3 * 1514))
      await until(() => trial.counters('one').upFrames === 3 * step)
      trial.clock.advance(10)
      if (step === 100) before = trial.counters('two').downBytes
    }
    return trial.counters('two').downBytes - before
  }

  const rules = (more: Partial<NetworkRuleInput>): GuestOptions => ({ rules: [{ ...ALL, name: 'Slow', ...more }, ALL] })
  const card = (more: object): GuestOptions => ({ limits: { network: [{ nic: 0, ...more }] } })

  test.each<[string, Record<string, GuestOptions>]>([
    ['what a card sends', { one: card({ upBits: 1e6 }) }],
    ['what a card gets', { two: card({ downBits: 1e6 }) }],
    ['what the flows of a rule send', { one: rules({ upBits: 1e6 }) }],
    ['what the flows of a rule get', { two: rules({ downBits: 1e6 }) }],
    ['what both limit, by the lower', { one: rules({ upBits: 1e6 }), two: card({ downBits: 2e6 }) }],
  ])('hold %s to the rate', async (_, options) => {
    const bytes = await inOneSecond(await pair(options))
    expect(Math.abs(bytes - 125_000)).toBeLessThan(125_000 * 0.03)
  })

  test('of a rule leave other flows alone', async () => {
    const slow: NetworkRuleInput = { ...ALL, name: 'Slow', protocol: 'udp', ports: ['9'], upBits: 8000 }
    const { trial, one, two } = await pair({ one: { rules: [slow, ALL] } })
    one.nic.send(...transfer(one, two, 20 * 1514), one.tcp(two))
    await trial.settle(one, two)

    expect(
      two
        .take()
        .map(frameWords)
        .filter((words) => words.startsWith('tcp')),
    ).toEqual(['tcp 40000>80 S 1000 0'])
  })

  test('that are lifted let what waits go at once, and a delay holds each frame back', async () => {
    const { trial, one, two } = await pair({ two: card({ delayMs: 50 }) })
    one.nic.send(...one.udp(two, 9, 'late'))
    await trial.settle(one)
    trial.clock.advance(49)
    expect(trial.counters('two').downFrames).toBe(0)
    trial.clock.advance(2)
    expect(trial.counters('two').downFrames).toBe(1)

    trial.policy('two', [ALL], card({ downBits: 8000 }))
    one.nic.send(
      ...one.udp(two, 9, Buffer.alloc(1472)),
      ...one.udp(two, 9, Buffer.alloc(1472)),
      ...one.udp(two, 9, 'x'),
    )
    one.nic.send(...one.udp(two, 9, Buffer.alloc(1472)))
    await trial.settle(one)
    const before = trial.counters('two').downFrames
    trial.policy('two', [ALL])
    expect(trial.counters('two').downFrames).toBeGreaterThan(before)
    await trial.settle(two)
    expect(two.take().length).toBe(5)
  })

  test('of loss lose, and count it', async () => {
    const { trial, one, two } = await pair({ two: card({ lossPercent: 100 }) })
    one.nic.send(...transfer(one, two, 10 * 1514))
    await trial.settle(one)

    expect(trial.counters('two')).toMatchObject({ downFrames: 0, dropped: 10 })
  })
})

describe('a mirror', () => {
  async function mirrored(stage: 'before' | 'after') {
    const { trial, one, two } = await pair({ one: { rules: [{ ...ALL, protocol: 'udp' }] } })
    const watcher = await trial.guest('watcher')
    trial.host.setMirror({ id: 'm', source: 'one/0', target: 'watcher/0', stage, direction: 'both' })
    return { trial, one, two, watcher }
  }

  test.each([
    ['before', ['arp', 'tcp S', 'tcp RA', 'udp', 'udp']],
    ['after', ['arp', 'tcp RA', 'udp', 'udp']],
  ] as const)('%s the policy shows what belongs there', async (stage, expected) => {
    const { one, two, watcher } = await mirrored(stage)
    one.nic.send(one.arp(1, two.address), one.tcp(two), ...one.udp(two, 9))
    await two.nic.frame((frame) => frameWords(frame).startsWith('udp'))
    two.nic.send(...two.udp(one, 5000, 'reply', 9))
    await one.nic.frame((frame) => frameWords(frame).startsWith('udp'))
    await until(() => watcher.nic.frames.length >= expected.length)

    const kind = (frame: Buffer) =>
      /^(arp|udp|tcp [^ ]* [A-Z]+|icmp)/.exec(frameWords(frame).replace(/tcp \d+>\d+/, 'tcp x'))![0]
    expect(watcher.take().map((frame) => kind(frame).replace('x ', ''))).toEqual(expected)
  })

  test('that is not read loses frames, which are counted, and its source none', async () => {
    const { trial, one, two, watcher } = await mirrored('after')
    watcher.nic.stopReading()
    const frames = transfer(one, two, 4 * MIB)
    one.nic.send(...frames)
    await until(() => two.nic.frames.length === frames.length)

    const [report] = trial.tick().mirrors
    expect(report).toMatchObject({ id: 'm', active: true })
    expect(report!.dropped).toBeGreaterThan(100)
    expect(report!.dropped + report!.frames).toBe(frames.length)
    expect(trial.counters('two').dropped).toBe(0)
  })

  test('makes of its target a listener: nothing that it sends goes anywhere', async () => {
    const { trial, one, two, watcher } = await mirrored('after')
    watcher.nic.send(watcher.arp(1, two.address), ...watcher.udp(two, 9), watcher.ping(watcher.gateway, 1))
    await until(() => trial.counters('watcher').dropped === 3)
    await trial.settle(one, two)
    expect([...one.take(), ...two.take()]).toEqual([])

    trial.host.removeMirror('m')
    watcher.nic.send(...watcher.udp(two, 9, 'again'))
    await trial.settle(watcher, two)
    expect(two.take().map(frameWords)).toEqual(['udp 5000>9 again'])
  })

  test('ends when either side goes, and goes on when it comes back', async () => {
    const { trial, one, watcher } = await mirrored('after')
    trial.host.removePort('watcher/0')
    expect(trial.tick().mirrors).toMatchObject([{ active: false }])
    const { address, nic } = watcher
    const mac = '52:54:00:00:00:11'
    trial.host.setPort(
      { id: 'watcher/0', domainId: 'watcher', nic: 0, mac, address, path: nic.path, plugged: true },
      SEGMENT,
    )
    expect(trial.tick().mirrors).toMatchObject([{ active: true }])
    while (nic.dialled < 2) await new Promise((resolve) => setTimeout(resolve, 2))
    one.nic.send(one.arp(1, one.gateway.address))
    expect(frameWords(await nic.frame())).toBe('arp 1 10.87.0.15>10.87.0.1')
  })
})

test('a capture of a segment has each frame once, and is whole when it is stopped', async () => {
  const { trial, one, two } = await pair()
  const folder = join(trial.folder, 'capture')
  await mkdir(folder)
  const size = { snapBytes: 0, fileBytes: 0, files: 0, totalBytes: 0 }
  trial.host.startCapture({ id: 'c', source: { segment: SEGMENT }, stage: 'before', folder, ...size })
  const frame = one.udp(two, 9, 'needle')[0]!
  one.nic.send(one.arp(1, two.address), frame)
  await two.nic.frame((got) => got.equals(frame))
  const packets = trial.host.packets('c', 0, 10)
  const report = await trial.host.stopCapture('c')

  expect(packets.map(({ protocol }) => protocol)).toEqual(['ARP', 'UDP'])
  expect(report).toMatchObject({ id: 'c', frames: 2, dropped: 0, running: false })
  const file = readFileSync(join(folder, report!.files[0]!.name))
  expect(file.indexOf(frame)).toBe(file.lastIndexOf(frame))
  expect(file.includes(frame)).toBe(true)
  expect(trial.tick().captures).toEqual([])
})

describe('100,000 half-open connections from one guest', () => {
  test('are bounded; what it had goes on, and others notice nothing', async () => {
    const { trial, one, two } = await pair()
    const [three, four] = [await trial.guest('three'), await trial.guest('four')]
    one.nic.send(one.tcp(two, { from: 7, to: 7 }))
    await trial.settle(one, two)
    two.nic.send(two.tcp(one, { from: 7, to: 7, flags: FLAG.syn | FLAG.ack, seq: 1, ack: 1001 }))
    await trial.settle(one, two)

    for (let first = 0; first < 100_000; first += 10_000) {
      const ports = Array.from({ length: 10_000 }, (_, index) => first + index)
      one.nic.send(
        ...ports.map((port) => one.tcp(two, { from: 1 + (port % 50_000), to: 80 + Math.floor(port / 50_000) })),
      )
      three.nic.send(...three.udp(four, 9, `beside ${first}`))
      await trial.settle(three, four)
      expect(four.take().map(frameWords)).toEqual([`udp 5000>9 beside ${first}`])
      await one.isSettled()
      trial.clock.advance(10)
    }
    expect(trial.host.flows('one', 1e6).length).toBe(8192)
    expect(trial.host.flows('two', 1e6).length).toBeLessThanOrEqual(8192)
    expect(trial.notes().map(({ rule, domainId }) => `${domainId} ${rule}`)).toContain('one too many connections')

    one.take()
    two.take()
    two.nic.send(two.tcp(one, { from: 7, to: 7, flags: FLAG.ack, seq: 2, ack: 1001 }))
    await trial.settle(two, one)
    expect(one.take().map(frameWords)).toEqual(['tcp 7>7 A 2 1001'])
    trial.clock.advance(3000)
    one.nic.send(one.tcp(two, { from: 9, to: 9 }))
    await trial.settle(one, two)
    expect(two.take().map(frameWords)).toEqual(['tcp 9>9 S 1000 0'])
  })
})
