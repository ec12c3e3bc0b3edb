import { appendFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { overlap } from '../../vmm/engine/overlap'
import { QemuPort } from '../../vmm/engine/qemu-port'
import { below, bytes } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { temporaryFolder } from '../support/temporary-folder'

const MIB = 1024 * 1024

/** QEMU's end of a serial port. */
async function serialLine() {
  const folder = temporaryFolder()
  const path = join(folder, 'console.sock')
  const sockets: Socket[] = []
  let onConnect: (socket: Socket) => void = () => undefined
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    onConnect(socket)
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    path,
    log: join(folder, 'console.log'),
    sockets,
    whenDialled: (work: typeof onConnect) => (onConnect = work),
  }
}

function opened(port: QemuPort): QemuPort {
  onTestFinished(() => port.close())
  return port
}

function collect(port: QemuPort) {
  const heard: Uint8Array[] = []
  port.onData((chunk) => heard.push(chunk))
  return () => Buffer.concat(heard)
}

test('a port keeps what comes while nobody listens, up to a limit, and its newest part', async () => {
  const line = await serialLine()
  const port = opened(await QemuPort.open(line.path, null))
  await vi.waitFor(() => expect(line.sockets).toHaveLength(1))
  const sent = Buffer.alloc(3 * MIB, 'a')
  sent.write('the end', sent.length - 7)
  line.sockets[0]?.write(sent)
  line.sockets[0]?.end()
  await vi.waitFor(() => expect(line.sockets.length, 'all of it has come').toBe(2), { timeout: 5000 })
  const heard = collect(port)()
  expect(heard.length).toBeLessThanOrEqual(MIB)
  expect(heard.length).toBeGreaterThan(MIB / 2)
  expect(heard.subarray(-7).toString()).toBe('the end')
})

test('a port is dialled again when its line is cut', async () => {
  const line = await serialLine()
  const port = opened(await QemuPort.open(line.path, null))
  const heard = collect(port)
  line.whenDialled((socket) => socket.write('again'))
  await vi.waitFor(() => expect(line.sockets).toHaveLength(1))
  line.sockets[0]?.destroy()
  await vi.waitFor(() => expect(heard().toString()).toBe('again'), { timeout: 5000 })
})

test('a port that cannot be opened is not dialled for ever', async () => {
  const line = await serialLine()
  await expect(QemuPort.open(`${line.path}.other`, null)).rejects.toThrow()
  const late = createServer()
  const connected = vi.fn()
  late.on('connection', connected)
  await new Promise<void>((resolve) => late.listen(`${line.path}.other`, resolve))
  onTestFinished(() => void late.close())
  await new Promise((resolve) => setTimeout(resolve, 400))
  expect(connected).not.toHaveBeenCalled()
})

test('input that the guest does not take is bounded', async () => {
  const line = await serialLine()
  const port = opened(await QemuPort.open(line.path, null))
  await vi.waitFor(() => expect(line.sockets).toHaveLength(1))
  line.sockets[0]?.pause()
  for (let count = 0; count < 64; count += 1) port.write(Buffer.alloc(MIB / 4))
  let taken = 0
  line.sockets[0]?.on('data', (chunk) => (taken += chunk.length)).resume()
  await vi.waitFor(() => expect(taken).toBeGreaterThan(MIB / 2))
  port.close()
  await new Promise((resolve) => line.sockets[0]?.once('close', resolve))
  expect(taken).toBeLessThan(3 * MIB)
})

test('what a machine wrote before is replayed, without a gap and without anything twice', async () => {
  const { random } = seededRandom()
  for (let count = 0; count < 15; count += 1) {
    const line = await serialLine()
    const before = Buffer.concat([bytes(random, below(random, 3000)), Buffer.from('login: ')])
    const since = Buffer.concat([Buffer.from([count, 255]), bytes(random, below(random, 3000))])
    const logged = below(random, since.length + 1)
    writeFileSync(line.log, before)
    line.whenDialled((socket) => {
      // QEMU writes to the socket first, then to the log
      socket.write(since)
      appendFileSync(line.log, since.subarray(0, logged))
    })
    const heard = collect(opened(await QemuPort.openLogged(line.path, line.log)))
    await vi.waitFor(() => expect(heard().length).toBeGreaterThanOrEqual(before.length + since.length))
    expect(heard().equals(Buffer.concat([before, since]))).toBe(true)
  }
})

test('the log of a port does not grow for ever', async () => {
  const line = await serialLine()
  writeFileSync(line.log, Buffer.alloc(4 * MIB - 100, 'x'))
  const heard = collect(opened(await QemuPort.openLogged(line.path, line.log)))
  await vi.waitFor(() => expect(line.sockets).toHaveLength(1))
  expect(heard().length).toBe(MIB)
  appendFileSync(line.log, Buffer.alloc(200))
  line.sockets[0]?.write(Buffer.alloc(200))
  await vi.waitFor(() => expect(statSync(line.log).size).toBe(0))
})

test('an overlap is the longest end that is a beginning', () => {
  const { random } = seededRandom()
  for (let count = 0; count < 3000; count += 1) {
    const few = (length: number) => Buffer.from(Array.from({ length }, () => below(random, 2)))
    const [one, other] = [few(below(random, 12)), few(below(random, 12))]
    let longest = 0
    for (let length = 1; length <= Math.min(one.length, other.length); length += 1) {
      if (one.subarray(one.length - length).equals(other.subarray(0, length))) longest = length
    }
    expect(overlap(one, other), `${one.toString('hex')} ${other.toString('hex')}`).toBe(longest)
  }
})

test('an overlap is found in time that grows with the length alone', () => {
  const hostile = Buffer.alloc(MIB, 'a')
  expect(overlap(Buffer.concat([hostile, Buffer.from('b')]), hostile)).toBe(0)
  expect(overlap(hostile, hostile)).toBe(MIB)
})
