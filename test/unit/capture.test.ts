import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Capture, type CaptureOptions } from '../../vmm/net/capture'
import { packetBlockBytes } from '../../vmm/net/pcapng'
import { NO_TCPDUMP, NO_TSHARK, readWithTcpdump, readWithTshark } from '../support/capture-readers'
import { dhcpFrame, tcpFrame, udpFrame } from '../support/network-frames'
import { below } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { fillDisk, NO_SMALL_DISK, smallDisk } from '../support/small-disk'
import { temporaryFolder } from '../support/temporary-folder'

const TIME_MS = 1_700_000_000_000
const MIB = 1024 * 1024
/** Length of the frames of the process that is killed. */
const WRITTEN_BYTES = 1013

afterEach(() => void vi.useRealTimers())

function options(folder: string, changes: Partial<CaptureOptions> = {}): CaptureOptions {
  const interfaces = [{ name: 'nic', description: '' }]
  return { folder, snapBytes: 0, fileBytes: 0, files: 0, totalBytes: 0, interfaces, ...changes }
}

function give(capture: Capture, frame: Buffer, count = 1): void {
  for (let index = 0; index < count; index++) capture.frame(0, frame, 0, frame.length, TIME_MS + index)
}

const namesIn = (folder: string) => readdirSync(folder).sort()
const paths = (folder: string) => namesIn(folder).map((name) => join(folder, name))

/** How many whole packets the blocks of a file are; fails when its last block is not whole. */
function packetsIn(file: string): number {
  const content = readFileSync(file)
  let packets = 0
  let at = 0
  for (let length = 0; at < content.length; at += length) {
    length = content.readUInt32LE(at + 4)
    expect(content.readUInt32LE(at + length - 4)).toBe(length)
    if (content.readUInt32LE(at) === 6) packets++
  }
  expect(at).toBe(content.length)
  return packets
}

/** Random frames, and the file that they were captured to. */
async function captured(): Promise<{ file: string; frames: Buffer[] }> {
  const { random } = seededRandom()
  const folder = temporaryFolder()
  const capture = new Capture(options(folder))
  const frames = Array.from({ length: 2000 }, () => udpFrame({ bytes: 60 + below(random, 1455) }))
  for (const [index, frame] of frames.entries()) {
    capture.frame(0, Buffer.concat([Buffer.from('x'), frame, Buffer.from('y')]), 1, 1 + frame.length, TIME_MS + index)
  }
  await capture.stop()
  const [file = ''] = paths(folder)
  expect(capture.status()).toMatchObject({ frames: frames.length, dropped: 0, ended: '', bytes: statSync(file).size })
  return { file, frames }
}

test.skipIf(NO_TSHARK)(`tshark reads a capture frame for frame, and finds none malformed ${NO_TSHARK}`, async () => {
  const { file, frames } = await captured()

  const read = readWithTshark(file)

  expect(read.map(({ bytes }) => bytes)).toEqual(frames.map(({ length }) => length))
  expect(read.filter(({ malformed }) => malformed)).toEqual([])
})

describe.skipIf(NO_TCPDUMP)(`tcpdump ${NO_TCPDUMP}`, () => {
  test('reads a capture frame for frame', async () => {
    const { file, frames } = await captured()

    const { lines, complaints } = readWithTcpdump(file)

    expect({ count: lines.length, complaints }).toEqual({ count: frames.length, complaints: '' })
  })

  test('reads that of a process that was killed up to its last whole block', async () => {
    const folder = temporaryFolder()
    const child = await startCapturing(folder)
    const file = join(folder, 'capture-00001.pcapng')
    const ended = once(child, 'exit')
    await vi.waitUntil(() => existsSync(file) && statSync(file).size > 8 * MIB, { timeout: 15_000, interval: 5 })
    child.kill('SIGKILL')
    await ended

    const whole = Math.floor((statSync(file).size - 300) / packetBlockBytes(WRITTEN_BYTES))
    expect(readWithTcpdump(file).lines.length).toBeGreaterThanOrEqual(whole)
  })
})

