// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { decodeMessage, encodeMessage, serveMain, type Channel } from '../../src-main/contract'
import { preloadChannel, takeToken } from '../../src-renderer/bridge'
import { connectSockets, type Connection, type ConnectionStatus } from '../../src-renderer/connection'

describe('the token', () => {
  beforeEach(() => {
    window.sessionStorage.clear()
    window.location.hash = ''
  })

  it('is taken out of the address and kept for the tab', () => {
    window.location.hash = '#token=se%2Dcret'
    expect(takeToken()).toBe('se-cret')
    expect(window.location.hash).toBe('')
    expect(takeToken()).toBe('se-cret')
  })

  it('leaves the address of a view alone', () => {
    window.location.hash = '#/domains/d1'
    expect(takeToken()).toBe('')
    expect(window.location.hash).toBe('#/domains/d1')
  })

  it('of a new address takes the place of the old one', () => {
    window.location.hash = '#token=old'
    takeToken()
    window.location.hash = '#token=new'
    expect(takeToken()).toBe('new')
  })
})

describe('the channel of Electron', () => {
  it('hands over plain data: proxies become copies, bytes stay bytes', () => {
    const posted: unknown[] = []
    window.vivarium = { shell: 'electron', post: (message) => posted.push(message), onMessage() {}, pathOf: () => '' }
    const bytes = new Uint8Array([1, 2])
    const proxy = new Proxy({ name: 'x', list: new Proxy([1], {}) }, {})
    preloadChannel()?.post({ proxy, bytes })
    delete window.vivarium
    expect(structuredClone(posted)).toEqual([{ proxy: { name: 'x', list: [1] }, bytes }])
  })
})

/** A socket whose far side the test is. */
class FakeSocket extends EventTarget {
  readyState = 1
  sent: unknown[] = []
  close = vi.fn(() => this.end(1000))
  end(code: number): void {
    this.readyState = 3
    this.dispatchEvent(Object.assign(new Event('close'), { code }))
  }
}

describe('a connection over sockets', () => {
  const sockets: FakeSocket[] = []
  const statuses: ConnectionStatus[] = []
  let connection: Connection

  function connect(token: string): void {
    sockets.length = 0
    statuses.length = 0
    const source = {
      token,
      open: () => {
        const socket = new FakeSocket()
        sockets.push(socket)
        return socket as unknown as WebSocket
      },
      channel: (socket: WebSocket): Channel => channelOf(socket as unknown as FakeSocket),
    }
    connection = connectSockets(source, { onStatus: (status) => statuses.push(status), onEvent() {} })
  }

  /** Serves the contract at the far side, once the token has come. */
  function channelOf(socket: FakeSocket): Channel {
    let toMain: ((message: unknown) => void) | null = null
    let toPage: (message: unknown) => void = () => {}
    const main: Channel = { post: (message) => toPage(message), onMessage: (receive) => (toMain = receive) }
    serveMain(main, async (name) => ({ ok: true, value: { name } }))
    return {
      post(message) {
        const copy = decodeMessage(encodeMessage(message))
        socket.sent.push(copy)
        if (socket.sent.length > 1) toMain?.(copy)
      },
      onMessage: (receive) => (toPage = receive),
    }
  }

  const open = async (index = 0) => {
    sockets[index]?.dispatchEvent(new Event('open'))
    await vi.advanceTimersByTimeAsync(0)
  }

  beforeEach(() => vi.useFakeTimers())
  afterEach(() => vi.useRealTimers())

  it('sends the token first and is open when main has answered', async () => {
    connect('secret')
    await open()
    expect(sockets[0]?.sent[0]).toEqual({ token: 'secret' })
    expect(statuses.map(({ phase }) => phase)).toEqual(['connecting', 'open'])
    expect(await connection.call('domains.list', {})).toEqual({ name: 'domains.list' })
  })

  it('does not even try without a token', () => {
    connect('')
    expect(sockets).toHaveLength(0)
    expect(statuses.at(-1)).toEqual({ phase: 'refused', why: 'no-token' })
  })

  it('gives up when the token is refused', async () => {
    connect('wrong')
    sockets[0]?.end(4401)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(statuses.at(-1)).toEqual({ phase: 'refused', why: 'wrong-token' })
    expect(sockets).toHaveLength(1)
  })

  it('opens again after a break, with growing pauses, and refuses calls meanwhile', async () => {
    connect('secret')
    await open()
    sockets[0]?.end(1006)
    expect(statuses.at(-1)).toMatchObject({ phase: 'lost', attempt: 1 })
    await expect(connection.call('domains.list', {})).rejects.toMatchObject({ kind: 'timeout' })
    await vi.advanceTimersByTimeAsync(500)
    sockets[1]?.end(1006)
    await vi.advanceTimersByTimeAsync(500)
    expect(sockets).toHaveLength(2)
    await vi.advanceTimersByTimeAsync(500)
    await open(2)
    expect(statuses.at(-1)).toEqual({ phase: 'open' })
  })
})
