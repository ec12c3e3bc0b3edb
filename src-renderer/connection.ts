import {
  connectClient,
  VmmError,
  type CallArgs,
  type CallName,
  type CallResult,
  type Channel,
  type ContractClient,
  type ContractEvent,
} from '../src-main/contract'

export type ConnectionStatus =
  | { phase: 'connecting' }
  | { phase: 'open' }
  /** `retryAt` is when the next attempt begins, milliseconds since the Unix epoch. */
  | { phase: 'lost'; attempt: number; retryAt: number }
  /** Main will not talk to this page; trying again would not help. */
  | { phase: 'refused'; why: 'no-token' | 'wrong-token' }

export interface Connection {
  call<N extends CallName>(name: N, args: CallArgs<N>): Promise<CallResult<N>>
  retryNow(): void
}

export interface ConnectionListener {
  onStatus(status: ConnectionStatus): void
  onEvent(event: ContractEvent): void
}

const NOT_CONNECTED = () =>
  new VmmError('timeout', 'The connection to Vivarium is lost.', {
    hint: 'It is retried by itself; try again when it is back.',
  })

/** A connection that lasts as long as the window: Electron's. */
export function connectChannel(channel: Channel, listener: ConnectionListener): Connection {
  const client = connectClient(channel)
  client.onEvent((event) => listener.onEvent(event))
  listener.onStatus({ phase: 'open' })
  return { call: (name, args) => client.call(name, args), retryNow() {} }
}

/** Close codes with which main refuses a token: policy violation, and HTTP 401 and 403 as private codes. */
const REFUSALS = [1008, 4401, 4403]
const FIRST_DELAY_MS = 500
const LONGEST_DELAY_MS = 8000

export interface SocketSource {
  token: string
  open(): WebSocket
  channel(socket: WebSocket): Channel
}

/** A connection over sockets that reopens with growing pauses. Calls under way when it breaks are refused. */
export function connectSockets(source: SocketSource, listener: ConnectionListener): Connection {
  let client: ContractClient | null = null
  let broken: Promise<never> = Promise.reject(NOT_CONNECTED())
  broken.catch(() => {})
  let attempt = 0
  let timer: ReturnType<typeof setTimeout> | null = null

  function attemptNow(): void {
    if (timer) clearTimeout(timer)
    timer = null
    if (!source.token) {
      listener.onStatus({ phase: 'refused', why: 'no-token' })
      return
    }
    const socket = source.open()
    const channel = source.channel(socket)
    let fail: (reason: VmmError) => void = () => {}
    broken = new Promise((_, reject) => (fail = reject))
    broken.catch(() => {})

    socket.addEventListener('open', () => {
      channel.post({ token: source.token })
      const fresh = connectClient(channel)
      fresh.onEvent((event) => listener.onEvent(event))
      // the first answer proves that the token was taken; of a call that is answered at once
      fresh.call('settings.get', {}).then(
        () => {
          client = fresh
          attempt = 0
          listener.onStatus({ phase: 'open' })
        },
        () => socket.close(),
      )
    })
    socket.addEventListener('close', (event) => {
      client = null
      fail(NOT_CONNECTED())
      if (REFUSALS.includes(event.code)) {
        listener.onStatus({ phase: 'refused', why: 'wrong-token' })
        return
      }
      const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** attempt)
      attempt += 1
      timer = setTimeout(attemptNow, delay)
      listener.onStatus({ phase: 'lost', attempt, retryAt: Date.now() + delay })
    })
  }

  listener.onStatus({ phase: 'connecting' })
  attemptNow()
  return {
    call(name, args) {
      if (!client) return Promise.reject(NOT_CONNECTED())
      return Promise.race([client.call(name, args), broken])
    },
    retryNow() {
      attempt = 0
      if (timer) attemptNow()
    },
  }
}