/** A process that captures frames of `WRITTEN_BYTES` into a folder for as long as it is left alone. */
async function startCapturing(folder: string): Promise<ChildProcess> {
  const script = join(temporaryFolder(), 'capturing.mjs')
  const vite = pathToFileURL(createRequire(import.meta.url).resolve('vite')).href
  writeFileSync(
    script,
    `import { runnerImport } from ${JSON.stringify(vite)}
     const file = ${JSON.stringify(resolve('vmm/net/capture.ts'))}
     const root = ${JSON.stringify(resolve('.'))}
     const { Capture } = (await runnerImport(file, { root, configFile: false })).module
     const capture = new Capture(${JSON.stringify(options(folder))})
     const frame = Buffer.alloc(${WRITTEN_BYTES}, 7)
     process.send('capturing')
     setInterval(() => {
       for (let count = 0; count < 500; count++) capture.frame(0, frame, 0, frame.length, Date.now())
     }, 1)`,
  )
  const child = fork(script, { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  await once(child, 'message')
  return child
}

test('of long frames the beginning is kept', async () => {
  const folder = temporaryFolder()
  const capture = new Capture(options(folder, { snapBytes: 64 }))

  give(capture, tcpFrame({ payload: Buffer.alloc(1000) }), 10)
  await capture.stop()

  expect(capture.status().bytes).toBeLessThan(10 * packetBlockBytes(64) + 300)
  expect(packetsIn(paths(folder)[0]!)).toBe(10)
})

test('a frame is in its file a quarter of a second later, and then no timer is left', async () => {
  const folder = temporaryFolder()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const capture = new Capture(options(folder))
  expect(vi.getTimerCount()).toBe(0)

  give(capture, udpFrame({ bytes: 100 }), 3)
  expect(vi.getTimerCount()).toBe(1)
  vi.advanceTimersByTime(250)
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()

  await vi.waitUntil(() => capture.status().frames === 3)
  expect(packetsIn(paths(folder)[0]!)).toBe(3)
  await capture.stop()
})

test('a capture of nothing is a file as well', async () => {
  const folder = temporaryFolder()
  const capture = new Capture(options(folder))

  await capture.stop()

  expect(packetsIn(paths(folder)[0]!)).toBe(0)
  expect(capture.status()).toMatchObject({ frames: 0, dropped: 0, ended: '', reason: '' })
})

test('files are ended at their size, and only the newest are kept', async () => {
  const folder = temporaryFolder()
  const capture = new Capture(options(folder, { fileBytes: 10_000, files: 3 }))
  give(capture, udpFrame({ bytes: 1000 }), 60)
  await capture.stop()

  const { files, frames, bytes } = capture.status()
  expect(files.map(({ name }) => name)).toEqual(namesIn(folder))
  expect(files.map((file) => file.bytes)).toEqual(paths(folder).map((path) => statSync(path).size))
  expect(files.length).toBe(3)
  expect(Math.max(...files.map((file) => file.bytes))).toBeLessThanOrEqual(10_000)
  expect(Math.min(...files.map((file) => file.bytes))).toBeGreaterThan(3000)
  expect(frames).toBe(60)
  expect(bytes).toBeGreaterThan(60_000)
  for (const path of paths(folder)) expect(packetsIn(path)).toBeGreaterThan(2)
})

test('a file holds one frame at least, however small it should be', async () => {
  const folder = temporaryFolder()
  const capture = new Capture(options(folder, { fileBytes: 1 }))

  give(capture, udpFrame({ bytes: 100 }), 3)
  await capture.stop()

  expect(paths(folder).map(packetsIn)).toEqual([1, 1, 1])
})

test('the capture ends at its size, and says so', async () => {
  const folder = temporaryFolder()
  const capture = new Capture(options(folder, { totalBytes: 20_000, fileBytes: 6000, files: 2 }))

  give(capture, udpFrame({ bytes: 1000 }), 100)
  await capture.stop()

  const { bytes, frames, ended, reason, dropped } = capture.status()
  expect({ ended, dropped }).toEqual({ ended: 'size', dropped: 0 })
  expect(reason).toMatch(/size/)
  expect(bytes).toBeLessThanOrEqual(20_000)
  expect(bytes).toBeGreaterThan(18_000)
  expect(frames).toBeGreaterThan(15)
})

test('what the disk does not take in time is dropped and counted', async () => {
  const folder = temporaryFolder()
  const capture = new Capture(options(folder))
  const frame = udpFrame({ bytes: 1514 })

  give(capture, frame, 4000) // 6 MB before the disk has its turn
  await capture.stop()

  const { frames, dropped } = capture.status()
  expect(frames + dropped).toBe(4000)
  expect(frames).toBeGreaterThan(1000)
  expect(dropped).toBeGreaterThan(1000)
  expect(packetsIn(paths(folder)[0]!)).toBe(frames)
})

test('after a moment without room it goes on, also at the beginning of a file', async () => {
  const folder = temporaryFolder()
  const capture = new Capture(options(folder, { fileBytes: 2000 }))

  give(capture, udpFrame({ bytes: 1000 }), 100)
  await vi.waitUntil(() => capture.status().frames + capture.status().dropped === 100)
  give(capture, udpFrame({ bytes: 1000 }), 3)
  await capture.stop()

  const { frames, dropped } = capture.status()
  expect(dropped).toBeGreaterThan(0)
  expect(frames).toBe(103 - dropped)
  expect(paths(folder).map(packetsIn)).toEqual(Array.from({ length: frames }, () => 1))
})

describe.skipIf(NO_SMALL_DISK !== '')(`on a full disk ${NO_SMALL_DISK}`, () => {
  test.each([100, 333])('it ends with its reason, and a whole file, with %d KiB left', async (kib) => {
    const folder = smallDisk(1024)
    fillDisk(folder, kib)
    const capture = new Capture(options(folder))
    give(capture, udpFrame({ bytes: 1001 }), 600)
    await vi.waitUntil(() => capture.status().ended !== '')
    give(capture, udpFrame({ bytes: 1001 }), 5) // too late, and not counted
    await capture.stop()

    const { ended, reason, frames, dropped } = capture.status()
    expect(ended).toBe('disk')
    expect(reason).toMatch(/disk is full.*Free some space/)
    expect(packetsIn(join(folder, 'capture-00001.pcapng'))).toBe(frames)
    expect(frames + dropped).toBe(600)
    expect(dropped).toBeGreaterThan(0)
  })
})

test('a folder that is gone ends it with its reason', async () => {
  const folder = temporaryFolder()
  rmSync(folder, { recursive: true })
  const capture = new Capture(options(folder))

  give(capture, udpFrame({ bytes: 100 }), 10)
  await capture.stop()

  expect(capture.status()).toMatchObject({ ended: 'disk', frames: 0, dropped: 10, files: [] })
  expect(capture.status().reason).toMatch(/Could not write the capture/)
})

test('after its end it takes nothing', async () => {
  const folder = temporaryFolder()
  const capture = new Capture(options(folder))
  await capture.stop()
  await capture.stop()

  give(capture, udpFrame({ bytes: 100 }))

  expect(capture.status()).toMatchObject({ frames: 0, dropped: 0 })
})

describe('the newest packets', () => {
  test('are those after a number, with what they are', async () => {
    const capture = new Capture(options(temporaryFolder()))
    capture.frame(0, dhcpFrame(1), 0, dhcpFrame(1).length, TIME_MS)
    give(capture, udpFrame({ bytes: 700 }), 3)

    expect(capture.recent(0, 500).map(({ number }) => number)).toEqual([1, 2, 3, 4])
    expect(capture.recent(2, 500).map(({ number }) => number)).toEqual([3, 4])
    expect(capture.recent(0, 1).map(({ number }) => number)).toEqual([4])
    expect(capture.recent(9, 500)).toEqual([])
    expect(capture.recent(0, 500)[0]).toMatchObject({
      timeMs: TIME_MS,
      interface: 0,
      protocol: 'DHCP',
      info: 'DHCP Discover - Transaction ID 0x3903f326',
    })
    expect(capture.recent(3, 500)).toMatchObject([{ bytes: 700, protocol: 'UDP', source: '10.86.0.2' }])
    await capture.stop()
  })

  test('are some hundreds, and no more of each than the capture keeps', async () => {
    const capture = new Capture(options(temporaryFolder(), { snapBytes: 20 }))
    give(capture, udpFrame({ bytes: 100 }), 2000)

    const recent = capture.recent(0, 10_000)

    expect(recent.length).toBe(512)
    expect(recent[0]?.number).toBe(2000 - 511)
    expect(recent[0]).toMatchObject({ bytes: 100, info: '[Packet size limited during capture]' })
    await capture.stop()
  })
})
