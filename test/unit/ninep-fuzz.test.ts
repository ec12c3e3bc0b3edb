import { expect, test } from 'vitest'
import { LockTable } from '../../vmm/files/ninep-locks'
import { decode, encode, MESSAGES, NO_FID, type MessageName } from '../../vmm/files/ninep-messages'
import { NinepSession, NinepViolation } from '../../vmm/files/ninep-session'
import { MSIZE_MOST } from '../../vmm/files/ninep-state'
import { bytesOf, type FieldType } from '../../vmm/files/ninep-wire'
import { MemoryProvider } from '../../vmm/files/provider-memory'
import { below, bytes, pick } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

const MESSAGES_SENT = 200_000
const NAMES = ['a', 'b', 'c', '.', '..', '', 'a/b', 'x'.repeat(255), 'x'.repeat(256), '\xff', 'a\0']
const REQUESTS = (Object.keys(MESSAGES) as MessageName[]).filter((name) => name.startsWith('T') && name !== 'Tversion')

const { random } = seededRandom()
/** What was to be synced has been. */
const syncs = () => new Promise((resolve) => setImmediate(resolve))
const number = (most: number) =>
  Math.min(most, pick(random, [0, 1, 2, 3, below(random, 12), below(random, 70_000), most]))

/** A value that may make sense. */
function value(field: string, type: FieldType): unknown {
  switch (type) {
    case 'u8':
      return number(255)
    case 'u16':
      return number(65_535)
    case 'u32':
      if (field === 'afid') return random() < 0.9 ? NO_FID : number(2 ** 32 - 1)
      return field.toLowerCase().endsWith('fid') ? below(random, 12) : number(2 ** 32 - 1)
    case 'u64':
    case 'i64':
      return number(random() < 0.9 ? 100_000 : Number.MAX_SAFE_INTEGER)
    case 'name':
    case 'text':
      return pick(random, NAMES)
    case 'names':
      return Array.from({ length: below(random, 4) }, () => pick(random, NAMES))
    case 'data':
      return bytes(random, below(random, 300))
    default:
      throw new Error(type)
  }
}

function message(): Buffer {
  const name = pick(random, REQUESTS)
  const fields = Object.entries(MESSAGES[name][1]).map(([field, type]) => [field, value(field, type)])
  const whole = encode(name, below(random, 300), Object.fromEntries(fields) as never)
  if (random() < 0.3) {
    for (let count = 1 + below(random, 4); count > 0; count--) {
      whole[4 + below(random, whole.length - 4)] = below(random, 256)
    }
  }
  if (random() < 0.01) return whole.subarray(0, 7 + below(random, whole.length - 6))
  return random() < 0.01 ? Buffer.from(bytes(random, below(random, 60))) : whole
}

test('whatever a guest sends, it is answered in form, and what it holds is bounded and let go of', async () => {
  const provider = new MemoryProvider()
  const locks = new LockTable()
  const faults: unknown[] = []
  let replies = 0
  let violations = 0
  const send = (reply: Uint8Array) => {
    const decoded = decode(reply)
    expect(decoded.message.startsWith('R')).toBe(true)
    expect(reply.length).toBeLessThanOrEqual(MSIZE_MOST)
    replies++
  }
  const open = () => {
    const session = new NinepSession({ tree: () => provider, locks, send, onFault: (fault) => faults.push(fault) })
    session.receive(encode('Tversion', 0xffff, { msize: 65_536, version: '9P2000.L' }))
    session.receive(encode('Tattach', 0, { fid: 0, afid: NO_FID, uname: '', aname: '', uid: 0 }))
    return session
  }
  let session = open()
  for (let sent = 0; sent < MESSAGES_SENT; sent++) {
    if (sent % 20 === 0) await syncs()
    try {
      session.receive(message())
    } catch (error) {
      if (!(error instanceof NinepViolation)) throw error
      violations++
      session.close()
      session = open()
    }
  }
  expect(faults).toEqual([])
  expect(replies).toBeGreaterThan(MESSAGES_SENT / 2)
  expect(violations).toBeGreaterThan(0)
  session.close()
  await syncs()
  expect(namedIn(provider)).toBe(provider.nodes)
})

/** Nodes that a name leads to, and the top: when nobody holds any, there are no others. */
function namedIn(provider: MemoryProvider): number {
  const seen = new Set<number>()
  const visit = (node: object) => {
    const { ino, mode } = provider.attributes(node)
    if (seen.has(ino)) return
    seen.add(ino)
    if ((mode & 0o170000) !== 0o040000) return
    for (const { name } of provider.list(node)) visit(provider.lookup(node, name))
  }
  visit(provider.root())
  return seen.size
}

test('a message is taken apart as it was put together', () => {
  for (let count = 0; count < 5000; count++) {
    const name = pick(random, REQUESTS)
    const form = Object.entries(MESSAGES[name][1]) as [string, FieldType][]
    const fields: Record<string, unknown> = {}
    for (const [field, type] of form)
      fields[field] = type === 'name' ? 'a' : type === 'names' ? ['b'] : value(field, type)
    const whole = encode(name, 7, fields as never)
    expect(whole.length).toBe(form.reduce((sum, [field, type]) => sum + bytesOf(type, fields[field] as never), 7))
    expect(decode(whole)).toEqual({ message: name, tag: 7, ...fields })
  }
})
