import { mkdirSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createConnection } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { connectClient, decodeMessage, encodeMessage, MESSAGE_LIMIT } from '../../src-main/contract'
import { serveBrowsers } from '../../src-main/server'
import { scriptedServices } from '../support/scripted-services'
import { temporaryFolder } from '../support/temporary-folder'

/** The server over scripted services, with one page and one file beside its folder that must never be served. */
async function serve() {
  const folder = temporaryFolder()
  const uiFolder = join(folder, 'ui')
  mkdirSync(join(uiFolder, 'assets'), { recursive: true })
  writeFileSync(join(uiFolder, 'index.html'), '<!doctype html><title>Vivarium</title>')
  writeFileSync(join(uiFolder, 'assets', 'a.js'), 'export {}')
  writeFileSync(join(folder, 'secret.js'), 'secret')
  const scripted = scriptedServices({ 'settings.get': () => ({ theme: 'dark' }), 'app.show': () => ({ url: '' }) })
  const server = await serveBrowsers({ services: scripted.services, uiFolder, port: 0 })
  onTestFinished(() => server.close())
  const { port, hash } = new URL(server.url)
  return { ...scripted, port: Number(port), origin: `http://127.0.0.1:${port}`, token: hash.slice('#token='.length) }
}

interface Answer {
  status: number
  headers: Record<string, unknown>
  body: string
}

/** A plain request whose path and headers go out exactly as given. */
function get(port: number, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, headers, method }, (response) => {
      let body = ''
      response.on('data', (part: Buffer) => (body += part.toString()))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

interface Meeting {
  socket: WebSocket
  /** HTTP status of a refused upgrade; 101 when it was taken. */
  status: Promise<number>
  /** Close code. */
  closed: Promise<number>
}

function meet(port: number, options: { origin?: string; headers?: Record<string, string>; path?: string }): Meeting {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${options.path ?? '/contract'}`, options)
  onTestFinished(() => socket.terminate())
  const status = new Promise<number>((resolve) => {
    socket.once('open', () => resolve(101))
    socket.once('unexpected-response', (_request, response) => {
      resolve(response.statusCode ?? 0)
      socket.terminate()
    })
  })
  const closed = new Promise<number>((resolve) => socket.once('close', resolve))
  socket.on('error', () => {})
  return { socket, status, closed }
}

async function meetWithToken(port: number, origin: string, token: string) {
  const meeting = meet(port, { origin })
  await meeting.status
  meeting.socket.send(encodeMessage({ token }))
  const client = connectClient({
    post: (message) => meeting.socket.send(encodeMessage(message)),
    onMessage: (receive) => meeting.socket.on('message', (data) => receive(decodeMessage(data as Buffer))),
  })
  return { ...meeting, client }
}

describe('files', () => {
  test('are served with a policy that allows the page itself and its own socket', async () => {
    const { port } = await serve()

    const page = await get(port, '/')

    expect(page.status).toBe(200)
    expect(page.body).toContain('Vivarium')
    const policy = String(page.headers['content-security-policy'])
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("script-src 'self';")
    expect(policy).toContain(`connect-src 'self' ws://127.0.0.1:${port};`)
    expect(page.headers['x-content-type-options']).toBe('nosniff')
    expect((await get(port, '/assets/a.js')).headers['content-type']).toContain('text/javascript')
  })

  test.each([
    '/../secret.js',
    '/..%2fsecret.js',
    '/%2e%2e/secret.js',
    '/%2e%2e%2fsecret.js',
    '/assets/../../secret.js',
    '/..\\secret.js',
    '/..%5csecret.js',
    '//secret.js',
    '/%00/index.html',
    '/%zz',
    '/.git/config',
    '/nothing.js',
  ])('%s is not found', async (path) => {
    const { port } = await serve()

    const answer = await get(port, path)

    expect(answer.status).toBe(404)
    expect(answer.body).not.toContain('secret')
  })

  test('a foreign Host is misdirected', async () => {
    const { port } = await serve()

    expect((await get(port, '/', { host: 'vivarium.example' })).status).toBe(421)
    expect((await get(port, '/', { host: `vivarium.example:${port}` })).status).toBe(421)
    expect((await get(port, '/', { host: '127.0.0.1:1' })).status).toBe(421)
    expect((await get(port, '/', { host: `localhost:${port}` })).status).toBe(200)
  })

  test('only GET and HEAD are answered', async () => {
    const { port } = await serve()

    expect((await get(port, '/', {}, 'POST')).status).toBe(405)
    expect((await get(port, '/', {}, 'HEAD')).status).toBe(200)
  })
})

