import { FLAG, synOptions, type TcpSegment } from './tcp-segment'
import type { SenderOptions } from './tcp-sender'
import { distance, plus } from './tcp-sequence'

/** Largest segment of an MTU of 1500, that of a peer that names none, and the least that is believed, bytes. */
const OUR_MSS = 1460
const DEFAULT_MSS = 536
const LEAST_MSS = 88
/** Shift of our windows: up to 2 MiB, to 32 bytes. */
const OUR_SCALE = 5
const TIMEOUT_MS = 500
const TRIES = 6

/** What both sides have said with their SYN, and how often ours was sent. */
export class Handshake {
  /** The guest's first sequence number, and what its SYN asks for. */
  #guestFirst = 0
  mss = DEFAULT_MSS
  #guestScale = -1
  sackPermitted = true
  #tries = 0

  /** `first` is the sequence number of our SYN, `ourMss` the largest segment that the link takes. */
  constructor(
    readonly first: number,
    private readonly ourMss = OUR_MSS,
  ) {}

  /** The sequence number after our SYN, and after the guest's. */
  get next(): number {
    return plus(this.first, 1)
  }

  get guestNext(): number {
    return plus(this.#guestFirst, 1)
  }

  /** Shift of the windows that we announce, and that the guest does. */
  get ourScale(): number {
    return this.#guestScale < 0 ? 0 : OUR_SCALE
  }

  get guestScale(): number {
    return Math.max(this.#guestScale, 0)
  }

  learn(syn: TcpSegment): void {
    this.#guestFirst = syn.sequence
    this.mss = Math.min(this.ourMss, Math.max(syn.mss || DEFAULT_MSS, LEAST_MSS))
    this.#guestScale = syn.scale
    this.sackPermitted = syn.sackPermitted
  }

  /** Whether `segment` is the SYN that was learnt from, once more. */
  isRepeatedBy(segment: TcpSegment): boolean {
    return (segment.flags & FLAG.syn) !== 0 && segment.sequence === this.#guestFirst
  }

  /** Whether a RST may belong to the SYN, when nothing else has been said yet. */
  isRevokedBy({ flags, sequence }: TcpSegment): boolean {
    const place = distance(this.#guestFirst, sequence)
    return (flags & FLAG.rst) !== 0 && (place === 0 || place === 1)
  }

  /** Options of our SYN: all there are when we call, those that the guest has named when it did. */
  options(calls: boolean): Uint8Array {
    return synOptions(this.ourMss, calls || this.#guestScale >= 0 ? OUR_SCALE : -1, calls || this.sackPermitted)
  }

  /** `window` in bytes is the guest's first. */
  senderOptions(window: number): SenderOptions {
    return { first: this.next, mss: this.mss, scale: this.guestScale, sackPermitted: this.sackPermitted, window }
  }

  /** Counts a SYN of ours; returns how long to wait for its answer, milliseconds, and 0 after enough of them. */
  try(): number {
    return this.#tries < TRIES ? TIMEOUT_MS * 2 ** this.#tries++ : 0
  }
}
