import { decode, encode, type Packet } from 'dns-packet'
import { describe, expect, test } from 'vitest'
import { chainOf } from '../../vmm/net/gateway-dns-chain'
import { lengthPrefixed, MessageReader } from '../../vmm/net/gateway-dns-framing'
import { RCODE, readAnswer, readQuery, writeAnswer, writeQuestion } from '../../vmm/net/gateway-dns-message'
import { parseServer } from '../../vmm/net/gateway-dns-servers'
import { addresses } from '../support/dns-server'
import { below, bytes, pick, pieces } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

const { random } = seededRandom()

function query(name: string, more: Partial<Packet> = {}): Buffer {
  return encode({ type: 'query', id: 7, flags: 0x100, questions: [{ name, type: 'A', class: 'IN' }], ...more })
}

/** The return code with which a message is refused; null where it is read or ignored. */
function refused(message: Buffer): number | null {
  const read = readQuery(message)
  return read && 'refusal' in read ? read.refusal[3]! & 15 : null
}

describe('a query', () => {
  test.each<[string, number, (message: Buffer) => Buffer]>([
    ['of no question', RCODE.format, (message) => (message.writeUInt16BE(0, 4), message)],
    ['of two questions', RCODE.format, (message) => (message.writeUInt16BE(2, 4), message)],
    ['with an answer', RCODE.format, (message) => (message.writeUInt16BE(1, 6), message)],
    ['with more records than bytes', RCODE.format, (message) => (message.writeUInt16BE(0xffff, 10), message)],
    ['with a pointer for a name', RCODE.format, (message) => (message.writeUInt16BE(0xc00c, 12), message)],
    ['cut within the name', RCODE.format, (message) => message.subarray(0, 18)],
    ['cut before the class', RCODE.format, (message) => message.subarray(0, message.length - 1)],
    ['with another purpose', RCODE.notImplemented, (message) => ((message[2] = 0x28), message)],
    ['of another class', RCODE.refused, (message) => (message.writeUInt16BE(3, message.length - 2), message)],
  ])('%s is refused', (_name, code, spoil) => {
    expect(refused(spoil(query('www.example.org')))).toBe(code)
  })

  test('that is an answer, or half a header, or long, is ignored', () => {
    const answer = query('www.example.org')
    answer[2]! |= 0x80

    expect(readQuery(answer)).toBeNull()
    expect(readQuery(answer.subarray(0, 11))).toBeNull()
    expect(readQuery(Buffer.alloc(1233))).toBeNull()
  })

  test('of a newer EDNS is told which is spoken', () => {
    const option = {
      type: 'OPT',
      name: '.',
      udpPayloadSize: 4096,
      extendedRcode: 0,
      ednsVersion: 1,
      flags: 0,
      options: [],
    }
    const read = readQuery(query('a.example', { additionals: [option as never] }))

    expect(decode((read as { refusal: Buffer }).refusal).additionals).toMatchObject([
      { extendedRcode: 1, ednsVersion: 0 },
    ])
  })

  test('has no name where a label holds a dot, or more than a host name may', () => {
    const dotted = query('wwwXexample.org')
    dotted[16] = 46
    for (const message of [dotted, query('a b.example'), query('naïve.example')]) {
      expect(readQuery(message)).toMatchObject({ name: null })
    }
    expect(readQuery(query('_a-B.example'))).toMatchObject({ name: '_a-b.example' })
  })
})

describe('an answer that is written', () => {
  const asked = readQuery(query('a.example')) as Exclude<ReturnType<typeof readQuery>, { refusal: Buffer } | null>

  test('names its owners once', () => {
    const records = chainOf(
      [
        { type: 'CNAME', name: 'a.example', data: 'a-long-name.of-some-network.example', ttl: 9 },
        ...addresses(
          'a-long-name.of-some-network.example',
          ...Array.from({ length: 20 }, (_, at) => `198.51.100.${at}`),
        ),
      ],
      'a.example',
      'A',
    )
    const message = writeAnswer(asked, RCODE.ok, records, 512)

    expect(message.length).toBeLessThan(512)
    expect(decode(message).answers).toMatchObject(records)
  })

  test('never exceeds its bound, and says when it is not whole', () => {
    for (let most = 60; most < 700; most += 13) {
      const records = addresses('a.example', ...Array.from({ length: 25 }, () => '198.51.100.1'))
      const message = writeAnswer({ ...asked, edns: true }, RCODE.ok, records, most)
      const read = decode(message)
      expect(message.length).toBeLessThanOrEqual(most)
      expect(read.flag_tc).toBe(read.answers!.length < 25)
    }
  })
})

