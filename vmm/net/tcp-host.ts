import type { Keeping, ReceiverSink } from './tcp-receiver'

export type CloseReason = 'done' | 'reset' | 'refused' | 'timed out' | 'aborted'

/** What a connection joins the guest to. */
export interface TcpHost extends ReceiverSink {
  /** What may be kept of what comes, and the largest window to announce, bytes. */
  readonly keeping: Keeping
  readonly windowMost: number
  /** Both sides may send from now on. */
  established(): void
  /** A burst is over: what was pushed may be handed on, and the guest may have acknowledged something. */
  settled(): void
  /** The guest will send nothing more. */
  ended(): void
  /** All is said; the connection stays only for a FIN that may come again. */
  lingers(): void
  /** The connection is over; it calls nothing after this. */
  closed(reason: CloseReason): void
}

/** The way to the guest. */
export interface TcpWay {
  send(frame: Buffer): boolean
  hasRoom(): boolean
}
