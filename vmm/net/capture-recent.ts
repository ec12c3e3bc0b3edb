import { summarize, type FrameSummary } from './packet-summary'

/** How many packets are remembered. */
const KEPT = 512
/** How much of each, bytes: DHCP's options and a DNS name lie within. */
const BYTES = 384

/** A packet of a capture, as the live list shows it. */
export interface PacketSummary extends FrameSummary {
  /** Counted from 1. */
  number: number
  /** Since 1970, milliseconds. */
  timeMs: number
  /** Length on its way, which may be more than was kept. */
  bytes: number
  /** Place of its interface in the options of the capture. */
  interface: number
}

/** The newest packets of a capture. They are read only when somebody looks. */
export class CaptureRecent {
  /** How many were ever added. */
  #count = 0
  readonly #kept: number
  readonly #data: Buffer
  readonly #times = new Float64Array(KEPT)
  readonly #lengths = new Uint32Array(KEPT)
  readonly #interfaces = new Uint16Array(KEPT)

  /** Of each frame no more than `snapBytes` is kept, as in the capture itself. */
  constructor(snapBytes: number) {
    this.#kept = Math.min(snapBytes, BYTES)
    this.#data = Buffer.alloc(KEPT * this.#kept)
  }

  add(interfaceIndex: number, buffer: Buffer, at: number, end: number, timeMs: number): void {
    const slot = this.#count++ % KEPT
    this.#times[slot] = timeMs
    this.#lengths[slot] = end - at
    this.#interfaces[slot] = interfaceIndex
    this.#data.set(buffer.subarray(at, Math.min(end, at + this.#kept)), slot * this.#kept)
  }

  /** Those with a number above `after`, oldest first; the newest `limit` of them. */
  list(after: number, limit: number): PacketSummary[] {
    const first = Math.max(after, this.#count - KEPT, this.#count - limit, 0)
    return Array.from({ length: Math.max(0, this.#count - first) }, (_, index) => this.#packet(first + index))
  }

  #packet(index: number): PacketSummary {
    const slot = index % KEPT
    const bytes = this.#lengths[slot] ?? 0
    const at = slot * this.#kept
    return {
      number: index + 1,
      timeMs: this.#times[slot] ?? 0,
      bytes,
      interface: this.#interfaces[slot] ?? 0,
      ...summarize(this.#data, at, at + Math.min(bytes, this.#kept), bytes),
    }
  }
}
