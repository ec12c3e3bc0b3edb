import * as v from 'valibot'
import { segmentSubnet } from '../../vmm/model/network'
import { SandboxPolicySchema } from '../../vmm/model/policy'
import type { Clock } from '../../vmm/net/clock'
import type { FrameLine, FrameLinkOptions } from '../../vmm/net/frame-link'
import { FrameSplitter } from '../../vmm/net/frame-splitter'
import { Gateway } from '../../vmm/net/gateway'
import { Notes } from '../../vmm/net/notes'
import { macBytes } from '../../vmm/net/packet'
import { Port } from '../../vmm/net/port'
import { Segment } from '../../vmm/net/segment'

/** A line to a guest in memory: takes everything, counts it, and gives what it is told to. */
export class MemoryLine implements FrameLine {
  readonly linked = true
  readonly isFull = false
  readonly hasRoom = true
  /** Bytes taken, lengths included. */
  taken = 0
  /** Told of each frame that is taken; they are only counted otherwise. */
  onFrame: ((frame: Buffer) => void) | null = null
  readonly #batch = Buffer.alloc(2048)
  readonly #splitter = new FrameSplitter()

  constructor(private readonly options: FrameLinkOptions) {}

  /** The guest sends frames, their lengths before them. */
  give(chunk: Buffer): void {
    this.#splitter.push(chunk, this.options.onFrame)
    this.options.onChunkEnd()
  }

  write(frames: Buffer): void {
    this.taken += frames.length
    const { onFrame } = this
    if (onFrame) new FrameSplitter().push(frames, (buffer, at, end) => onFrame(buffer.subarray(at, end)))
  }

  /** Copies, as a real line does. */
  send(buffer: Buffer, at: number, end: number): void {
    buffer.copy(this.#batch, 0, at, end)
    this.taken += 4 + end - at
    this.onFrame?.(Buffer.from(this.#batch.subarray(0, end - at)))
  }

  pause(): void {}
  resume(): void {}
  close(): void {}
}

export interface MemoryGuest {
  port: Port
  line: MemoryLine
}

/** A segment; the function plugs a guest in, by its number from 1 to 9, that may talk to all neighbours. */
export function memorySegment(clock: Clock): (number: number) => MemoryGuest {
  const subnet = segmentSubnet(0)
  const gatewayMac = macBytes('52:54:00:56:49:01')
  const gateway = new Gateway({ clock, subnet, mac: gatewayMac, uplink: false, dnsServers: () => [] })
  const segment = new Segment({ clock, name: 'lab', subnet, gatewayMac, uplink: false, gateway, isHost: () => false })
  const policy = v.parse(SandboxPolicySchema, {
    network: {
      rules: [
        { name: 'web', action: 'allow', peers: ['93.184.216.0/24'], protocol: 'tcp', ports: ['443'] },
        { name: 'no chat', action: 'deny', direction: 'both', peers: ['any'], protocol: 'tcp', ports: ['6667'] },
        { name: 'neighbours', action: 'allow', direction: 'both', peers: ['any'] },
      ],
    },
  })
  const notes = new Notes(clock, () => Date.now())
  return (number) => {
    const lines: MemoryLine[] = []
    const mac = `52:54:00:00:00:0${number}`
    const config = { id: `d${number}/0`, domainId: `d${number}`, nic: 0, mac, path: '', plugged: true }
    const openLine = (options: FrameLinkOptions): MemoryLine => {
      lines.push(new MemoryLine(options))
      return lines[0]!
    }
    const port = new Port({ ...config, address: subnet.address + 1 + number }, segment, { clock, notes, openLine })
    port.apply(policy, [])
    segment.add(port, { name: `d${number}`, group: '' })
    return { port, line: lines[0]! }
  }
}
