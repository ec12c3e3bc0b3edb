import { describe, expect, test } from 'vitest'
import type { VmmError } from '../../vmm/model/errors'
import type { ToGuest } from '../../vmm/engine/embedded-protocol'
import { bytes } from '../support/random-values'
import { openScripted, runningDomain, type ScriptedVivarium } from '../support/scripted-vivarium'
import type { ScriptedGuest } from '../support/scripted-guest'
import { seededRandom } from '../support/seeded-random'
import { newClient } from '../support/vivarium'

const MIB = 1024 * 1024
const WAIT = { waitMs: 5000 }

async function openedScreen(script = {}) {
  const vivarium = await openScripted(script)
  const id = await runningDomain(vivarium.call)
  const { displayId } = await vivarium.call('display.open', { id })
  const guest = vivarium.guests[0] as ScriptedGuest
  return { ...vivarium, id, displayId, guest, viewer: await openedViewer(guest) }
}

async function openedViewer(guest: ScriptedGuest): Promise<number> {
  await handled()
  return said(guest, 'viewer-open').at(-1)?.viewer ?? 0
}

function said<T extends ToGuest['type']>(guest: ScriptedGuest, type: T): Extract<ToGuest, { type: T }>[] {
  return guest.received.filter((message): message is Extract<ToGuest, { type: T }> => message.type === type)
}

/** Lets messages and streams have their turn. */
async function handled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

const total = (messages: readonly { bytes: number }[]): number =>
  messages.reduce((sum, { bytes: some }) => sum + some, 0)

describe('a screen', () => {
  test('its bytes are handed on both ways, whole and in order', async () => {
    const { random } = seededRandom()
    const { call, displayId, guest, viewer } = await openedScreen()
    const [out, back] = [bytes(random, 200_000), bytes(random, 3 * MIB)]

    const writing = call('display.write', { displayId, bytes: out })
    for (let at = 0; at < back.length; at += 100_000) {
      guest.emit({ type: 'viewer', viewer, bytes: back.subarray(at, at + 100_000) })
    }
    const read: Uint8Array[] = []
    for (let got = 0; got < back.length;) {
      const chunk = await call('display.read', { displayId, ...WAIT, maxBytes: 300_000 })
      expect(chunk.closed).toBe(false)
      read.push(chunk.bytes)
      got += chunk.bytes.byteLength
    }
    const written = said(guest, 'viewer').map((message) => message.bytes)
    guest.emit({ type: 'viewer-took', viewer, bytes: out.length })
    await writing

    expect(Buffer.concat(read).equals(back)).toBe(true)
    expect(Buffer.concat(written).equals(out)).toBe(true)
  })

  test('a viewer that does not read holds its screen back', async () => {
    const { call, displayId, guest, viewer } = await openedScreen()
    for (let sent = 0; sent < 80; sent++) guest.emit({ type: 'viewer', viewer, bytes: new Uint8Array(100_000) })
    await handled()
    const held = total(said(guest, 'viewer-taken'))
    expect(held).toBeGreaterThan(2 * MIB)
    expect(held).toBeLessThan(2.5 * MIB)

    for (let round = 0; round < 3; round++) await call('display.read', { displayId, ...WAIT })
    await handled()

    expect(total(said(guest, 'viewer-taken'))).toBeGreaterThan(held + 2 * MIB)
  })

  test('a guest process that sends without end is not held in memory', async () => {
    const { call, displayId, guest, viewer } = await openedScreen()
    for (let sent = 0; sent < 25; sent++) guest.emit({ type: 'viewer', viewer, bytes: new Uint8Array(MIB) })
    await handled()

    let chunk = await call('display.read', { displayId, ...WAIT })
    while (!chunk.closed) chunk = await call('display.read', { displayId, ...WAIT })

    expect(chunk.reason).toContain('more than was asked for')
    expect(await call('domains.list', {})).toMatchObject([{ state: 'running' }])
  })

  test('a client that sends more than the guest takes is refused', async () => {
    const { call, displayId, guest, viewer } = await openedScreen()
    const writing = Array.from({ length: 8 }, () =>
      call('display.write', { displayId, bytes: new Uint8Array(256 * 1024) }).then(
        () => 'taken',
        (error: unknown) => (error as VmmError).kind,
      ),
    )
    await handled()
    for (let turn = 0; turn < 8; turn++) {
      guest.emit({ type: 'viewer-took', viewer, bytes: 256 * 1024 })
      await handled()
    }

    const outcomes = await Promise.all(writing)
    expect(outcomes.filter((outcome) => outcome === 'taken')).toHaveLength(4)
    expect(outcomes.filter((outcome) => outcome === 'conflict')).toHaveLength(4)
  })

  test('it belongs to the client that opened it', async () => {
    const { services, displayId } = await openedScreen()
    const other = newClient(services)
    const calls = [
      other('display.read', { displayId, waitMs: 0 }),
      other('display.write', { displayId, bytes: new Uint8Array(1) }),
    ]

    for (const call of calls) await expect(call).rejects.toMatchObject({ kind: 'not-found' })
  })

  test('it ends with its client', async () => {
    const { services, guest, id } = await openedScreen()
    const session = services.attach(() => undefined)
    await session.call('display.open', { id })
    const theirs = await openedViewer(guest)

    session.close()
    await handled()

    expect(said(guest, 'viewer-close').map((message) => message.viewer)).toEqual([theirs])
  })

  test('a client has at most eight at a time, and can close one for another', async () => {
    const { call, id, displayId } = await openedScreen()
    await Promise.all(Array.from({ length: 7 }, () => call('display.open', { id })))
    await expect(call('display.open', { id })).rejects.toMatchObject({ kind: 'conflict' })

    await call('display.close', { displayId })

    expect(await call('display.open', { id })).toBeTruthy()
  })

  test('its end is told once, with what came before it and why', async () => {
    const { call, displayId, guest, viewer } = await openedScreen()
    guest.emit({ type: 'viewer', viewer, bytes: Buffer.from('last words') })
    await handled()
    guest.emit({ type: 'viewer-closed', viewer, reason: 'it speaks in riddles' })

    const words = await call('display.read', { displayId, ...WAIT })
    const end = words.closed ? words : await call('display.read', { displayId, ...WAIT })

    expect(Buffer.from(words.bytes).toString()).toBe('last words')
    expect(end).toMatchObject({ closed: true, reason: 'The viewer was not understood: it speaks in riddles.' })
    await expect(call('display.read', { displayId, waitMs: 0 })).rejects.toMatchObject({ kind: 'not-found' })
  })

  test('a write under way is answered when it ends', async () => {
    const { call, displayId, guest, viewer } = await openedScreen()
    const writing = call('display.write', { displayId, bytes: Buffer.from('noise') })
    await handled()
    guest.emit({ type: 'viewer-closed', viewer, reason: 'it makes noise' })

    await expect(writing).rejects.toMatchObject({ kind: 'state' })
  })

  test('it ends with its machine, and there is none without', async () => {
    const { call, displayId, guest, id } = await openedScreen()
    const reading = call('display.read', { displayId, ...WAIT })
    guest.end()

    expect((await reading).closed).toBe(true)
    await expect(call('display.open', { id })).rejects.toMatchObject({ kind: 'state' })
    await expect(call('display.screenshot', { id })).rejects.toMatchObject({ kind: 'state' })
  })

  test('the view of a domain tells whether there is one', async () => {
    const { call, guest, id } = await openedScreen()
    expect((await call('domains.get', { id })).screen).toBe(true)

    guest.end()
    await expect.poll(async () => (await call('domains.get', { id })).screen).toBe(false)
  })
})

