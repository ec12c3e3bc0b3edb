import { describe, expect, test } from 'vitest'
import type { Envelope } from '../../src-main/contract'
import { CALL_NAMES } from '../../src-main/contract'
import { hasUnsafeText } from '../../vmm/model/safe-text'
import { below, bytes, oddText, pick, type Random } from '../support/random-values'
import { IMAGE_ID, openScripted, runningDomain, scriptedDomain } from '../support/scripted-vivarium'
import { seededRandom } from '../support/seeded-random'
import { finish } from '../support/vivarium'

/** Fields of any call, so that many arguments get past the first look. */
const FIELDS = [
  'id', 'spec', 'patch', 'ephemeral', 'cold', 'name', 'ids', 'snapshotId', 'description', 'sources', 'kind', 'cmdline', 'bytes',
  'uploadId', 'offset', 'waitMs', 'maxBytes', 'columns', 'rows', 'argv', 'stdin', 'execId', 'displayId', 'shot', 'domainId', 'before', 'limit',
  'topics', 'theme', 'consoleFontSize', 'welcomed', 'memoryMiB', 'diskMiB', 'group', 'notes', 'instantStart', 'engine', 'imageId',
  'nic', 'mode', 'segment', 'plugged', 'seq', 'forward', 'key', 'policy', 'text', 'direction', 'protocol', 'target', 'port', 'source', 'stage',
  'mirrorId', 'captureId', 'file', 'after', 'snapBytes', 'fileBytes', 'files', 'totalBytes', 'network', 'rules', 'peers', 'connections', 'forwards',
  '__proto__', 'constructor', 'toString',
] // prettier-ignore

type Make = (random: Random) => unknown

/** Values that fit some field, and values that fit none. */
function valueMaker(ids: readonly string[]): Make {
  const leaf: Make[] = [
    (random) => pick(random, ids),
    () => IMAGE_ID,
    () => 'embedded',
    (random) => pick(random, ['../../etc/passwd', '..', '/', 'constructor', '__proto__', '%00', 'a'.repeat(65)]),
    (random) => oddText(random, below(random, 30)),
    () => 'x'.repeat(100_000),
    (random) => below(random, 300),
    (random) => pick(random, [-1, 0, 0.5, 1e9, 2 ** 53, Number.NaN, Infinity, -Infinity]),
    (random) => pick<unknown>(random, [true, false, null, undefined]),
    (random) => bytes(random, below(random, 50)),
    () => Buffer.alloc(300 * 1024),
    () => Symbol.iterator,
    () => 10n,
    () => () => 1,
    () => new Date(Number.NaN),
    (random) => pick(random, ['domains', 'tasks', 'dark', 'disk', 'kernel']),
  ]
  const make = (random: Random, depth: number): unknown => {
    const kind = below(random, depth > 2 ? 8 : 10)
    if (kind < 8) return pick(random, leaf)(random)
    if (kind === 8) return Array.from({ length: below(random, 4) }, () => make(random, depth + 1))
    return object(random, depth + 1)
  }
  const object = (random: Random, depth: number): object =>
    Object.fromEntries(Array.from({ length: below(random, 5) }, () => [pick(random, FIELDS), make(random, depth)]))
  return (random) => (below(random, 8) === 0 ? make(random, 0) : object(random, 0))
}

/** Arguments that are right but for one field, which is anything. */
function almostRight(random: Random, id: string, make: Make): object {
  const spec = { name: oddText(random, 5), engine: 'embedded', imageId: IMAGE_ID }
  const right: Record<string, unknown> = {
    id, spec, patch: { notes: 'n' }, snapshotId: id, name: 'N', offset: 0, bytes: Buffer.from('x'), argv: ['true'],
    columns: 80, rows: 24, execId: id, uploadId: id, topics: ['log'], limit: 5, waitMs: 0, ids: [id],
    nic: 0, plugged: false, source: { id, nic: 0 }, target: { id, nic: 0 }, policy: {}, text: '{}', seq: 1, after: 0, key: 'tcp/127.0.0.1:1',
    captureId: id, mirrorId: id, file: 'x.pcapng', forward: { protocol: 'udp', hostPort: 40_001, guestPort: 53 },
  } // prettier-ignore
  const chosen = Object.fromEntries(Object.entries(right).filter(() => below(random, 3) > 0))
  return { ...chosen, [pick(random, FIELDS)]: make(random) }
}

describe('a hostile client', () => {
  test.each([
    'constructor',
    '__proto__',
    'toString',
    'hasOwnProperty',
    '',
    'domains',
    'domains.',
    'Domains.list',
    'x'.repeat(1e6),
  ])('gets an envelope for the call %.20s, which there is not', async (name) => {
    const { services } = await openScripted()

    const reply = await services.attach(() => undefined).call(name, {})

    expect(reply).toMatchObject({ ok: false, failure: { kind: 'invalid', message: 'There is no such call.' } })
    expect(JSON.stringify(reply).length).toBeLessThan(1000)
  })

  test.each([undefined, null, 5, {}, ['domains.list'], Symbol.iterator])(
    'gets one for a name that is %s, too',
    async (name) => {
      const { services } = await openScripted()

      const reply = await services.attach(() => undefined).call(name as string, {})

      expect(reply).toMatchObject({ ok: false, failure: { kind: 'invalid' } })
    },
  )

  test('cannot unset a setting', async () => {
    const { call } = await openScripted()

    await call('settings.update', { theme: 'dark' })
    const settings = await call('settings.update', { theme: undefined, welcomed: true })

    expect(settings).toMatchObject({ theme: 'dark', consoleFontSize: 13, welcomed: true, dnsServers: [] })
  })

  test('never gets an exception or a bug out of any call, whatever its arguments', { timeout: 90_000 }, async () => {
    const { random } = seededRandom()
    const vivarium = await openScripted()
    const { call, services } = vivarium
    const [running, resting] = [await runningDomain(call, 'Running'), await scriptedDomain(call, 'Resting')]
    const { resultId: snapshot } = await finish(call, call('snapshots.create', { id: running }))
    const { execId } = await call('exec.start', { id: running, argv: ['true'] })
    const { uploadId } = await call('images.uploadBegin', { name: 'x', bytes: 100 })
    const ids = [running, resting, snapshot, execId, uploadId, 'unknown']
    const make = valueMaker(ids)
    const session = services.attach(() => undefined)
    const bad: unknown[] = []
    const check = (name: string, args: unknown, reply: Envelope | { thrown: unknown }) => {
      const fine = 'ok' in reply && (reply.ok || isFit(reply.failure))
      if (!fine) bad.push({ name, args, reply })
    }
    // it would go and build a real image
    const names = CALL_NAMES.filter((name) => name !== 'images.prepareStarter')

    for (let round = 0; round < 60; round++) {
      await Promise.all(
        names.map(async (name) => {
          const args = below(random, 2) === 0 ? make(random) : almostRight(random, pick(random, ids), make)
          check(name, args, await session.call(name, args).catch((thrown: unknown) => ({ thrown })))
        }),
      )
    }

    expect(bad).toEqual([])
    expect((await call('tasks.list', {})).filter((task) => task.failure?.kind === 'internal')).toEqual([])
    expect(await call('domains.list', {})).toBeInstanceOf(Array)
    session.close()
  })
})

function isFit(failure: { kind: string; message: string; hint: string }): boolean {
  const sentence = failure.message.endsWith('.') || failure.message.endsWith('…')
  return failure.kind !== 'internal' && sentence && failure.message.length < 1500 && !hasUnsafeText(failure.message)
}
