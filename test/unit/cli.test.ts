import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { inTreeOrder } from '../../src-main/cli/snapshots'
import { durationText, sizeText, table } from '../../src-main/cli/text'
import type { SnapshotView } from '../../src-main/contract'
import { serveLocal } from '../../src-main/local-socket'
import { socketAddress } from '../../src-main/socket-address'
import { VmmError } from '../../vmm/model/errors'
import { vivarium } from '../support/command-line'
import { scriptedServices } from '../support/scripted-services'
import { temporaryFolder } from '../support/temporary-folder'

const web = {
  id: 'id-web',
  name: 'web',
  state: 'running',
  stateReason: '',
  startedAt: Date.now() - 5000,
  memoryMiB: 128,
  engine: 'embedded',
  isolation: 'wasm',
  imageName: 'Starter image',
}
const twin = { ...web, id: 'id-1', name: 'twin', state: 'off', startedAt: null }

/** A running main that knows three domains, and answers what else a test needs. */
async function mainWith(handlers: Parameters<typeof scriptedServices>[0] = {}): Promise<string> {
  const home = temporaryFolder()
  const scripted = scriptedServices({
    'events.subscribe': () => ({}),
    'domains.get': () => ({ ...web, agent: 'ready' }),
    'domains.list': () => [web, twin, { ...twin, id: 'id-2' }],
    ...handlers,
  })
  onTestFinished(await serveLocal(scripted.services, socketAddress(home)))
  return home
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

test('vivarium screenshot puts all parts of a picture into one file', async () => {
  const png = bytes('a picture in parts')
  const home = await mainWith({
    'display.screenshot': (args) => {
      const { offset = 0 } = args as { offset?: number }
      return { shot: 'one', size: png.byteLength, bytes: png.slice(offset, offset + 7) }
    },
  })
  const file = join(home, 'web.png')

  const { status, stdout } = await vivarium(home, ['screenshot', 'web', file])

  expect(status).toBe(0)
  expect(stdout).toContain(file)
  expect(new Uint8Array(await readFile(file))).toEqual(png)
})

describe('vivarium ls', () => {
  test('is a table for people', async () => {
    const { status, stdout, stderr } = await vivarium(await mainWith(), ['ls'])

    expect(status).toBe(0)
    expect(stdout).toMatch(
      /^NAME +STATE .*\nweb +running +[5-9] s +128 MiB +embedded \(wasm\) +Starter image +id-web\n/,
    )
    expect(stderr).toBe('')
  })

  test('is one JSON document for programs', async () => {
    const { stdout } = await vivarium(await mainWith(), ['ls', '--json'])

    expect(JSON.parse(stdout)).toMatchObject([{ name: 'web' }, { name: 'twin' }, { name: 'twin' }])
  })
})

describe('a domain', () => {
  test('is named by name or id', async () => {
    const asked: unknown[] = []
    const home = await mainWith({
      'domains.pause': (args) => {
        asked.push(args)
        return { ...web, state: 'paused' }
      },
    })

    const byName = await vivarium(home, ['pause', 'web'])
    await vivarium(home, ['pause', 'id-web'])

    expect(byName.stdout).toBe('web is paused.\n')
    expect(asked).toEqual([{ id: 'id-web' }, { id: 'id-web' }])
  })

  test('whose name others share is an error that lists them', async () => {
    const { status, stdout, stderr } = await vivarium(await mainWith(), ['pause', 'twin'])

    expect(status).toBe(1)
    expect(stdout).toBe('')
    expect(stderr).toBe("vivarium: 'twin' names 2 domains.\nUse an id: id-1, id-2.\n")
  })

  test('that does not exist is an error that says where to look', async () => {
    const { status, stderr } = await vivarium(await mainWith(), ['pause', 'nothing'])

    expect(status).toBe(1)
    expect(stderr).toContain("There is no domain called 'nothing'.\n'vivarium ls' shows what there is.")
  })
})

describe('a failure', () => {
  const refuse = (): never => {
    throw new VmmError('state', 'Pause is not possible while it is off.', { hint: 'Start it first.' })
  }

  test('is a message and a hint, and status 1', async () => {
    const { status, stderr } = await vivarium(await mainWith({ 'domains.pause': refuse }), ['pause', 'web'])

    expect(status).toBe(1)
    expect(stderr).toBe('vivarium: Pause is not possible while it is off.\nStart it first.\n')
  })

  test('is a document with --json', async () => {
    const { status, stdout } = await vivarium(await mainWith({ 'domains.pause': refuse }), ['pause', 'web', '--json'])

    expect(status).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, failure: { kind: 'state', hint: 'Start it first.' } })
  })

  test('of a task is the failure of the command', async () => {
    const failure = { kind: 'engine', message: 'No.', hint: '', detail: '' }
    const task = { id: 't', title: 'Saving web', state: 'failed', failure }
    const { status, stderr } = await vivarium(await mainWith({ 'domains.save': () => task }), ['save', 'web'])

    expect(status).toBe(1)
    expect(stderr).toBe('vivarium: No.\n')
  })
})

