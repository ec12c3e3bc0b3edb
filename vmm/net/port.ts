import type { NetworkRule, NicLimit, SandboxPolicy } from '../model/policy'
import type { Clock } from './clock'
import type { FrameLine, OpenLine } from './frame-link'
import type { Flow } from './flow-table'
import type { GatewayClient } from './gateway-client'
import { Lane } from './lane'
import type { NoteFacts, Notes } from './notes'
import { ETHERNET_BYTES, FRAME_MOST, macBytes, u16, u32 } from './packet'
import type { PortConfig, PortCounters } from './port-config'
import { PortPolicy } from './port-policy'
import { countFrames, FrameRun, type FrameEnd } from './frame-run'
import { showTaps, type Tap } from './tap'
import type { PeerFacts, Verdict } from './policy-verdict'

/** How long a guest that takes nothing may hold others back before what is sent to it is dropped, milliseconds. */
const STUCK_AFTER_MS = 2000

/** The segment, as a port needs it. */
export interface PortSegment {
  /** '' is the network of the gateway. */
  readonly name: string
  peerAt(address: number): Omit<PeerFacts, 'names'>
  isService(protocol: number, peer: number, port: number): boolean
  isFromGateway(buffer: Buffer, at: number): boolean
  /** A frame that the card sends, with its own MAC address. */
  fromGuest(port: Port, buffer: Buffer, at: number, end: number, run: FrameRun): void
  /** Takes a frame to whom it is for, its sender's policy having let it pass. */
  forward(port: Port, buffer: Buffer, at: number, end: number, run: FrameRun | null): void
  /** A frame of the gateway for the guest. */
  fromGateway(port: Port, frame: Buffer): void
}

/** A network card's place on its segment. */
export class Port implements GatewayClient, FrameEnd {
  readonly id: string
  readonly mac: Uint8Array
  /** The MAC address in two numbers, for comparing. */
  readonly macHigh: number
  readonly macLow: number
  readonly address: number
  readonly policy: PortPolicy
  readonly counters: PortCounters = {
    upFrames: 0,
    upBytes: 0,
    downFrames: 0,
    downBytes: 0,
    dropped: 0,
    spoofed: 0,
    unsupported: 0,
  }
  /** When the guest was last told its address in this run; 0 for not yet. */
  leasedAt = 0
  plugged: boolean
  taps: readonly Tap[] = []
  /** How many mirrors lead here; such a port only listens. */
  mirrors = 0
  /** The clock, read once a chunk. */
  now: number
  readonly #clock: Clock
  readonly #link: FrameLine
  readonly #up: Lane
  readonly #down: Lane
  readonly #run = new FrameRun(this)
  readonly #roomListeners = new Set<() => void>()
  /** Ports that this one holds back. */
  readonly #waiting = new Set<FrameEnd>()
  /** How many others hold this one back. */
  #holds = 0
  #stuck = false
  #endStuckTimer: (() => void) | null = null

