import { randomBytes } from 'node:crypto'
import * as v from 'valibot'
import { segmentSubnet } from '../../vmm/model/network'
import { SandboxPolicySchema } from '../../vmm/model/policy'
import type { Clock } from '../../vmm/net/clock'
import type { FrameLine, FrameLinkOptions } from '../../vmm/net/frame-link'
import { framed, FrameSplitter } from '../../vmm/net/frame-splitter'
import { Gateway } from '../../vmm/net/gateway'
import { Mirror } from '../../vmm/net/mirror'
import { Notes } from '../../vmm/net/notes'
import { macBytes, PAYLOAD_AT, PROTOCOL, writeHeaders } from '../../vmm/net/packet'
import { Port } from '../../vmm/net/port'
import { Segment } from '../../vmm/net/segment'

/**
 * A process that sends frames from one port of a segment to another for a while, and prints what that took as JSON. The
 * lines to the guests are in memory, so that the switch alone is measured: no socket, no guest. Arguments: bytes of a
 * frame, number of flows, ports that mirror (0 or 1), milliseconds.
 */
const [bytes, flows, mirrors, ms] = process.argv.slice(2).map(Number) as [number, number, number, number]
/** As much as a read of a socket brings. */
const CHUNK_BYTES = 64 * 1024

const clock: Clock = {
  now: () => performance.now(),
  later: (delay, work) => {
    const timer = setTimeout(work, delay)
    return () => clearTimeout(timer)
  },
  random32: () => randomBytes(4).readUInt32LE(0),
}

/** The far end of a line: takes everything, counts it, and gives what it is told to. */
class Guest implements FrameLine {
  readonly linked = true
  readonly isFull = false
  readonly hasRoom = true
  taken = 0
  readonly #batch = Buffer.alloc(2048)
  readonly #splitter = new FrameSplitter()

  constructor(private readonly options: FrameLinkOptions) {}

  give(chunk: Buffer): void {
    this.#splitter.push(chunk, this.options.onFrame)
    this.options.onChunkEnd()
  }

  write(frames: Buffer): void {
    this.taken += frames.length
  }

  /** Copies, as a real line does. */
  send(buffer: Buffer, at: number, end: number): void {
    buffer.copy(this.#batch, 0, at, end)
    this.taken += 4 + end - at
  }

  pause(): void {}
  resume(): void {}
  close(): void {}
}

const subnet = segmentSubnet(0)
const gatewayMac = macBytes('52:54:00:56:49:01')
const gateway = new Gateway({ clock, subnet, mac: gatewayMac, uplink: false, dnsServers: () => [] })
const segment = new Segment({ clock, name: 'lab', subnet, gatewayMac, uplink: false, gateway, isHost: () => false })
const policy = v.parse(SandboxPolicySchema, {
  network: {
    rules: [
      { name: 'web', action: 'allow', peers: ['93.184.216.0/24'], protocol: 'tcp', ports: ['443'] },
      { name: 'neighbours', action: 'allow', direction: 'both', peers: ['any'] },
    ],
  },
})
const notes = new Notes(clock, () => Date.now())

function plugIn(number: number): { port: Port; guest: Guest } {
  const made: Guest[] = []
  const mac = `52:54:00:00:00:0${number}`
  const config = { id: `d${number}/0`, domainId: `d${number}`, nic: 0, mac, path: '', plugged: true }
  const openLine = (options: FrameLinkOptions): Guest => {
    made.push(new Guest(options))
    return made[0]!
  }
  const port = new Port({ ...config, address: subnet.address + 1 + number }, segment, { clock, notes, openLine })
  port.apply(policy, [])
  segment.add(port, { name: `d${number}`, group: '' })
  return { port, guest: made[0]! }
}

const source = plugIn(1)
const sink = plugIn(2)
const watcher = plugIn(3)
if (mirrors > 0) {
  const deliver = (...frame: [Buffer, number, number]): boolean => watcher.port.sendMirrored(...frame)
  sink.port.taps = [new Mirror({ sent: true, received: true, beforePolicy: false, deliver })]
}

function frameOf(flow: number): Buffer {
  const frame = Buffer.alloc(bytes)
  const header = {
    to: sink.port.mac,
    from: source.port.mac,
    source: source.port.address,
    destination: sink.port.address,
  }
  writeHeaders(frame, { ...header, protocol: PROTOCOL.udp }, bytes - PAYLOAD_AT)
  frame.writeUInt16BE(40_000 + flow, PAYLOAD_AT)
  frame.writeUInt16BE(9, PAYLOAD_AT + 2)
  frame.writeUInt16BE(bytes - PAYLOAD_AT, PAYLOAD_AT + 4)
  return framed(frame)
}

const perChunk = Math.floor(CHUNK_BYTES / (bytes + 4))
const chunk = Buffer.concat(Array.from({ length: perChunk }, (_, index) => frameOf(index % flows)))

/** Sends for as long, and tells how many frames came out at the other end. */
function send(forMs: number): { frames: number; ms: number; cpuMs: number } {
  const before = sink.guest.taken
  const cpu = process.cpuUsage()
  const begun = performance.now()
  while (performance.now() - begun < forMs) for (let count = 0; count < 50; count++) source.guest.give(chunk)
  const took = performance.now() - begun
  const { user, system } = process.cpuUsage(cpu)
  return { frames: (sink.guest.taken - before) / (bytes + 4), ms: took, cpuMs: (user + system) / 1000 }
}

send(ms / 4) // what is compiled first is not what is measured
console.log(JSON.stringify(send(ms)))
process.exit()
