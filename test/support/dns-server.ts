import { createServer, type Server, type Socket } from 'node:net'
import { decode, encode, type Answer, type DecodedPacket, type Packet } from 'dns-packet'
import { lengthPrefixed, MessageReader } from '../../vmm/net/gateway-dns-framing'
import { udpServer } from './loopback'

export const NXDOMAIN = 3
export const SERVFAIL = 2
export const TRUNCATED = 0x200

/** What a server says to a query: records, a return code, flags, raw bytes; null for nothing. */
export type Reply = (Partial<Packet> & { code?: number }) | Buffer | Buffer[] | null
export type Answering = (question: { name: string; type: string }, over: 'udp' | 'tcp', query: DecodedPacket) => Reply

export interface TestDnsServer {
  /** As the gateway's settings name it. */
  name: string
  /** Queries that came, such as `udp A example.org`. */
  asked: string[]
  close(): void
}

/** A DNS server on loopback, over UDP and TCP at the same port. */
export async function dnsServer(answering: Answering): Promise<TestDnsServer> {
  const asked: string[] = []
  const answer = (message: Buffer, over: 'udp' | 'tcp'): Buffer[] => {
    const query = decode(message)
    const [question] = query.questions!
    asked.push(`${over} ${question!.type} ${question!.name}`)
    const reply = answering(question!, over, query)
    if (reply === null) return []
    return Buffer.isBuffer(reply) || Array.isArray(reply) ? [reply].flat() : [replyTo(query, reply)]
  }
  const udp = await udpServer((message) => answer(message, 'udp'))
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    const reader = new MessageReader(0xffff)
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk) => {
      for (const message of reader.read(chunk) ?? []) {
        for (const one of answer(message, 'tcp')) socket.write(lengthPrefixed(one))
      }
    })
  })
  await listening(server, udp.port)
  const close = (): void => {
    udp.close()
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  return { name: `127.0.0.1:${udp.port}`, asked, close }
}

/** The message that answers a query. */
export function replyTo(
  query: DecodedPacket,
  { code = 0, flags = 0, ...rest }: Partial<Packet> & { code?: number },
): Buffer {
  const { id, questions } = query
  return encode({ type: 'response', id, questions, flags: 0x180 | flags | code, ...rest })
}

/** A records of a name. */
export function addresses(name: string, ...data: string[]): Answer[] {
  return data.map((address) => ({ type: 'A', name, ttl: 300, data: address }))
}

function listening(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
}