describe('a screenshot', () => {
  const shots = (vivarium: ScriptedVivarium) => said(vivarium.guests[0] as ScriptedGuest, 'screenshot').length

  test('is made once for all who ask at the same time', async () => {
    const vivarium = await openScripted({ screenshot: () => new Uint8Array(10).fill(7) })
    const id = await runningDomain(vivarium.call)
    const all = await Promise.all(Array.from({ length: 20 }, () => vivarium.call('display.screenshot', { id })))

    expect(shots(vivarium)).toBe(1)
    expect(new Set(all.map(({ shot }) => shot)).size).toBe(1)
    expect(all[0]).toMatchObject({ size: 10, bytes: new Uint8Array(10).fill(7) })
  })

  test('a large one comes in parts that belong together', async () => {
    const { random } = seededRandom()
    const png = bytes(random, 2.5 * MIB)
    const { call } = await openScripted({ screenshot: () => png })
    const id = await runningDomain(call)

    const first = await call('display.screenshot', { id })
    const rest = [1, 2].map((part) => call('display.screenshot', { id, shot: first.shot, offset: part * MIB }))
    const parts = [first, ...(await Promise.all(rest))].map((part) => part.bytes)

    expect(first.size).toBe(png.length)
    expect(Buffer.concat(parts).equals(png)).toBe(true)
    await expect(call('display.screenshot', { id, shot: 'unknown' })).rejects.toMatchObject({ kind: 'not-found' })
  })

  test('a guest process that answers with something else is not believed', async () => {
    const script = { screenshot: (): unknown => 'a picture' }
    const { call } = await openScripted(script)
    const id = await runningDomain(call)
    await expect(call('display.screenshot', { id })).rejects.toMatchObject({ kind: 'engine' })

    script.screenshot = () => new Uint8Array(5)
    expect((await call('display.screenshot', { id })).size).toBe(5)
  })
})
