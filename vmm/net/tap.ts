import { fragmentsOf } from './gateway-frames'
import { FRAME_MOST } from './packet'

/** Sees the frames of a port go by, and copies what it wants. */
export interface Tap {
  /** Whether frames are seen before the policy has had its say, so that denied ones are seen too. */
  readonly beforePolicy: boolean
  /** A frame in [at, end) that the guest sends. */
  sent(buffer: Buffer, at: number, end: number): void
  /** A frame for the guest. */
  received(buffer: Buffer, at: number, end: number): void
}

/** Shows a frame to the taps of a stage; what was put together from fragments, as frames that fit. */
export function showTaps(
  taps: readonly Tap[],
  beforePolicy: boolean,
  way: 'sent' | 'received',
  buffer: Buffer,
  at: number,
  end: number,
): void {
  for (const tap of taps) {
    if (tap.beforePolicy !== beforePolicy) continue
    if (end - at <= FRAME_MOST) tap[way](buffer, at, end)
    else for (const frame of fragmentsOf(buffer.subarray(at, end))) tap[way](frame, 0, frame.length)
  }
}
