import type { Shaper } from './shaper'

/** One conversation of a guest's network card, and what the policy said about it. */
export interface Flow {
  /** Who began it: `out` is the guest. */
  readonly direction: 'out' | 'in'
  readonly protocol: number
  readonly peer: number
  /** Ports; for echo requests `guestPort` is their identifier. */
  readonly guestPort: number
  readonly peerPort: number
  /** DNS names that led to the peer when the flow began. */
  readonly names: readonly string[]
  allowed: boolean
  rule: string
  /** Place of the rule in the policy; -1 for one of Vivarium's own. */
  index: number
  upShaper: Shaper | null
  downShaper: Shaper | null
  upBytes: number
  downBytes: number
  readonly startedAt: number
  lastAt: number
  /** Whether both sides have spoken. */
  answered: boolean
  /** Whether either side has said that it ends. */
  closing: boolean
}

const FIRST_SLOTS = 64
/** A slot's flow: none so far, or none any more. */
const EMPTY = -1
const REMOVED = -2

/**
 * Flows by peer, ports and protocol, in open addressing over numbers: a lookup makes no object and no text, for it is
 * made for every frame.
 */
export class FlowTable {
  #slots = new Int32Array(FIRST_SLOTS).fill(EMPTY)
  /** Slots that are not empty, removed ones included. */
  #used = 0
  readonly #flows: (Flow | null)[] = []
  readonly #free: number[] = []
  #last: Flow | null = null
  #size = 0

  /** `seed` is random, so that no guest can choose flows that all fall on one slot. */
  constructor(private readonly seed: number) {}

  get size(): number {
    return this.#size
  }

  find(protocol: number, peer: number, guestPort: number, peerPort: number): Flow | null {
    const last = this.#last
    if (last !== null && isOf(last, protocol, peer, guestPort, peerPort)) return last
    const mask = this.#slots.length - 1
    for (let slot = this.#hash(protocol, peer, guestPort, peerPort) & mask; ; slot = (slot + 1) & mask) {
      const index = this.#slots[slot] as number
      if (index === EMPTY) return null
      if (index === REMOVED) continue
      const flow = this.#flows[index] as Flow
      if (!isOf(flow, protocol, peer, guestPort, peerPort)) continue
      this.#last = flow
      return flow
    }
  }

  /** Adds a flow that is not in the table. */
  add(flow: Flow): void {
    if ((this.#used + 1) * 2 > this.#slots.length) this.#resize()
    const index = this.#free.pop() ?? this.#flows.length
    this.#flows[index] = flow
    this.#size++
    this.#place(flow, index)
  }

  remove(flow: Flow): void {
    const mask = this.#slots.length - 1
    const { protocol, peer, guestPort, peerPort } = flow
    for (let slot = this.#hash(protocol, peer, guestPort, peerPort) & mask; ; slot = (slot + 1) & mask) {
      const index = this.#slots[slot] as number
      if (index === EMPTY) return
      if (index === REMOVED || this.#flows[index] !== flow) continue
      this.#slots[slot] = REMOVED
      this.#flows[index] = null
      this.#free.push(index)
      this.#size--
      if (this.#last === flow) this.#last = null
      return
    }
  }

  *[Symbol.iterator](): Generator<Flow> {
    for (const flow of this.#flows) if (flow !== null) yield flow
  }

  #place(flow: Flow, index: number): void {
    const mask = this.#slots.length - 1
    let slot = this.#hash(flow.protocol, flow.peer, flow.guestPort, flow.peerPort) & mask
    while ((this.#slots[slot] as number) >= 0) slot = (slot + 1) & mask
    if (this.#slots[slot] === EMPTY) this.#used++
    this.#slots[slot] = index
  }

  #hash(protocol: number, peer: number, guestPort: number, peerPort: number): number {
    let mixed = Math.imul(peer ^ this.seed ^ Math.imul(protocol, 0x9e37_79b1), 0x85eb_ca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 15) ^ ((guestPort << 16) | peerPort), 0xc2b2_ae35)
    mixed = Math.imul(mixed ^ (mixed >>> 13) ^ this.seed, 0x27d4_eb2f)
    return mixed ^ (mixed >>> 15)
  }

  #resize(): void {
    let length = FIRST_SLOTS
    while (length < (this.#size + 1) * 4) length *= 2
    this.#slots = new Int32Array(length).fill(EMPTY)
    this.#used = 0
    for (const [index, flow] of this.#flows.entries()) if (flow !== null) this.#place(flow, index)
  }
}

function isOf(flow: Flow, protocol: number, peer: number, guestPort: number, peerPort: number): boolean {
  return flow.guestPort === guestPort && flow.peerPort === peerPort && flow.peer === peer && flow.protocol === protocol
}
