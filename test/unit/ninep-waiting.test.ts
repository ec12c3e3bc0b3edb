import { describe, expect, test } from 'vitest'
import { ERRNO } from '../../vmm/files/file-error'
import { LOCK, LockTable } from '../../vmm/files/ninep-locks'
import { encode } from '../../vmm/files/ninep-messages'
import { NinepSession } from '../../vmm/files/ninep-session'
import { MemoryProvider } from '../../vmm/files/provider-memory'
import type { Gate } from '../../vmm/throttle/gate'
import { NinepClient, NinepError } from '../support/ninep-client'

const record = (fid: number, processId: number, more = {}) => {
  return { fid, type: LOCK.write, flags: 1, start: 0, length: 10, processId, clientId: 'guest', ...more }
}
const soon = () => new Promise((resolve) => setImmediate(resolve))

/** Two domains with one tree. */
async function two() {
  const provider = new MemoryProvider()
  const options = { provider, tree: () => provider, locks: new LockTable() }
  const one = NinepClient.on(options)
  const other = NinepClient.on(options)
  const root = await one.client.begin()
  const otherRoot = await other.client.begin()
  const file = await one.client.create(root, 'a')
  return { options, one, other, file, otherFile: await other.client.open(otherRoot, 'a', 2) }
}

describe('locks between two domains', () => {
  test('the one that waits is answered when the lock is free', async () => {
    const { one, other, file, otherFile } = await two()
    await one.client.ask('Tlock', record(file, 1))
    const { flags, ...question } = record(otherFile, 1)
    expect(flags).toBe(1)
    expect(await other.client.ask('Tgetlock', question)).toMatchObject({ type: LOCK.write, length: 10, processId: 1 })
    expect(await other.client.ask('Tlock', record(otherFile, 1, { flags: 0 }))).toMatchObject({ status: 1 })
    expect(await other.client.ask('Tlock', record(otherFile, 1, { start: 10 }))).toMatchObject({ status: 0 })

    let granted = false
    const waiting = other.client.ask('Tlock', record(otherFile, 1)).then(() => (granted = true))
    await soon()
    expect(granted).toBe(false)
    await one.client.ask('Tlock', record(file, 1, { type: LOCK.none }))
    await waiting
  })

  test('a flush answers the one that waits first, and takes its wish back', async () => {
    const { one, other, file, otherFile } = await two()
    await one.client.ask('Tlock', record(file, 1))
    const { tag, reply } = other.client.send('Tlock', record(otherFile, 1))
    await other.client.ask('Tflush', { oldTag: tag })
    await expect(reply).rejects.toEqual(new NinepError(ERRNO.EINTR))
    expect(other.client.replies.slice(-2).map(({ message }) => message)).toEqual(['Rlerror', 'Rflush'])
    await one.client.clunk(file)
    expect(await one.client.ask('Tclunk', { fid: 0 })).toMatchObject({ message: 'Rclunk' })
    expect(await other.client.ask('Tlock', record(otherFile, 2))).toMatchObject({ status: 0 })
  })

  test('a domain that ends leaves no locks', async () => {
    const { one, other, file, otherFile } = await two()
    await one.client.ask('Tlock', record(file, 1))
    const waiting = other.client.ask('Tlock', record(otherFile, 1))
    one.session.close()
    expect(await waiting).toMatchObject({ status: 0 })
  })

  test('the fid stays of use to others while one waits', async () => {
    const { one, file } = await two()
    await one.client.ask('Tlock', record(file, 1))
    const waiting = one.client.ask('Tlock', record(file, 2))
    await one.client.write(file, 'x')
    await one.session.drain()
    await one.client.ask('Tlock', record(file, 1, { type: LOCK.none }))
    expect(await waiting).toMatchObject({ status: 0 })
  })

  test('ranges of one owner are joined and cut', async () => {
    const { one, other, file, otherFile } = await two()
    const lock = (start: number, length: number, type: number = LOCK.write) =>
      one.client.ask('Tlock', record(file, 1, { start, length, type }))
    await lock(0, 100)
    await lock(50, 0)
    await lock(20, 10, LOCK.none)
    const taken = async (start: number, length: number) =>
      (await other.client.ask('Tlock', record(otherFile, 9, { start, length, flags: 0 }))).status === 0
    expect([await taken(19, 1), await taken(20, 10), await taken(30, 1), await taken(2 ** 40, 1)]).toEqual([
      false,
      true,
      false,
      false,
    ])
  })
})

