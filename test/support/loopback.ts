import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'

/** A UDP socket on loopback that hands what comes to `answer`, and sends back what that returns. */
export async function udpServer(
  answer: (message: Buffer, from: RemoteInfo) => Buffer | Buffer[] | null,
): Promise<{ port: number; socket: Socket; close(): void }> {
  const socket = createSocket('udp4')
  socket.on('message', (message, from) => {
    const answers = answer(message, from)
    for (const one of answers === null ? [] : [answers].flat()) socket.send(one, from.port, from.address)
  })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  return { port: socket.address().port, socket, close: () => socket.close() }
}
