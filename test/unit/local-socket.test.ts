import { existsSync, lstatSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { connectClient, encodeMessage } from '../../src-main/contract'
import { dataFolder, ensurePrivateFolder } from '../../src-main/data-folder'
import { connectLocal, serveLocal } from '../../src-main/local-socket'
import { socketAddress } from '../../src-main/socket-address'
import { frame } from '../../src-main/socket-frames'
import { scriptedServices } from '../support/scripted-services'
import { seededRandom } from '../support/seeded-random'
import { temporaryFolder } from '../support/temporary-folder'

async function listen() {
  const address = socketAddress(temporaryFolder())
  const scripted = scriptedServices({
    'settings.get': () => ({ theme: 'dark' }),
    'console.read': (args) => ({ offset: 0, end: 3, bytes: Uint8Array.of(1, 2, 3), args }),
  })
  const stop = await serveLocal(scripted.services, address)
  onTestFinished(stop)
  return { address, ...scripted }
}

async function client(address: string) {
  const connection = await connectLocal(address)
  onTestFinished(() => connection.close())
  return { connection, client: connectClient(connection) }
}

describe('the local socket', () => {
  test('carries calls, bytes, refusals and events', async () => {
    const { address, emit } = await listen()
    const { client: caller } = await client(address)
    const events: unknown[] = []
    caller.onEvent((event) => events.push(event))

    const chunk = await caller.call('console.read', { id: 'a', offset: 0 })
    const refusal = caller.call('app.info', {})
    emit({ topic: 'domains', payload: { changed: [], removed: ['a'] } })

    expect(chunk.bytes).toEqual(Uint8Array.of(1, 2, 3))
    await expect(refusal).rejects.toMatchObject({ name: 'VmmError', kind: 'not-found' })
    await expect.poll(() => events).toEqual([{ topic: 'domains', payload: { changed: [], removed: ['a'] } }])
  })

  test('tells main when a client leaves, and a client when main does', async () => {
    const { address, clients } = await listen()
    const first = await client(address)
    const second = await client(address)
    await first.client.call('settings.get', {})
    await second.client.call('settings.get', {})
    expect(clients()).toBe(2)

    first.connection.close()

    await first.connection.closed
    await expect.poll(clients).toBe(1)
  })

  test('is open to its owner only', async () => {
    const { address } = await listen()

    expect(statSync(dirname(address)).mode & 0o777).toBe(0o700)
  })

  test('replaces what a killed main left', async () => {
    const address = socketAddress(temporaryFolder())
    ensurePrivateFolder(dirname(address))
    writeFileSync(address, 'left over')

    const stop = await serveLocal(scriptedServices().services, address)
    onTestFinished(stop)

    expect(lstatSync(address).isSocket()).toBe(true)
  })

  test('drops who sends what is not a call, and goes on for others', async () => {
    const { random, seed } = seededRandom()
    const { address } = await listen()
    const { client: other } = await client(address)
    const odd: Uint8Array[] = [
      frame(encodeMessage(null)),
      frame(encodeMessage('hello')),
      frame(encodeMessage({ t: 'q', m: '$close', a: [], i: 'x' })),
      frame(encodeMessage({ t: 'q', m: 'constructor', a: [], i: 'x' })),
      frame(encodeMessage({ t: 'q', m: 'call', a: 'x', i: 'x' })),
      frame(encodeMessage({ t: 's', i: 'x', r: 1 })),
      Uint8Array.of(255, 255, 255, 255),
      ...Array.from({ length: 50 }, () => frame(Uint8Array.from({ length: 20 }, () => random() * 256))),
    ]

    await Promise.all(odd.map((bytes) => sendAndBeDropped(address, bytes)))

    expect(await other.call('settings.get', {}), `seed ${seed}`).toEqual({ theme: 'dark' })
  })
})

describe('its address', () => {
  test('is in the data folder, or in a private temporary one where that path would be too long', () => {
    const long = `/home/${'x'.repeat(100)}`

    expect(socketAddress('/home/a', 'linux', '/tmp')).toBe('/home/a/socket/main')
    expect(socketAddress(long, 'linux', '/tmp')).toMatch(/^\/tmp\/vivarium-[0-9a-f]{32}\/main$/)
    expect(socketAddress(long, 'linux', '/tmp')).not.toBe(socketAddress(`${long}y`, 'linux', '/tmp'))
    expect(socketAddress('C:\\Vivarium', 'win32', 'C:\\Temp')).toMatch(/^\\\\\.\\pipe\\vivarium-[0-9a-f]{32}$/)
  })

  test('is never in a folder that somebody else prepared', () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'theirs'))
    symlinkSync(join(folder, 'theirs'), join(folder, 'link'))

    expect(() => ensurePrivateFolder(join(folder, 'link'))).toThrow(/not a folder of yours/)
  })

  test('becomes private where it was not', () => {
    const folder = join(temporaryFolder(), 'open')
    mkdirSync(folder, { mode: 0o755 })

    ensurePrivateFolder(folder)

    expect(statSync(folder).mode & 0o777).toBe(0o700)
  })
})

test('the data folder is the usual one of each platform, unless told', () => {
  expect(dataFolder({}, 'linux', '/home/a')).toBe('/home/a/.local/share/vivarium')
  expect(dataFolder({ XDG_DATA_HOME: '/data' }, 'linux', '/home/a')).toBe('/data/vivarium')
  expect(dataFolder({ XDG_DATA_HOME: 'relative' }, 'linux', '/home/a')).toBe('/home/a/.local/share/vivarium')
  expect(dataFolder({}, 'darwin', '/Users/a')).toBe('/Users/a/Library/Application Support/Vivarium')
  expect(dataFolder({ VIVARIUM_HOME: '/elsewhere' }, 'darwin', '/Users/a')).toBe('/elsewhere')
})

function sendAndBeDropped(address: string, bytes: Uint8Array): Promise<void> {
  expect(existsSync(address)).toBe(true)
  return new Promise((resolve) => {
    const socket = connect(address)
    socket.on('error', () => {})
    socket.on('close', () => resolve())
    socket.resume()
    // a random frame may be a number or a text; a second, certain fault ends those that were let be
    socket.write(bytes)
    socket.write(frame(encodeMessage(null)))
  })
}
