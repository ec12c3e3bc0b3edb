import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Services } from '../../src-main/services'
import { kindOf } from '../support/outcome'
import { fillDisk, NO_SMALL_DISK, smallDisk } from '../support/small-disk'
import { SILENCE } from '../support/scripted-guest'
import { addScriptedImage, IMAGE_ID, openScripted, runningDomain } from '../support/scripted-vivarium'
import { finish, newClient, until, type Call } from '../support/vivarium'

const SPEC = { name: 'Passing', engine: 'embedded' as const, imageId: IMAGE_ID }

/** A client that can leave. */
function visitor(services: Services): { call: Call; leave: () => void } {
  const leaving: (() => void)[] = []
  const call = newClient({
    ...services,
    attach: (send) => {
      const session = services.attach(send)
      leaving.push(() => session.close())
      return session
    },
  })
  return { call, leave: () => leaving.forEach((leave) => leave()) }
}

describe('an ephemeral domain', () => {
  test.each(['off', 'starting', 'running', 'saving'])(
    'that is %s goes with its client, machine and all',
    async (state) => {
      const vivarium = await openScripted()
      const { call, leave } = visitor(vivarium.services)
      const { id } = await call('domains.create', { spec: SPEC, ephemeral: true })
      const hang = () => new Promise(() => undefined)
      const bring: Record<string, () => Promise<unknown>> = {
        off: async () => undefined,
        starting: async () => {
          vivarium.script.start = hang
          await call('domains.start', { id })
          await expect.poll(() => vivarium.guests.length).toBe(1)
        },
        running: () => call('domains.start', { id }).then((task) => finish(call, task)),
        saving: async () => {
          await finish(call, call('domains.start', { id }))
          await until(call, id, (domain) => domain.agent === 'ready')
          vivarium.script.save = hang
          await call('domains.save', { id })
        },
      }
      await bring[state]?.()

      leave()

      await expect.poll(() => readdirSync(join(vivarium.folder, 'domains'))).toEqual([])
      await expect.poll(() => vivarium.guests.filter((guest) => guest.alive)).toEqual([])
      expect(await vivarium.call('domains.list', {})).toEqual([])
      expect(vivarium.services.busy()).toEqual({ machines: 0, outliving: 0, tasks: 0, clients: 1 })
    },
  )

  test('whose client leaves while it is being made is not left behind', async () => {
    const vivarium = await openScripted()
    const { call, leave } = visitor(vivarium.services)

    const making = kindOf(call('domains.create', { spec: SPEC, ephemeral: true }))
    leave()
    await making

    await expect.poll(() => vivarium.call('domains.list', {})).toEqual([])
    await expect.poll(() => readdirSync(join(vivarium.folder, 'domains'))).toEqual([])
  })

  test.each(['forceOff', 'shutdown'] as const)('goes after %s', async (verb) => {
    const { call, folder } = await openScripted()
    const { id } = await call('domains.create', { spec: SPEC, ephemeral: true })
    await finish(call, call('domains.start', { id }))
    await until(call, id, (domain) => domain.agent === 'ready')
    const stop = {
      forceOff: () => call('domains.forceOff', { id }),
      shutdown: () => call('domains.shutdown', { id }).then((task) => finish(call, task)),
    }

    await stop[verb]()

    await expect.poll(() => call('domains.list', {})).toEqual([])
    await expect.poll(() => readdirSync(join(folder, 'domains'))).toEqual([])
  })

  test('stays when another client leaves, and through a restart', async () => {
    const vivarium = await openScripted()
    const { call } = vivarium
    const { leave } = visitor(vivarium.services)
    const { id } = await call('domains.create', { spec: SPEC, ephemeral: true })
    await finish(call, call('domains.start', { id }))
    await until(call, id, (domain) => domain.agent === 'ready')

    leave()
    await finish(call, call('domains.restart', { id }))

    expect((await call('domains.get', { id })).state).toBe('running')
  })
})

describe('a command in a guest', () => {
  test('is stopped when its client leaves, also while it is being started', async () => {
    const vivarium = await openScripted()
    const id = await runningDomain(vivarium.call)
    vivarium.script.agent = ({ execute }) =>
      execute === 'guest-exec-status' ? { return: { exited: false } } : undefined
    const { call, leave } = visitor(vivarium.services)
    const kills: unknown[] = []
    vivarium.script.agent = ({ execute, arguments: args }) => {
      const text = JSON.stringify(args)
      if (execute === 'guest-exec' && text.includes('kill')) kills.push(args)
      return execute === 'guest-exec-status' && kills.length === 0 ? { return: { exited: false } } : undefined
    }

    const starting = kindOf(call('exec.start', { id, argv: ['sleep', '600'] }))
    leave()
    await starting

    await expect.poll(() => kills.length, { timeout: 5000 }).toBeGreaterThan(0)
  })

  test('belongs to the client that started it', async () => {
    const vivarium = await openScripted()
    const id = await runningDomain(vivarium.call)
    const other = newClient(vivarium.services)

    const { execId } = await vivarium.call('exec.start', { id, argv: ['true'] })

    expect(await kindOf(other('exec.read', { execId }))).toBe('not-found')
    expect(await kindOf(other('exec.stop', { execId }))).toBe('not-found')
    expect(await vivarium.call('exec.read', { execId, waitMs: 5000 })).toMatchObject({ exited: true, exitCode: 0 })
  })

  test('fails with kind guest when its machine ends', async () => {
    const vivarium = await openScripted({
      agent: ({ execute }) => (execute === 'guest-file-read' ? SILENCE : undefined),
    })
    const { call } = vivarium
    const id = await runningDomain(call)
    const { execId } = await call('exec.start', { id, argv: ['sleep', '600'] })

    vivarium.guests[0]?.end()

    expect(await kindOf(call('exec.read', { execId, waitMs: 10_000 }))).toBe('guest')
    await call('exec.stop', { execId }).catch(() => undefined)
  })
})

