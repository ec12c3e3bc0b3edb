import { describe, expect, test } from 'vitest'
import { denialReply } from '../../vmm/net/denial-reply'
import { macBytes, PROTOCOL } from '../../vmm/net/packet'
import { frameWords } from '../support/frame-words'
import { bytes, below } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { ScriptedNic } from '../support/scripted-nic'
import { FLAG, SwitchedGuest } from '../support/switched-guest'

const GATEWAY = { mac: macBytes('52:54:00:56:49:01'), address: 0x0a57_0001 }
const OTHER = { mac: macBytes('52:54:00:00:00:02'), address: 0x0a57_0002 }
const guest = new SwitchedGuest(new ScriptedNic(''), '52:54:00:00:00:01', 0x0a57_0003, GATEWAY)

function answerTo(frame: Buffer): string | null {
  const answer = denialReply(frame, 0, frame.length)
  return answer && frameWords(answer)
}

describe('TCP is answered by a reset (RFC 9293, 3.10.7.1)', () => {
  const data = Buffer.alloc(100)
  test.each([
    ['SYN', { flags: FLAG.syn, seq: 1000 }, 'RA 0 1001'],
    ['SYN at the end of the numbers', { flags: FLAG.syn, seq: 0xffff_ffff }, 'RA 0 0'],
    ['SYN with data', { flags: FLAG.syn, seq: 0xffff_ffff, payload: data }, 'RA 0 100'],
    ['SYN and ACK', { flags: FLAG.syn | FLAG.ack, seq: 7, ack: 0xffff_fff0 }, 'R 4294967280 0'],
    ['data', { flags: FLAG.ack, seq: 7, ack: 55, payload: data }, 'R 55 0'],
    ['FIN', { flags: FLAG.fin | FLAG.ack, seq: 7, ack: 55 }, 'R 55 0'],
    ['FIN without ACK', { flags: FLAG.fin, seq: 7 }, 'RA 0 8'],
    ['nothing at all', { flags: 0, seq: 7, payload: data }, 'RA 0 107'],
  ])('%s', (_, facts, expected) => {
    expect(answerTo(guest.tcp(OTHER, facts))).toBe(`tcp 80>40000 ${expected}`)
  })

  test('but for another reset', () => {
    expect(answerTo(guest.tcp(OTHER, { flags: FLAG.rst }))).toBe(null)
    expect(answerTo(guest.tcp(OTHER, { flags: FLAG.rst | FLAG.ack, ack: 5 }))).toBe(null)
  })

  test('and padding of the frame is no data', () => {
    const frame = Buffer.concat([guest.tcp(OTHER), Buffer.alloc(6, 0xee)])
    expect(answerTo(frame)).toBe('tcp 80>40000 RA 0 1001')
  })
})

describe('the rest is answered by ICMP 3/13', () => {
  test('with the header and eight bytes of what was refused, from whom it was for', () => {
    const frame = guest.udp(OTHER, 9, 'a longer payload')[0]!
    const answer = denialReply(frame, 0, frame.length)!
    expect(frameWords(answer)).toBe('icmp 3/13')
    expect(answer.subarray(42)).toEqual(frame.subarray(14, 42))
    expect(answer.subarray(0, 12)).toEqual(Buffer.concat([guest.mac, OTHER.mac]))
    expect([answer.readUInt32BE(26), answer.readUInt32BE(30)]).toEqual([OTHER.address, guest.address])
  })

  test('also unknown protocols and echo requests, but neither errors nor replies nor what goes to all', () => {
    expect(answerTo(guest.ipv4(OTHER, 47, Buffer.alloc(20))[0]!)).toBe('icmp 3/13')
    expect(answerTo(guest.ping(OTHER, 1))).toBe('icmp 3/13')
    expect(answerTo(guest.ping(OTHER, 1, 1, 0))).toBe('icmp 3/13')
    for (const type of [3, 4, 5, 11, 12]) expect(answerTo(guest.ping(OTHER, 1, 1, type))).toBe(null)
    expect(answerTo(guest.udp({ ...OTHER, mac: macBytes('ff:ff:ff:ff:ff:ff') }, 9)[0]!)).toBe(null)
    expect(answerTo(guest.udp({ ...OTHER, mac: macBytes('01:00:5e:00:00:fb') }, 9)[0]!)).toBe(null)
  })
})

test('an answer to hostile bytes is a right frame, no longer than what it answers with', () => {
  const { random } = seededRandom()
  for (let round = 0; round < 50_000; round++) {
    const carried = bytes(random, below(random, 60))
    const protocol = [PROTOCOL.tcp, PROTOCOL.udp, PROTOCOL.icmp, below(random, 256)][below(random, 4)]!
    const frame = guest.ipv4(OTHER, protocol, carried)[0]!
    const answer = denialReply(frame, 0, frame.length)
    if (!answer) continue
    expect(frameWords(answer)).toMatch(protocol === PROTOCOL.tcp ? /^tcp \d+>\d+ RA? \d+ \d+$/ : /^icmp 3\/13$/)
    expect(answer.length).toBeLessThanOrEqual(14 + 20 + 8 + 60 + 8)
  }
})
