import { describe, expect, onTestFinished, test } from 'vitest'
import { QmpClient } from '../../vmm/engine/qmp'
import type { QmpEvent } from '../../vmm/engine/qmp-commands'
import { kindOf } from '../support/outcome'
import { below, bytes, pick, pieces } from '../support/random-values'
import { ScriptedQmp, type Asked, type Script } from '../support/scripted-qmp'
import { seededRandom } from '../support/seeded-random'
import { temporaryFolder } from '../support/temporary-folder'

async function connected(script?: Script) {
  const server = await new ScriptedQmp(temporaryFolder(), script).listen()
  const client = await QmpClient.connect(server.path)
  onTestFinished(() => client.close())
  return { server, client }
}

const STATUS = { status: 'running', running: true }

describe('a QMP connection', () => {
  test('greets and negotiates before anything else', async () => {
    const { server, client } = await connected((asked, say) => say({ return: STATUS, id: asked.id }))
    expect(await client.run('query-status', {})).toEqual(STATUS)
    expect(server.asked.map(({ execute, arguments: args }) => [execute, args])).toEqual([
      ['qmp_capabilities', {}],
      ['query-status', {}],
    ])
  })

  test.each([
    ['nothing', null, 'timeout'],
    ['another greeting', '{"SPICE": {}}\n', 'engine'],
    ['a greeting that is no JSON', 'SSH-2.0-OpenSSH\n', 'engine'],
    ['an array', '[]\n', 'engine'],
    ['a version in words', JSON.stringify({ QMP: { version: { qemu: 'seven' } } }) + '\n', 'engine'],
  ])('is not made with what says %s', async (_, greeting, kind) => {
    const server = await new ScriptedQmp(temporaryFolder(), undefined, greeting).listen()
    expect(await kindOf(QmpClient.connect(server.path, 100))).toBe(kind)
  })

  test('is not made where nobody listens', async () => {
    expect(await kindOf(QmpClient.connect(`${temporaryFolder()}/none.sock`))).toBe('engine')
  })

  test('matches answers that come out of order, with events between them', async () => {
    const held: Asked[] = []
    const { client } = await connected((asked, say) => {
      if (held.push(asked) < 20) return
      for (const { id } of held.reverse()) {
        say({ event: 'RTC_CHANGE', data: { offset: id }, timestamp: { seconds: 1, microseconds: 2 } })
        say({ return: { actual: id }, id })
      }
    })
    const events: QmpEvent[] = []
    client.onEvent((event) => events.push(event))
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.run('query-balloon', {})))
    const ids = answers.map(({ actual }) => actual)
    expect(ids).toEqual([...ids].sort((a, b) => a - b))
    expect(events.map(({ data }) => data['offset'])).toEqual([...ids].reverse())
  })

  test('tells what QEMU refuses, made fit to show', async () => {
    const desc = `No such device\u001b[2J${'x'.repeat(5000)}`
    const { client } = await connected((asked, say) => say({ error: { class: 'GenericError', desc }, id: asked.id }))
    const failure = await client.run('cont', {}).catch((error: unknown) => error as Error)
    expect(failure).toMatchObject({ kind: 'engine', message: expect.stringContaining("'cont'") })
    expect((failure as Error).message).not.toContain('\u001b')
    expect((failure as Error).message.length).toBeLessThan(400)
  })

  test.each([
    ['no value', {}],
    ['another type', { return: 'running' }],
    ['a field too few', { return: { status: 'running' } }],
    ['a field of another type', { return: { status: 'running', running: 'yes' } }],
    ['null', { return: null }],
  ])('does not believe an answer of %s', async (_, answer) => {
    const { client } = await connected((asked, say) => say({ ...answer, id: asked.id }))
    await expect(client.run('query-status', {})).rejects.toMatchObject({
      kind: 'engine',
      message: "QEMU gave a malformed answer to 'query-status'.",
    })
  })

  test('fails a command whose answer does not come, and goes on with the others', async () => {
    const late: (() => void)[] = []
    const { client } = await connected((asked, say) => {
      if (asked.execute === 'stop') late.push(() => say({ return: {}, id: asked.id }))
      else say({ return: STATUS, id: asked.id })
    })
    expect(await kindOf(client.run('stop', {}, 20))).toBe('timeout')
    for (const answer of late) answer()
    expect(await client.run('query-status', {})).toEqual(STATUS)
  })

  test('ignores answers to what nobody asked', async () => {
    const { client } = await connected((asked, say) => {
      say({ return: { status: 'stolen', running: false }, id: asked.id + 1 })
      say({ error: { class: 'GenericError', desc: 'JSON parse error' } })
      say({ return: STATUS, id: asked.id })
      say({ return: { status: 'twice', running: false }, id: asked.id })
    })
    expect(await client.run('query-status', {})).toEqual(STATUS)
    expect(await client.run('query-status', {})).toEqual(STATUS)
  })

  test('is the same however its bytes are cut', async () => {
    const whole = `${JSON.stringify({ event: 'STOP', data: { reason: 'ä漢😀' } })}\r\n\r\n`
    const { client } = await connected((asked, _say, socket) => {
      const sent = Buffer.from(`${whole}${JSON.stringify({ return: STATUS, id: asked.id })}\n`)
      socket.setNoDelay(true)
      let at = 0
      const next = () => {
        if (at < sent.length) socket.write(sent.subarray(at, ++at), () => setImmediate(next))
      }
      next()
    })
    const events: QmpEvent[] = []
    client.onEvent((event) => events.push(event))
    expect(await client.run('query-status', {})).toEqual(STATUS)
    expect(events).toEqual([{ name: 'STOP', data: { reason: 'ä漢😀' } }])
  })

  test.each([
    ['a line without end', Buffer.alloc(5 * 1024 * 1024, 'x')],
    ['a long line with an end', Buffer.from(`${' '.repeat(5 * 1024 * 1024)}\n`)],
    ['a line that is no JSON', Buffer.from('QEMU says hello\n')],
    ['a bare number', Buffer.from('7\n')],
    ['a number that is none', Buffer.from('{"id": "7"}\n')],
    ['an event that is a list', Buffer.from('{"event": []}\n')],
    ['nesting without end', Buffer.from(`${'['.repeat(100_000)}\n`)],
  ])('ends at %s', async (_, sent) => {
    const { client } = await connected((_asked, _say, socket) => void socket.write(sent))
    await expect(client.run('query-status', {})).rejects.toMatchObject({
      kind: 'engine',
      message: 'The connection to QEMU is gone.',
    })
    expect(await client.closed).toMatch(/QEMU sent/)
    expect(await kindOf(client.run('cont', {}))).toBe('engine')
  })

  test('takes what is deep or odd where nobody looks', async () => {
    const deep = `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`
    const { client } = await connected((asked, say, socket) => {
      socket.write(`{"event":"ODD","data":${deep}}\n{"event":"ODD","data":[1],"__proto__":{"id":${asked.id}}}\n`)
      socket.write('{"event":"ODD","data":{"__proto__":{"polluted":true},"constructor":1}}\n')
      say({ return: STATUS, id: asked.id })
    })
    const events: QmpEvent[] = []
    client.onEvent((event) => events.push(event))
    expect(await client.run('query-status', {})).toEqual(STATUS)
    expect(events).toHaveLength(3)
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })

  test('fails what is waiting when QEMU goes', async () => {
    const { client, server } = await connected((asked) => {
      if (asked.execute === 'cont') server.hangUp()
    })
    const kinds = [client.run('stop', {}), client.run('query-jobs', {}), client.run('cont', {})].map(kindOf)
    expect(await Promise.all(kinds)).toEqual(['engine', 'engine', 'engine'])
    expect(await kindOf(client.run('cont', {}))).toBe('engine')
  })

  test('forgets a listener that has ended', async () => {
    const { client } = await connected((asked, say) => {
      say({ event: 'STOP' })
      say({ return: {}, id: asked.id })
    })
    let heard = 0
    const end = client.onEvent(() => (heard += 1))
    await client.run('stop', {})
    end()
    await client.run('stop', {})
    expect(heard).toBe(1)
  })

  test('survives any bytes at all', async () => {
    const { random } = seededRandom()
    const words = ['{', '}', '[', '"', ':', ',', '\n', '\r', 'null', '1e999', '"id":1', '"event":"STOP"', '\\ud800']
    const server = await new ScriptedQmp(temporaryFolder(), (_asked, _say, socket) => {
      const noise = Array.from({ length: 60 }, () =>
        below(random, 3) === 0 ? bytes(random, below(random, 20)) : Buffer.from(pick(random, words)),
      )
      for (const piece of pieces(random, Buffer.concat(noise), 50)) socket.write(piece)
      socket.end('\n')
    }).listen()
    for (let count = 0; count < 60; count += 1) {
      const client = await QmpClient.connect(server.path)
      expect(await kindOf(client.run('query-status', {}))).toBe('engine')
      expect(await client.closed).toEqual(expect.any(String))
    }
  })
})
