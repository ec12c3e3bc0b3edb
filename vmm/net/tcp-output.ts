import { Acknowledging } from './tcp-acknowledging'
import { TcpFrames, type TcpPath } from './tcp-frames'
import type { TcpHost, TcpWay } from './tcp-host'
import type { TcpReceiver } from './tcp-receiver'
import { FLAG, sackOption } from './tcp-segment'
import type { SendQueue } from './tcp-send-queue'
import type { SenderWay } from './tcp-sender'

/** Largest window of a SYN, bytes. */
const UNSCALED_MOST = 0xffff
/** A burst of more than this is acknowledged at once, segments. */
const ENOUGH_SEGMENTS = 2
/** Duplicates that a guest without SACK needs to see a loss. */
const DUPLICATES_MOST = 3

/** Segments on their way to the guest: each tells where the receiving half stands. */
export class TcpOutput implements SenderWay {
  readonly acknowledging = new Acknowledging()
  /** Whether a frame was handed to a way that was full, and may be gone. */
  cut = false
  /** The receiving half, as soon as the guest has said where it begins. */
  receiver: TcpReceiver | null = null
  readonly #frames: TcpFrames

  constructor(
    path: TcpPath,
    private readonly way: TcpWay,
    private readonly host: TcpHost,
  ) {
    this.#frames = new TcpFrames(path)
  }

  hasRoom(): boolean {
    return this.way.hasRoom()
  }

  /** A segment without payload. */
  control(sequence: number, flags: number, options?: Uint8Array): void {
    const acknowledged = flags & FLAG.ack && this.receiver ? this.receiver.next : 0
    const window = this.#window(flags)
    this.#send(this.#frames.control({ sequence, acknowledged, flags, window, ...(options && { options }) }))
  }

  probe(sequence: number): void {
    this.control(sequence, FLAG.ack)
  }

  data(sequence: number, piece: { queue: SendQueue; offset: number; bytes: number; mss: number }, fin: boolean): void {
    const receiver = this.receiver as TcpReceiver
    // a report of holes goes on its own
    const reports = receiver.urgent && !receiver.early.empty
    this.acknowledging.rodeAlong(receiver.owed > 0)
    const last = piece.offset + piece.bytes === piece.queue.bytes ? FLAG.psh : 0
    const header = {
      sequence,
      acknowledged: receiver.next,
      flags: last | (fin ? FLAG.fin : 0),
      window: receiver.announce(this.host.windowMost),
    }
    this.#frames.data(piece, header, this.#send)
    receiver.urgent = reports
  }

  /** Acknowledges what has come, if that is due at the end of a burst. `sequence` is where the sending half stands. */
  acknowledge(sequence: number, { sackPermitted, mss }: { sackPermitted: boolean; mss: number }, now: number): void {
    const { receiver } = this
    if (!receiver || !this.acknowledging.isDue(receiver, ENOUGH_SEGMENTS * mss, now)) return
    this.acknowledging.sent()
    const copies = sackPermitted ? 1 : Math.min(Math.max(receiver.disordered, 1), DUPLICATES_MOST)
    const options = sackPermitted && !receiver.early.empty ? sackOption(receiver.early.blocks()) : undefined
    for (let copy = 0; copy < copies; copy++) this.control(sequence, FLAG.ack, options)
  }

  /** The window as the header of a segment with these flags has it; that of a SYN is not scaled. */
  #window(flags: number): number {
    if (flags & FLAG.rst) return 0
    if (!(flags & FLAG.syn)) return this.receiver?.announce(this.host.windowMost) ?? 0
    this.receiver?.announce(UNSCALED_MOST)
    return UNSCALED_MOST
  }

  readonly #send = (frame: Buffer): void => {
    if (!this.way.send(frame)) this.cut = true
  }
}
