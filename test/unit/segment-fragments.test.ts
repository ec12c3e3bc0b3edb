import { describe, expect, test } from 'vitest'
import type { NetworkRuleInput } from '../../vmm/model/policy'
import { Reassembler } from '../../vmm/net/gateway-fragments'
import { FRAME_MOST, readIpv4 } from '../../vmm/net/packet'
import { mendChecksum } from '../support/frame-words'
import { got, threeGuests } from '../support/network-trial'
import { SimulatedClock } from '../support/simulated-clock'

const WEB: NetworkRuleInput = {
  name: 'Web',
  action: 'allow',
  direction: 'both',
  protocol: 'udp',
  ports: ['80'],
  peers: ['any'],
}

describe('fragments', () => {
  const payload = Buffer.from(Array.from({ length: 20_000 }, (_, index) => index & 0xff))

  function whole(frames: readonly Buffer[]): Buffer | null {
    const reassembler = new Reassembler(new SimulatedClock())
    return frames.map((frame) => reassembler.add(readIpv4(frame, 14, frame.length)!)).find((each) => each) ?? null
  }

  test('come to a neighbour as fragments that fit', async () => {
    const { trial, one, two } = await threeGuests()
    const sent = one.udp(two, 9, payload)
    one.nic.send(...sent.toReversed())
    await trial.settle(one, two)

    const frames = two.take()
    expect(Math.max(...frames.map((frame) => frame.length))).toBeLessThanOrEqual(FRAME_MOST)
    expect(whole(frames)?.subarray(28)).toEqual(payload)
    expect(whole(frames)?.readUInt16BE(4)).toBe(sent[0]!.readUInt16BE(18))
  })

  test('of what fits into one frame come as that', async () => {
    const { trial, one, two } = await threeGuests()
    const datagram = one.udp(two, 9, 'x'.repeat(120))[0]!
    one.nic.send(...inPieces(datagram, 56))

    expect(await got(trial, two)).toEqual([`udp 5000>9 ${'x'.repeat(120)}`])
  })

  test('come also through limits and a bad line', async () => {
    const limit = { nic: 0, upBits: 1e9, downBits: 1e9, delayMs: 1 }
    const { trial, one, two } = await threeGuests({
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
    const { trial, one, two } = await threeGuests({ one: { rules: [WEB] } })
    one.nic.send(...one.udp(two, 9, payload), ...one.udp(two, 80, payload))

    expect(await got(trial, one)).toEqual(['icmp 3/13'])
    expect(two.take().length).toBe(14)
  })

  test('that overlap, so that a port could be hidden, come to nobody', async () => {
    const { trial, one, two } = await threeGuests({ one: { rules: [WEB] } })
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
