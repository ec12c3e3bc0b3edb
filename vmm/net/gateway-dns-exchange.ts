import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import type { Clock } from './clock'
import { lengthPrefixed, MessageReader } from './gateway-dns-framing'
import type { DnsServer } from './gateway-dns-servers'

/** Messages from a server that are no answer to the question before it is given up: somebody is guessing. */
const WRONG_MOST = 8
const UDP_MS = 1500
const TCP_MS = 4000

/** One question to one server; `read` tells what in a message is the answer, null when it is none. */
export interface Exchange<Answer> {
  clock: Clock
  server: DnsServer
  question: Buffer
  read(message: Buffer): Answer | null
  /** Open exchanges, each as what ends it. */
  open: Set<() => void>
}

/** Asks over UDP, from a port of its own that the system chose at random. Null when nothing came in time. */
export function overUdp<Answer>(exchange: Exchange<Answer>): Promise<Answer | null> {
  const { server, question, read } = exchange
  return asked(exchange, UDP_MS, (settle) => {
    let wrong = 0
    const lookup = (host: string, _options: unknown, found: (error: null, address: string, family: number) => void) =>
      found(null, host, server.family)
    const socket = createSocket({ type: server.family === 4 ? 'udp4' : 'udp6', lookup })
    socket.on('error', () => settle(null))
    socket.on('message', (message) => {
      const answer = read(message)
      if (answer !== null || ++wrong >= WRONG_MOST) settle(answer)
    })
    socket.connect(server.port, server.address, (error?: Error) => {
      if (error) settle(null)
      else socket.send(question, (failure) => (failure ? settle(null) : undefined))
    })
    return () => socket.close()
  })
}

/** Asks over TCP (RFC 7766). */
export function overTcp<Answer>(exchange: Exchange<Answer>): Promise<Answer | null> {
  const { server, question, read } = exchange
  return asked(exchange, TCP_MS, (settle) => {
    const reader = new MessageReader(0xffff)
    const socket = connect({ host: server.address, port: server.port, family: server.family })
    socket.on('error', () => settle(null))
    socket.on('close', () => settle(null))
    socket.on('data', (chunk) => {
      const [message] = reader.read(chunk) ?? []
      if (message) settle(read(message))
    })
    socket.write(lengthPrefixed(question))
    return () => socket.destroy()
  })
}

/** Runs `begin` until it settles or its time is over; what it returns frees what it holds. */
function asked<Answer>(
  { clock, open }: Exchange<Answer>,
  ms: number,
  begin: (settle: (answer: Answer | null) => void) => () => void,
): Promise<Answer | null> {
  return new Promise((resolve) => {
    let over = false
    const settle = (answer: Answer | null): void => {
      if (over) return
      over = true
      open.delete(end)
      stopTimer()
      free()
      resolve(answer)
    }
    const end = (): void => settle(null)
    open.add(end)
    const stopTimer = clock.later(ms, end)
    const free = begin(settle)
  })
}