describe('an upload', () => {
  const bytes = Buffer.alloc(1000, 'u')

  test('is taken in order, and by its owner alone', async () => {
    const vivarium = await openScripted()
    const { call } = vivarium
    const other = newClient(vivarium.services)
    const { uploadId } = await call('images.uploadBegin', { name: '../../etc/passwd', bytes: 2000 })
    const chunk = (offset: number) => kindOf(call('images.uploadChunk', { uploadId, offset, bytes }))

    const outcomes = [
      await chunk(1), // a gap
      await kindOf(other('images.uploadChunk', { uploadId, offset: 0, bytes })),
      await kindOf(other('images.import', { sources: [{ uploadId }] })),
      await chunk(0),
      await chunk(0), // once more
      await chunk(999), // an overlap
      await kindOf(call('images.import', { sources: [{ uploadId }] })),
      await kindOf(call('images.uploadChunk', { uploadId, offset: 1000, bytes: Buffer.alloc(1001) })),
      await chunk(1000),
    ]

    expect(outcomes).toEqual([
      'invalid',
      'not-found',
      'not-found',
      'done',
      'invalid',
      'invalid',
      'invalid',
      'invalid',
      'done',
    ])
    expect(readdirSync(join(vivarium.folder, 'uploads'))).toEqual([uploadId])
  })

  test('that is abandoned leaves nothing, nor does one that is no image', async () => {
    const vivarium = await openScripted()
    const { call, leave } = visitor(vivarium.services)
    const [bad, abandoned] = await Promise.all(
      [1000, 5000].map((size) => call('images.uploadBegin', { name: 'x', bytes: size })),
    )
    await call('images.uploadChunk', { uploadId: bad?.uploadId ?? '', offset: 0, bytes })
    await call('images.uploadChunk', { uploadId: abandoned?.uploadId ?? '', offset: 0, bytes })

    const failure = await kindOf(finish(call, call('images.import', { sources: [{ uploadId: bad?.uploadId ?? '' }] })))
    const left = readdirSync(join(vivarium.folder, 'uploads'))
    leave()

    expect(failure).toBe('invalid')
    expect(left).toEqual([abandoned?.uploadId])
    await expect.poll(() => readdirSync(join(vivarium.folder, 'uploads'))).toEqual([])
    expect((await vivarium.call('images.list', {})).map((image) => image.id)).toEqual([IMAGE_ID])
  })

  test('is one of few, also when many begin at once', async () => {
    const vivarium = await openScripted()

    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () => kindOf(vivarium.call('images.uploadBegin', { name: 'x', bytes: 1 }))),
    )

    expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(4)
    expect(outcomes.filter((outcome) => outcome === 'conflict')).toHaveLength(16)
  })

  test.skipIf(NO_SMALL_DISK !== '')(`onto a full disk is refused ${NO_SMALL_DISK}`, async () => {
    const folder = smallDisk(2000)
    await addScriptedImage(folder)
    const { call } = await openScripted({}, folder)
    const { uploadId } = await call('images.uploadBegin', { name: 'x', bytes: 256 * 1024 })
    fillDisk(folder, 20)

    const outcome = await kindOf(
      call('images.uploadChunk', { uploadId, offset: 0, bytes: Buffer.alloc(256 * 1024, 'x') }),
    )

    expect(outcome).toBe('disk-full')
    expect(await kindOf(call('images.import', { sources: [{ uploadId }] }))).toBe('not-found')
    expect(readdirSync(join(folder, 'uploads'))).toEqual([])
  })
})

describe('an import by path', () => {
  test.each([
    ['a folder', (folder: string) => folder],
    ['a path that is not there', (folder: string) => join(folder, 'none')],
    ['a path through a file', (folder: string) => join(folder, 'empty', 'x')],
    ['a name too long', (folder: string) => join(folder, 'x'.repeat(3000))],
    ['a device', () => '/dev/zero'],
    ['an empty file', (folder: string) => join(folder, 'empty')],
    ['a file that is no image', (folder: string) => join(folder, 'text')],
  ])('of %s is refused in one sentence, and leaves nothing', async (_, place) => {
    const { call, folder } = await openScripted()
    writeFileSync(join(folder, 'empty'), '')
    writeFileSync(join(folder, 'text'), 'not an image\n'.repeat(1000))

    const failure: unknown = await finish(call, call('images.import', { sources: [{ path: place(folder) }] })).catch(
      (error: unknown) => error,
    )

    expect(failure).toMatchObject({ kind: expect.stringMatching(/^(invalid|not-found)$/) })
    expect(readdirSync(join(folder, 'images'))).toEqual([IMAGE_ID])
  })
})
