import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { EmbeddedMachine } from '../../vmm/engine/embedded-machine'
import type { FromGuest, ToGuest } from '../../vmm/engine/embedded-protocol'
import { forkGuests, type GuestProcess } from '../../vmm/engine/guest-process'
import { below, bytes, oddText, pick, type Random } from '../support/random-values'
import { ScriptedGuest } from '../support/scripted-guest'
import { seededRandom } from '../support/seeded-random'
import { temporaryFolder } from '../support/temporary-folder'

/** A guest process that runs `script`, plain JavaScript. */
function forked(script: string): GuestProcess {
  const entry = join(temporaryFolder(), 'guest.cjs')
  writeFileSync(entry, script)
  const process = forkGuests(entry)()
  onTestFinished(() => process.kill())
  return process
}

function ending(process: GuestProcess): Promise<string> {
  return new Promise((resolve) => process.onExit(resolve))
}

describe('a forked guest process', () => {
  test('carries messages with bytes both ways', async () => {
    const process = forked('globalThis.process.on("message", (message) => globalThis.process.send(message))')
    const echo = new Promise((resolve) => process.onMessage(resolve))

    process.send({ type: 'serial', bytes: Uint8Array.of(1, 2, 255) })

    expect(await echo).toEqual({ type: 'serial', bytes: Uint8Array.of(1, 2, 255) })
  })

  test('tells how it ended', async () => {
    expect(await ending(forked('process.exit(7)'))).toBe('it exited with status 7')
  })

  test('that is killed while much is being sent to it hurts nobody, and tells the truth', async () => {
    const process = forked('process.on("message", () => {})')
    const ended = ending(process)
    await new Promise((resolve) => setTimeout(resolve, 200))

    process.kill()
    for (let sent = 0; sent < 200; sent++) {
      process.send({ type: 'serial', port: 0, bytes: Buffer.alloc(64 * 1024) })
      await new Promise((resolve) => setImmediate(resolve))
    }

    expect(await ended).toBe('it was ended by SIGKILL')
  })

  test('that cannot be started tells why', async () => {
    const how = await ending(forkGuests(join(temporaryFolder(), 'missing.cjs'))())

    expect(how).toMatch(/status 1|could not be started/)
  })
})

function machine(): { guest: ScriptedGuest; machine: EmbeddedMachine } {
  const guest = new ScriptedGuest({})
  return { guest, machine: new EmbeddedMachine(guest, [], '') }
}

/** What a guest that has taken over its process may send. */
function hostileMessage(random: Random): unknown {
  const value = () =>
    pick<() => unknown>(random, [
      () => null,
      () => undefined,
      () => -1,
      () => Number.NaN,
      () => below(random, 5),
      () => oddText(random, 20),
      () => bytes(random, 20),
      () => ({ length: 1e9, byteLength: 1e9 }),
      () => [],
      () => ({ kind: 'made-up', message: 5 }),
    ])()
  const types = ['reply', 'serial', 'counters', 'stalled', 'toString', '__proto__', value()]
  const fields = ['seq', 'ok', 'value', 'failure', 'port', 'bytes', 'counters', 'reason']
  const entries = fields.filter(() => below(random, 2) === 0).map((field) => [field, value()])
  return pick(random, [value(), { type: pick(random, types), ...Object.fromEntries(entries) }])
}

describe('an embedded machine', () => {
  test('takes from its process only what is a message', () => {
    const { random } = seededRandom()
    const seen: unknown[] = []
    for (let round = 0; round < 100; round++) {
      const { guest, machine: hostile } = machine()
      hostile.console.onData((data) => seen.push(['bytes', data instanceof Uint8Array]))
      hostile.onStall((reason) => seen.push(['text', typeof reason === 'string']))
      hostile.onCounters((counters) => seen.push(['count', Number.isFinite(counters.ranMs)]))
      guest.print('booting')
      for (let sent = 0; sent < 30; sent++) guest.emit(hostileMessage(random) as FromGuest)
    }

    expect(seen.length).toBeGreaterThan(0)
    expect(seen.filter((entry) => (entry as unknown[])[1] !== true)).toEqual([])
  })

  test('whose process talks nonsense is ended, with the reason', async () => {
    const { guest, machine: hostile } = machine()

    guest.emit({ type: 'serial', port: 0, bytes: 'text' } as unknown as FromGuest)

    expect(await hostile.ended).toEqual({ how: 'crashed', reason: expect.stringContaining('not understood') })
  })

  test('a failure from its process has a known kind, and words that are safe to show', async () => {
    const guest = new ScriptedGuest({})
    guest.send = (message) => {
      const { seq } = message as Extract<ToGuest, { seq: number }>
      const failure = { kind: 'made-up', message: `\u001b[2J${'x'.repeat(10_000)}`, hint: '', detail: '' }
      setImmediate(() => guest.emit({ type: 'reply', seq, ok: false, failure } as unknown as FromGuest))
    }
    const hostile = new EmbeddedMachine(guest, [], '')

    const failure: unknown = await hostile.pause().catch((error: unknown) => error)

    expect(failure).toMatchObject({ kind: 'engine' })
    expect((failure as Error).message.length).toBeLessThan(1001)
    expect((failure as Error).message).not.toContain('\u001b')
  })

  test('fails what was asked of it when it ends, and what is asked later', async () => {
    const guest = new ScriptedGuest({ pause: () => new Promise(() => undefined) })
    const ending = new EmbeddedMachine(guest, [], '')
    const asked = ending.pause().catch((error: unknown) => error)

    guest.end('it was ended by SIGSEGV')

    expect(await asked).toMatchObject({ kind: 'engine', message: expect.stringContaining('SIGSEGV') })
    await expect(ending.resume()).rejects.toMatchObject({ kind: 'engine' })
    await expect(ending.kill()).resolves.toBeUndefined()
  })
})