  constructor(
    readonly config: PortConfig,
    readonly segment: PortSegment,
    private readonly parts: { clock: Clock; notes: Notes; openLine: OpenLine },
  ) {
    const { clock } = parts
    this.#clock = clock
    this.now = clock.now()
    this.id = config.id
    this.mac = macBytes(config.mac)
    this.macHigh = u16(this.mac, 0)
    this.macLow = u32(this.mac, 2)
    this.address = config.address
    this.plugged = config.plugged
    const onRoom = (): void => this.#tellRoom()
    this.#up = new Lane({ clock, onRoom, deliver: (frame) => segment.forward(this, frame, 0, frame.length, null) })
    this.#down = new Lane({ clock, onRoom, deliver: (frame) => this.#out(frame, 0, frame.length, null) })
    this.policy = new PortPolicy({
      clock,
      peerAt: (address) => segment.peerAt(address),
      isService: (protocol, peer, port) => segment.isService(protocol, peer, port),
      note: (facts) => this.note(facts),
      up: this.#up,
      down: this.#down,
    })
    this.#link = parts.openLine({
      path: config.path,
      onFrame: (buffer, at, end) => this.#fromGuest(buffer, at, end),
      onChunkEnd: () => this.#run.flush(),
      onDrain: () => this.#drained(),
    })
  }

  get linked(): boolean {
    return this.#link.linked
  }

  get dropped(): number {
    return this.counters.dropped + this.#up.dropped + this.#down.dropped
  }

  /** Puts policy and limits into force; flows that are forbidden now are returned. */
  apply(policy: SandboxPolicy, once: readonly NetworkRule[]): Flow[] {
    const limit: NicLimit | undefined = policy.limits.network.find(({ nic }) => nic === this.config.nic)
    const { upBits = 0, downBits = 0, burstBytes = 0, delayMs = 0, lossPercent = 0 } = limit ?? {}
    this.#up.set({ bits: upBits, burstBytes, delayMs, lossPercent })
    this.#down.set({ bits: downBits, burstBytes, delayMs, lossPercent })
    return this.policy.apply(policy, once)
  }

  /** Shows a frame of the guest that the policy has let pass to those who see no others. */
  passed(buffer: Buffer, at: number, end: number): void {
    if (this.taps.length > 0) showTaps(this.taps, false, 'sent', buffer, at, end)
  }

  /** Shows a frame for the guest to those who see it before its policy. */
  arrived(buffer: Buffer, at: number, end: number): void {
    if (this.taps.length > 0) showTaps(this.taps, true, 'received', buffer, at, end)
  }

  /** Takes a frame of the guest that the policy has let pass on its way: false when limits see to the rest. */
  passesAtOnce(flow: Flow | null, buffer: Buffer, at: number, end: number): boolean {
    this.passed(buffer, at, end)
    const rule = flow?.upShaper ?? null
    if (rule === null && this.#up.isPlain) return true
    this.#up.push(Buffer.from(buffer.subarray(at, end)), rule)
    return false
  }

  /** Takes a frame for the guest that the policy has let pass. With a `run`, frames may be written together. */
  deliver(flow: Flow | null, buffer: Buffer, at: number, end: number, run: FrameRun | null): void {
    const rule = flow?.downShaper ?? null
    if (rule !== null || !this.#down.isPlain) {
      this.#down.push(Buffer.from(buffer.subarray(at, end)), rule)
      return
    }
    this.#out(buffer, at, end, run)
  }

  write(frames: Buffer, sender: FrameEnd | null): void {
    if (this.#link.isFull) {
      if (this.#stuck || sender === null) {
        this.counters.dropped += countFrames(frames)
        return
      }
      this.#holdBack(sender)
    }
    this.#link.write(frames)
  }

  hold(): void {
    if (this.#holds++ === 0) this.#link.pause()
  }

  release(): void {
    if (--this.#holds === 0) this.#link.resume()
  }

  /** For the gateway. */
  send(frame: Buffer): boolean {
    this.segment.fromGateway(this, frame)
    return this.hasRoom()
  }

  /** Sends a copy of somebody else's frame; false when it was dropped. */
  sendMirrored(buffer: Buffer, at: number, end: number): boolean {
    if (!this.plugged || !this.#link.linked || !this.#link.hasRoom) return false
    this.#countDown(end - at)
    this.#link.send(buffer, at, end)
    return true
  }

  hasRoom(): boolean {
    return this.#link.hasRoom && this.#down.hasRoom()
  }

  onRoom(listener: () => void): () => void {
    this.#roomListeners.add(listener)
    return () => this.#roomListeners.delete(listener)
  }

  mayResolve(name: string): Verdict {
    return this.policy.mayResolve(name)
  }

  mayLeadTo(name: string, address: number): boolean {
    return this.policy.mayLeadTo(name, address)
  }

  pin(name: string, address: number, ttlSeconds: number): void {
    this.policy.pins.add(name, address, ttlSeconds)
  }

  denied(what: { protocol: number; peer: number; port: number; name: string; rule: string; reason: string }): void {
    const { protocol, peer, port, name, rule, reason } = what
    this.note({ action: 'deny', direction: 'out', protocol, peer, peerName: name, port, rule, index: -1, reason })
  }

  note(facts: Omit<NoteFacts, 'domainId' | 'nic'>): void {
    const { domainId, nic } = this.config
    this.parts.notes.add({ ...facts, domainId, nic })
  }

  /** To be called a few times a second. */
  tick(): void {
    this.now = this.#clock.now()
    this.policy.sweep()
  }

  close(): void {
    this.#link.close()
    this.#up.close()
    this.#down.close()
    this.policy.close()
    this.#endStuckTimer?.()
    this.#releaseAll()
    this.#roomListeners.clear()
  }

  #fromGuest(buffer: Buffer, at: number, end: number): void {
    const { counters, taps } = this
    counters.upFrames++
    counters.upBytes += end - at
    if (end - at < ETHERNET_BYTES || end - at > FRAME_MOST) {
      counters.unsupported++
      return
    }
    if (!this.plugged) return
    if (taps.length > 0) showTaps(taps, true, 'sent', buffer, at, end)
    if (this.mirrors > 0) {
      counters.dropped++
      return
    }
    if (u16(buffer, at + 6) !== this.macHigh || u32(buffer, at + 8) !== this.macLow) {
      counters.spoofed++
      return
    }
    this.segment.fromGuest(this, buffer, at, end, this.#run)
  }

  #out(buffer: Buffer, at: number, end: number, run: FrameRun | null): void {
    if (this.taps.length > 0) showTaps(this.taps, false, 'received', buffer, at, end)
    if (!this.plugged || (run === null && this.#link.isFull)) {
      this.counters.dropped++
      return
    }
    this.#countDown(end - at)
    if (run === null) this.#link.send(buffer, at, end)
    else run.add(this, buffer, at, end)
  }

  #countDown(bytes: number): void {
    this.counters.downFrames++
    this.counters.downBytes += bytes
  }

  #holdBack(sender: FrameEnd): void {
    if (this.#waiting.has(sender)) return
    this.#waiting.add(sender)
    sender.hold()
    this.#endStuckTimer ??= this.#clock.later(STUCK_AFTER_MS, () => {
      this.#endStuckTimer = null
      this.#stuck = true
      this.#releaseAll()
    })
  }

  #drained(): void {
    this.#stuck = false
    this.#endStuckTimer?.()
    this.#endStuckTimer = null
    this.#releaseAll()
    this.#tellRoom()
  }

  #releaseAll(): void {
    for (const sender of this.#waiting) sender.release()
    this.#waiting.clear()
  }

  #tellRoom(): void {
    if (this.hasRoom()) for (const listener of [...this.#roomListeners]) listener()
  }
}
