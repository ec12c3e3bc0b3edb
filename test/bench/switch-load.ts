import { framed } from '../../vmm/net/frame-splitter'
import { Mirror } from '../../vmm/net/mirror'
import { PAYLOAD_AT, PROTOCOL, writeHeaders } from '../../vmm/net/packet'
import { memorySegment } from '../support/memory-segment'
import { realClock } from '../support/real-clock'

/**
 * A process that sends frames from one port of a segment to another for a while, and prints what that took as JSON. The
 * lines to the guests are in memory, so that the switch alone is measured: no socket, no guest. Arguments: bytes of a
 * frame, number of flows, ports that mirror (0 or 1), milliseconds.
 */
const [bytes, flows, mirrors, ms] = process.argv.slice(2).map(Number) as [number, number, number, number]
/** As much as a read of a socket brings. */
const CHUNK_BYTES = 64 * 1024

const plugIn = memorySegment(realClock)
const [source, sink, watcher] = [plugIn(1), plugIn(2), plugIn(3)]
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
  const before = sink.line.taken
  const cpu = process.cpuUsage()
  const begun = performance.now()
  while (performance.now() - begun < forMs) for (let count = 0; count < 50; count++) source.line.give(chunk)
  const took = performance.now() - begun
  const { user, system } = process.cpuUsage(cpu)
  return { frames: (sink.line.taken - before) / (bytes + 4), ms: took, cpuMs: (user + system) / 1000 }
}

send(ms / 4) // what is compiled first is not what is measured
console.log(JSON.stringify(send(ms)))
process.exit()
