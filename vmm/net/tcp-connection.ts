import type { Clock } from './clock'
import { Deadline } from './tcp-deadline'
import type { TcpPath } from './tcp-frames'
import { Handshake } from './tcp-handshake'
import type { CloseReason, TcpHost, TcpWay } from './tcp-host'
import { TcpOutput } from './tcp-output'
import { TcpReceiver } from './tcp-receiver'
import { FLAG, type TcpSegment } from './tcp-segment'
import { TcpSender } from './tcp-sender'
import { distance, plus } from './tcp-sequence'
import { Silence } from './tcp-silence'

/** Longest wait for the host side, and for a FIN that comes again, milliseconds. */
const OPENING_MS = 75_000
const TIME_WAIT_MS = 2000
/** Time-outs in a row without a sign of life: about a quarter of an hour. */
const UNANSWERED_MOST = 15
/**
 * `opening`: the guest has called and the host side is being reached; `open` is everything from the handshake to the
 * second FIN.
 */
export type TcpState = 'opening' | 'syn-sent' | 'syn-received' | 'open' | 'time-wait' | 'closed'

/** A TCP endpoint that faces a guest: takes segments, emits frames, reads the time. (RFC 9293, RFC 5961) */
export class TcpConnection {
  #state: TcpState = 'opening'
  #sender: TcpSender | null = null
  #receiver: TcpReceiver | null = null
  readonly #output: TcpOutput
  readonly #deadline: Deadline
  readonly #handshake: Handshake
  readonly #silence: Silence
  /** When the state ends, or its next step is due. */
  #stateUntil = Infinity
  #guestEndedFirst = false

  constructor(
    private readonly clock: Clock,
    readonly path: TcpPath,
    way: TcpWay,
    private readonly host: TcpHost,
  ) {
    this.#output = new TcpOutput(path, way, host)
    this.#deadline = new Deadline(clock, () => this.#timeOut())
    this.#handshake = new Handshake(clock.random32(), path.segmentBytes)
    this.#silence = new Silence(clock.now())
  }

  get state(): TcpState {
    return this.#state
  }

  /** Bytes that the guest has not acknowledged. */
  get queued(): number {
    return this.#sender?.queue.bytes ?? 0
  }

  /** Memory held for what the guest sent too early, bytes. */
  get early(): number {
    return this.#receiver?.early.held ?? 0
  }

  /** The guest has called by `syn`; nothing is answered before the host side stands. */
  answer(syn: TcpSegment): void {
    this.#learn(syn)
    this.#stay(OPENING_MS)
  }