describe('the contract', () => {
  test('is open to the page that knows the token', async () => {
    const { port, origin, token } = await serve()

    const { client } = await meetWithToken(port, origin, token)

    expect(await client.call('settings.get', {})).toEqual({ theme: 'dark' })
  })

  test.each([
    ['a wrong token', { token: 'x'.repeat(43) }],
    ['an empty token', { token: '' }],
    ['no token', {}],
    ['a call instead of a token', { t: 'q', i: '1', m: 'call', a: ['settings.get', {}] }],
    ['a token too long to be one', { token: 'x'.repeat(10_000) }],
    ['null', null],
  ])('is closed to %s', async (_what, hello) => {
    const { port, origin, clients } = await serve()
    const { socket, status, closed } = meet(port, { origin })
    await status

    socket.send(encodeMessage(hello))

    expect(await closed).toBe(4401)
    expect(clients()).toBe(0)
  })

  test('is closed to who sends no token in time', async () => {
    const { port, origin, clients } = await serve()

    const { closed } = meet(port, { origin })

    expect(await closed).toBe(4408)
    expect(clients()).toBe(0)
  })

  test('refuses foreign and absent origins, foreign hosts and other paths', async () => {
    const { port, origin } = await serve()

    expect(await meet(port, { origin: 'http://vivarium.example' }).status).toBe(403)
    expect(await meet(port, { origin: 'http://127.0.0.1:1' }).status).toBe(403)
    expect(await meet(port, { origin: `https://127.0.0.1:${port}` }).status).toBe(403)
    expect(await meet(port, { origin: 'null' }).status).toBe(403)
    expect(await meet(port, {}).status).toBe(403)
    expect(await meet(port, { origin, headers: { host: 'vivarium.example' } }).status).toBe(421)
    expect(await meet(port, { origin, path: '/other' }).status).toBe(404)
  })

  test('has room for a few strangers only', async () => {
    const { port, origin } = await serve()
    const first = Array.from({ length: 16 }, () => meet(port, { origin }))
    await Promise.all(first.map(({ status }) => status))

    expect(await meet(port, { origin }).status).toBe(503)
  })

  test('drops a client that sends too much at once, or nonsense, and goes on for others', async () => {
    const { port, origin, token, clients } = await serve()
    const other = await meetWithToken(port, origin, token)
    const large = await meetWithToken(port, origin, token)
    const nonsense = await meetWithToken(port, origin, token)

    large.socket.send(new Uint8Array(MESSAGE_LIMIT + 1))
    nonsense.socket.send(Uint8Array.of(0xc1))

    await Promise.all([large.closed, nonsense.closed])
    await expect.poll(clients).toBe(1)
    expect(await other.client.call('settings.get', {})).toEqual({ theme: 'dark' })
  })

  test('lets load samples go when a client does not read, and drops the client in the end', async () => {
    const { port, origin, token, emit, clients } = await serve()
    const { socket, client } = await meetWithToken(port, origin, token)
    await client.call('settings.get', {})
    socket.pause()
    const sample = { at: 0, cpu: 0, instructionsPerSecond: 0, hostBytes: 0, guestUsedBytes: null }
    const disk = { diskReadPerSecond: 0, diskWritePerSecond: 0, diskReadOpsPerSecond: 0, diskWriteOpsPerSecond: 0 }
    const load = { ...sample, ...disk }

    const before = process.memoryUsage().arrayBuffers
    for (let i = 0; i < 200; i++) {
      emit({ topic: 'load', payload: { id: 'x'.repeat(100_000), sample: load } })
      await new Promise(setImmediate)
    }
    const grown = process.memoryUsage().arrayBuffers - before

    expect(grown).toBeLessThan(10 * 1024 * 1024)
    expect(clients()).toBe(1)
    for (let i = 0; i < 1000 && clients() > 0; i++) {
      emit({ topic: 'images', payload: { all: [{ name: 'x'.repeat(100_000) } as never] } })
      await new Promise(setImmediate)
    }
    await expect.poll(clients).toBe(0)
  })
})

test('only this machine can connect', async () => {
  const { port } = await serve()
  const others = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, family }) => !internal && family === 'IPv4')

  const reached = await Promise.all(others.map(({ address }) => canConnect(address, port)))

  expect(reached).not.toContain(true)
  expect(await canConnect('127.0.0.1', port)).toBe(true)
})

function canConnect(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
