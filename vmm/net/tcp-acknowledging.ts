import type { TcpReceiver } from './tcp-receiver'
import { FLAG, type TcpSegment } from './tcp-segment'

/** Longest wait for data that an acknowledgement may ride along with, milliseconds. */
const DELAY_MS = 5
/** Between two answers to segments that nobody should send, milliseconds. (RFC 5961, 7) */
const CHALLENGE_PAUSE_MS = 100

/**
 * When acknowledgements go. One is enough for all segments of a burst, which spares the guest most of them; it is
 * put off only while data of the host side is likely to take it along.
 */
export class Acknowledging {
  /** When one that was put off goes at the latest, milliseconds of the clock. */
  dueAt = Infinity
  /** Whether the host side has lately sent something while an acknowledgement was owed. */
  #converses = false
  #challengedAt = -Infinity

  /** Data went to the guest, and an acknowledgement with it. */
  rodeAlong(owed: boolean): void {
    if (owed) this.#converses = true
    this.dueAt = Infinity
  }

  sent(): void {
    this.dueAt = Infinity
  }

  /** Whether one goes now, at the end of a burst. */
  isDue(receiver: TcpReceiver, enough: number, now: number): boolean {
    if (now >= this.dueAt) {
      // nothing came to ride along with
      this.#converses = false
      return true
    }
    if (receiver.urgent || receiver.owed >= enough) return true
    if (receiver.owed > 0 && this.#converses) this.dueAt = Math.min(this.dueAt, now + DELAY_MS)
    return receiver.owed > 0 && !this.#converses
  }

  /** Whether to answer a segment out of the window, or a SYN or RST within it, with where we are. */
  mayChallenge(segment: TcpSegment, now: number): boolean {
    const resent = segment.length > 0 && (segment.flags & FLAG.syn) === 0
    if (!resent && now - this.#challengedAt < CHALLENGE_PAUSE_MS) return false
    this.#challengedAt = now
    return true
  }
}