  /** Whether `segment` begins another connection in place of this one, which the guest has forgotten. */
  isReplacedBy(segment: TcpSegment): boolean {
    if ((segment.flags & (FLAG.syn | FLAG.ack | FLAG.rst)) !== FLAG.syn) return false
    if (this.#state === 'opening') return !this.#handshake.isRepeatedBy(segment)
    return this.#state === 'time-wait' && distance(this.#receiver?.next ?? 0, segment.sequence) > 0
  }

  /** The host side stands: the handshake with the guest that called goes on. */
  open(): void {
    if (this.#state !== 'opening') return
    this.#state = 'syn-received'
    this.#shake()
  }

  /** Calls the guest. */
  call(): void {
    this.#state = 'syn-sent'
    this.#shake()
  }

  /** Takes a segment of the guest. What follows from it is sent by `settle`, once for all segments of a burst. */
  receive(segment: TcpSegment): void {
    this.#silence.heard(this.clock.now())
    if (this.#state === 'syn-sent') this.#receiveAnswer(segment)
    else if (this.#state === 'opening') {
      if (this.#handshake.isRevokedBy(segment)) this.#close('reset')
    } else if (this.#state !== 'closed') this.#receiveSynchronized(segment)
  }

  /** A burst is over: sends what has become possible and what is due. */
  settle(): void {
    if (this.#state === 'open' || this.#state === 'time-wait') {
      this.host.settled()
      this.#sender?.pump(this.clock.now())
    }
    // the host side may have ended it
    if (this.#hasEnded) return
    if (this.#sender) this.#output.acknowledge(this.#sender.nxt, this.#handshake, this.clock.now())
    this.#arm()
  }

  /** Queues what the host side sends; `settle` sends it. */
  write(data: Buffer): void {
    this.#sender?.queue.push(data)
  }

  /** The host side sends nothing more; `settle` sends the FIN. */
  end(): void {
    this.#sender?.finish()
  }

  /** The host side has got rid of something that the guest sent. */
  drained(): void {
    if (this.#receiver?.hasOpened(this.host.windowMost)) this.#receiver.urgent = true
    this.settle()
  }

  roomAgain(): void {
    // what was handed over last may be gone, an acknowledgement among it
    if (this.#output.cut && this.#receiver) this.#receiver.urgent = true
    this.#output.cut = false
    this.settle()
  }

  /** Ends the connection at once with an RST. */
  abort(reason: CloseReason = 'aborted'): void {
    if (this.#hasEnded) return
    if (this.#state === 'opening') this.#output.control(0, FLAG.rst | FLAG.ack)
    else if (this.#receiver) this.#output.control(this.#sender?.nxt ?? this.#handshake.next, FLAG.rst | FLAG.ack)
    this.#close(reason)
  }

  /** Ends the connection without a word to the guest. */
  drop(): void {
    if (!this.#hasEnded) this.#close('aborted')
  }

  get #hasEnded(): boolean {
    return this.#state === 'closed'
  }

  #learn(syn: TcpSegment): void {
    this.#handshake.learn(syn)
    const { guestNext, ourScale, mss } = this.#handshake
    this.#output.receiver = this.#receiver = new TcpReceiver(guestNext, ourScale, mss, this.host)
  }

  /** Sends our SYN, for the first time or again; gives up after enough of them. */
  #shake(): void {
    const patience = this.#handshake.try()
    if (patience === 0) return this.abort('timed out')
    const calls = this.#state === 'syn-sent'
    this.#output.control(this.#handshake.first, calls ? FLAG.syn : FLAG.syn | FLAG.ack, this.#handshake.options(calls))
    this.#stay(patience)
  }

  #receiveAnswer(segment: TcpSegment): void {
    const { flags, acknowledged } = segment
    const answers = (flags & FLAG.ack) !== 0
    if (answers && acknowledged !== this.#handshake.next) {
      if (!(flags & FLAG.rst)) this.#output.control(acknowledged, FLAG.rst)
    } else if (flags & FLAG.rst) {
      if (answers) this.#close('refused')
    } else if (flags & FLAG.syn) {
      this.#learn(segment)
      if (answers) {
        this.#establish(segment.window)
        if (this.#receiver) this.#receiver.urgent = true
      } else {
        // both have called at once
        this.#state = 'syn-received'
        this.#shake()
      }
    }
  }

  #receiveSynchronized(segment: TcpSegment): void {
    const receiver = this.#receiver as TcpReceiver
    const { flags } = segment
    if (this.#state === 'syn-received' && this.#handshake.isRepeatedBy(segment)) return this.#receiveRepeated(segment)
    if (!receiver.isAcceptable(segment)) {
      if (!(flags & FLAG.rst)) this.#challenge(segment, receiver)
    } else if (flags & FLAG.rst && segment.sequence === receiver.next) this.#close('reset')
    else if (flags & (FLAG.rst | FLAG.syn)) this.#challenge(segment, receiver)
    else if (flags & FLAG.ack) this.#receiveAcceptable(segment, receiver)
  }

  /** The guest's SYN once more: our answer was lost, or both have called at once and this is its answer. */
  #receiveRepeated(segment: TcpSegment): void {
    if (!(segment.flags & FLAG.ack) || segment.acknowledged !== this.#handshake.next) return
    this.#establish(segment.window)
    if (this.#receiver) this.#receiver.urgent = true
  }

  #receiveAcceptable(segment: TcpSegment, receiver: TcpReceiver): void {
    if (this.#state === 'syn-received') {
      if (segment.acknowledged !== this.#handshake.next) return this.#output.control(segment.acknowledged, FLAG.rst)
      this.#establish(segment.window << this.#handshake.guestScale)
    }
    const sender = this.#sender as TcpSender
    if (distance(sender.nxt, segment.acknowledged) > 0 || sender.isAncient(segment.acknowledged))
      return this.#challenge(segment, receiver)
    sender.acknowledged(segment, this.clock.now())
    if (segment.length > 0 && !receiver.finished && receiver.accept(segment, this.host.keeping)) {
      this.#guestEndedFirst = !sender.finSent
      this.host.ended()
    }
    if (this.#state !== 'open' || !receiver.finished || !sender.finAcknowledged) return
    if (this.#guestEndedFirst) return this.#close('done')
    this.#state = 'time-wait'
    this.#stay(TIME_WAIT_MS)
    this.host.lingers()
  }

  /** `window` is the guest's first, in bytes. */
  #establish(window: number): void {
    this.#state = 'open'
    this.#stateUntil = Infinity
    this.#sender = new TcpSender(this.#handshake.senderOptions(window), this.#output)
    this.host.established()
  }

  #challenge(segment: TcpSegment, receiver: TcpReceiver): void {
    if (this.#output.acknowledging.mayChallenge(segment, this.clock.now())) receiver.urgent = true
  }

  #timeOut(): void {
    const now = this.clock.now()
    if (now >= this.#stateUntil) return this.#endState()
    const sender = this.#sender
    if (sender) {
      sender.timeOut(now)
      const asks = now >= this.#silence.askAt
      if (asks) this.#output.probe(plus(sender.una, -1))
      if (sender.unanswered > UNANSWERED_MOST || (asks && !this.#silence.ask())) return this.abort('timed out')
    }
    this.settle()
  }

  #endState(): void {
    if (this.#state === 'opening') this.#close('timed out')
    else if (this.#state === 'time-wait') this.#close('done')
    else this.#shake()
  }

  #stay(ms: number): void {
    this.#stateUntil = this.clock.now() + ms
    this.#arm()
  }

  #arm(): void {
    const sending =
      this.#state === 'open' ? Math.min(this.#sender?.deadline() ?? Infinity, this.#silence.askAt) : Infinity
    this.#deadline.set(Math.min(this.#stateUntil, sending, this.#output.acknowledging.dueAt))
  }

  #close(reason: CloseReason): void {
    this.#state = 'closed'
    this.#deadline.stop()
    this.#sender?.queue.clear()
    this.#receiver?.early.clear()
    this.host.closed(reason)
  }
}