describe('wrong use', () => {
  test.each([
    [['nothing']],
    [['new']],
    [['ls', '--nothing']],
    [['new', 'a', '--memory', '12x']],
    [['new', 'a', '--memory', '-5']],
    [['new', 'a', '--engine', 'magic']],
    [['snapshot', 'nothing']],
    [['serve', '--port', '70000']],
  ])('%j is status 2, says what is wrong and starts nothing', async (args) => {
    const { status, stderr } = await vivarium('/nowhere/at/all', args)

    expect(status).toBe(2)
    expect(stderr).toMatch(/^error: /)
  })

  test('is a document with --json', async () => {
    const { status, stdout } = await vivarium('/nowhere/at/all', ['new', '--json'])

    expect(status).toBe(2)
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, failure: { kind: 'invalid' } })
  })

  test('help and version are no failures', async () => {
    expect(await vivarium('/nowhere/at/all', ['--help'])).toMatchObject({ status: 0 })
    expect(await vivarium('/nowhere/at/all', ['run', '--help'])).toMatchObject({ status: 0 })
    expect((await vivarium('/nowhere/at/all', ['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })
})

describe('vivarium exec', () => {
  /** A command that writes one chunk to each stream and then ends as told. */
  async function mainRunning(end: { exitCode: number | null; signal: number | null }) {
    const started: { argv?: string[]; stdin?: Uint8Array }[] = []
    let reads = 0
    const none = new Uint8Array(0)
    const home = await mainWith({
      'exec.start': (args) => {
        started.push(args as { argv: string[] })
        return { execId: 'e' }
      },
      'exec.read': () =>
        ++reads === 1
          ? { stdout: bytes('out\n'), stderr: bytes('err\n'), exited: false, exitCode: null, signal: null }
          : { stdout: none, stderr: none, exited: true, ...end },
    })
    return { home, started }
  }

  test('passes arguments, input, output and status through', async () => {
    const { home, started } = await mainRunning({ exitCode: 7, signal: null })

    const { status, stdout, stderr } = await vivarium(home, ['exec', 'web', '--', 'cat', '--json', '-n'], 'given')

    expect({ status, stdout, stderr }).toEqual({ status: 7, stdout: 'out\n', stderr: 'err\n' })
    expect(started[0]?.argv).toEqual(['cat', '--json', '-n'])
    expect(Buffer.from(started[0]?.stdin ?? []).toString()).toBe('given')
  })

  test('ends with 128 and the signal that ended the command', async () => {
    const { home } = await mainRunning({ exitCode: null, signal: 9 })

    expect((await vivarium(home, ['exec', 'web', 'sleep', '1'])).status).toBe(137)
  })

  test('with --json prints one document and still has the status of the command', async () => {
    const { home } = await mainRunning({ exitCode: 3, signal: null })

    const { status, stdout } = await vivarium(home, ['exec', '--json', 'web', '--', 'ls'])

    expect(status).toBe(3)
    expect(JSON.parse(stdout)).toEqual({ exitCode: 3, signal: null, stdout: 'out\n', stderr: 'err\n' })
  })

  test('tells when it cannot pass all of its input on', async () => {
    const { home, started } = await mainRunning({ exitCode: 0, signal: null })

    const { stderr } = await vivarium(home, ['exec', 'web', 'cat'], 'x'.repeat(300 * 1024))

    expect(started[0]?.stdin).toHaveLength(256 * 1024)
    expect(stderr).toContain('only the first 256 KiB')
  })
})

describe('vivarium export', () => {
  test('tells the format from the name of the file, and gives the whole path', async () => {
    const asked: unknown[] = []
    const done = { id: 'task-1', title: 'Exporting web', state: 'done', failure: null, resultId: '' }
    const home = await mainWith({
      'domains.export': (args) => {
        asked.push(args)
        return done
      },
      'tasks.wait': () => done,
    })
    const { status } = await vivarium(home, ['export', 'web', 'sub/web.OVA', '--replace'])

    expect(status).toBe(0)
    expect(asked).toEqual([{ id: 'id-web', path: resolve('sub/web.OVA'), format: 'ova', replace: true }])
  })

  test('asks for the format where the name does not tell', async () => {
    const { status, stderr } = await vivarium(await mainWith(), ['export', 'web', 'web.bin'])

    expect(status).toBe(1)
    expect(stderr).toMatch(/does not say what format is meant.\nAdd --format with one of: qcow2, raw/)
  })
})

test('a console without a terminal is refused with what to do instead', async () => {
  const { status, stderr } = await vivarium(await mainWith(), ['console', 'web'])

  expect(status).toBe(1)
  expect(stderr).toMatch(/needs a terminal.\nUse 'vivarium exec'/)
})

test('text for people', () => {
  expect(sizeText(999)).toBe('999 bytes')
  expect(sizeText(10_900_000)).toBe('10.9 MB')
  expect(sizeText(123_456_789_000)).toBe('123 GB')
  expect(durationText(59_000)).toBe('59 s')
  expect(durationText(3_725_000)).toBe('1 h 2 min')
  expect(durationText(100_000_000)).toBe('1 d 3 h')
  expect(table(['A', 'B'], [['long\x1b[31m', 'x']])).not.toContain('\x1b')
})

test('snapshots are listed as a tree, orphans at its root', () => {
  const snapshot = (id: string, parentId: string | null) => ({ id, parentId }) as SnapshotView
  const all = [snapshot('c', 'b'), snapshot('a', null), snapshot('b', 'a'), snapshot('o', 'gone')]

  const listed = inTreeOrder(all).map(({ snapshot: { id }, depth }) => [id, depth])

  expect(listed).toEqual([
    ['a', 0],
    ['b', 1],
    ['c', 2],
    ['o', 0],
  ])
})