/** Lets nothing pass until it is told to. */
class HeldGate implements Gate {
  asked: [string, number][] = []
  readonly #waiting: (() => void)[] = []
  pass(kind: 'read' | 'write', bytes: number): Promise<void> {
    this.asked.push([kind, bytes])
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
  async open(): Promise<void> {
    this.#waiting.shift()?.()
    await soon()
  }
}

describe('a gate', () => {
  async function gated() {
    const provider = new MemoryProvider()
    const gate = new HeldGate()
    const whole = { tree: () => provider, locks: new LockTable(), gate: () => gate }
    const { client, session } = NinepClient.on(whole)
    const root = await client.begin()
    provider.createFile(provider.root(), 'a', { mode: 0o644, uid: 0, gid: 0 })
    const walking = client.open(root, 'a', 2)
    await gate.open()
    await gate.open()
    return { client, session, gate, file: await walking, root }
  }

  test('requests of a fid keep their order, others do not wait for them', async () => {
    const { client, gate, file, root } = await gated()
    const done: string[] = []
    void client.write(file, 'one').then(() => done.push('one'))
    void client.read(file).then((bytes) => done.push(bytes.toString()))
    void client.ask('Tgetattr', { fid: root, mask: 0 }).then(() => done.push('root'))
    await soon()
    expect(gate.asked.slice(2)).toEqual([
      ['write', 3],
      ['read', 0],
    ])
    await gate.open()
    expect(done).toEqual(['one'])
    await gate.open()
    await gate.open()
    expect(done).toEqual(['one', 'root', 'one'])
    // a read asks for what it will move, and no more
    expect(gate.asked.at(-1)).toEqual(['read', 3])
  })

  test('a flush ends the waiting, and what was asked is not done', async () => {
    const { client, gate, file, session } = await gated()
    const { tag, reply } = client.send('Twrite', { fid: file, offset: 0, data: Buffer.from('no') })
    const next = client.send('Twrite', { fid: file, offset: 0, data: Buffer.from('yes') })
    await client.ask('Tflush', { oldTag: tag })
    await expect(reply).rejects.toEqual(new NinepError(ERRNO.EINTR))
    await gate.open()
    await gate.open()
    expect((await next.reply).count).toBe(3)
    await session.drain()
    const reading = client.read(file)
    await gate.open()
    expect((await reading).toString()).toBe('yes')
  })

  test('draining waits until all is answered', async () => {
    const { client, gate, file, session } = await gated()
    const writing = client.write(file, 'x')
    let drained = false
    const draining = session.drain().then(() => (drained = true))
    await soon()
    expect(drained).toBe(false)
    await gate.open()
    await draining
    expect(await writing).toBe(1)
  })
})

test('a session goes on where it was saved: fids, open files, locks, those that wait', async () => {
  const { options, one, other, file, otherFile } = await two()
  await one.client.write(file, 'kept')
  await one.client.ask('Tlock', record(file, 1))
  await other.client.ask('Tlock', record(otherFile, 1, { start: 20 }))
  const waiting = one.client.ask('Tlock', record(file, 1, { start: 20 }))
  await one.session.drain()
  const saved = JSON.parse(JSON.stringify(one.session.save())) as ReturnType<NinepSession['save']>
  expect(saved.fids).toHaveLength(2)

  // what has no name is kept by its tree alone
  const { provider } = options
  const root = provider.root()
  provider.lookup(root, 'a')
  provider.unlink(root, 'a', false)
  one.session.close()
  const again = NinepSession.restore(saved, { ...options, send: (reply) => one.client.take(reply) })
  again.receive(encode('Tread', 900, { fid: file, offset: 0, count: 10 }))
  expect(one.client.replies.at(-1)).toMatchObject({ message: 'Rread', data: Buffer.from('kept') })
  expect(await other.client.ask('Tlock', record(otherFile, 1, { flags: 0 }))).toMatchObject({ status: 1 })
  await other.client.ask('Tlock', record(otherFile, 1, { start: 20, type: LOCK.none }))
  expect(await waiting).toMatchObject({ status: 0 })
})