describe('hostile messages', () => {
  test('of guests never throw, and what is answered can be read', () => {
    const seeds = [query('www.example.org'), query('a.b.c.d.e.f.example', { additionals: [opt()] })]
    for (let round = 0; round < 60_000; round++) {
      const message = mutated(pick(random, seeds))
      const read = readQuery(message)
      if (read && 'refusal' in read) expect(read.refusal.length).toBeLessThanOrEqual(512)
      else if (read) writeAnswer(read, RCODE.noName, [], read.size)
    }
  })

  test('of servers never throw, and what is passed on can be written and read', () => {
    const question = decode(writeQuestion(7, 'a.example', 'A')).questions!
    const base: Packet = { type: 'response', id: 7, flags: 0x180, questions: question }
    const seeds = [
      encode({ ...base, answers: addresses('a.example', '198.51.100.1', '198.51.100.2') }),
      encode({
        ...base,
        answers: [
          { type: 'CNAME', name: 'a.example', ttl: 1, data: 'b.example' },
          ...addresses('b.example', '198.51.100.1'),
        ],
      }),
    ]
    const asked = readQuery(query('a.example')) as Parameters<typeof writeAnswer>[0]
    let passed = 0
    for (let round = 0; round < 60_000; round++) {
      const read = readAnswer(mutated(pick(random, seeds), 29), 7, 'a.example', 'A')
      if (!read) continue
      const records = chainOf(read.records, 'a.example', 'A')
      passed += decode(writeAnswer(asked, RCODE.ok, records, 512)).answers!.length
    }

    expect(passed).toBeGreaterThan(0)
  })

  test('that point in circles or in long chains end soon', () => {
    const head = writeQuestion(7, 'a.example', 'A')
    head.writeUInt16BE(0x8180, 2)
    head.writeUInt16BE(512, 6)
    const pointers = Buffer.alloc(60_000)
    for (let at = 0; at < pointers.length; at += 2) {
      const to = at < 30_000 ? head.length + at - 2 : head.length + 16_000
      pointers.writeUInt16BE(0xc000 | Math.min(to, 0x3fff), at)
    }

    expect(readAnswer(Buffer.concat([head, pointers]), 7, 'a.example', 'A')).toBeNull()
  })

  test('with more records than are looked at are no answer', () => {
    const message = encode({
      type: 'response',
      id: 7,
      questions: [{ type: 'A', name: 'a.example' }],
      answers: addresses('a.example', ...Array.from({ length: 513 }, () => '198.51.100.1')),
    })

    expect(readAnswer(message, 7, 'a.example', 'A')).toBeNull()
  })
})

describe('messages in a stream', () => {
  test('are found however they are cut, and one too long ends it', () => {
    for (let round = 0; round < 300; round++) {
      const messages = Array.from({ length: below(random, 6) }, () => bytes(random, below(random, 90)))
      const reader = new MessageReader(100)
      const found = pieces(random, Buffer.concat(messages.map(lengthPrefixed)), 40).flatMap((piece) =>
        reader.read(piece)!,
      )
      expect(found).toEqual(messages)
    }
    expect(new MessageReader(100).read(Buffer.of(0, 101))).toBeNull()
  })
})

describe('the name of a server', () => {
  test.each([
    ['192.0.2.1', { address: '192.0.2.1', port: 53, family: 4 }],
    ['192.0.2.1:5353', { address: '192.0.2.1', port: 5353, family: 4 }],
    ['2001:db8::1', { address: '2001:db8::1', port: 53, family: 6 }],
    ['[2001:db8::1]:5353', { address: '2001:db8::1', port: 5353, family: 6 }],
    ['192.0.2.1:0', null],
    ['192.0.2.1:65536', null],
    ['dns.example', null],
    ['', null],
  ])('%s', (text, server) => {
    expect(parseServer(text)).toEqual(server)
  })
})

function opt(): never {
  const option = { code: 8, family: 1, sourcePrefixLength: 24, scopePrefixLength: 0, ip: '10.0.0.0' }
  return {
    type: 'OPT',
    name: '.',
    udpPayloadSize: 1232,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    options: [option],
  } as never
}

/** A copy with some bytes changed, from `from` on, cut or lengthened. */
function mutated(seed: Buffer, from = 0): Buffer {
  const copy = Buffer.from(seed)
  for (let count = 1 + below(random, 4); count > 0; count--) {
    copy[from + below(random, copy.length - from)] = pick(random, [0, 1, 0x3f, 0x40, 0xc0, 0xff, below(random, 256)])
  }
  return pick(random, [
    copy,
    copy,
    copy.subarray(0, below(random, copy.length + 1)),
    Buffer.concat([copy, bytes(random, 20)]),
  ])
}
