import * as v from 'valibot'
import { FAILURE_KINDS } from '../model/errors'
import { safeText } from '../model/safe-text'

/**
 * What main takes from a guest process, checked: should a guest ever break out of its WebAssembly, it has won a process
 * that can do nothing, and main must not believe a word of it.
 */
const count = v.pipe(v.number(), v.finite())
const words = (limit: number) =>
  v.pipe(
    v.string(),
    v.transform((text) => safeText(text, limit)),
  )

export const CountersMessage = v.object({
  at: count,
  ranMs: count,
  haltedMs: count,
  instructions: count,
  framesIn: count,
  framesOut: count,
  diskReadBytes: count,
  diskWriteBytes: count,
  diskReadOps: count,
  diskWriteOps: count,
  ninepBytes: count,
  hostBytes: count,
  guestUsedBytes: v.nullable(count),
})

/** Far above any picture of the largest screen. */
const PNG_BYTES = 32 * 1024 * 1024
export const PngMessage = v.pipe(
  v.instance(Uint8Array),
  v.check((bytes) => bytes.byteLength <= PNG_BYTES),
)

const FailureMessage = v.object({
  kind: v.fallback(v.picklist(FAILURE_KINDS), 'engine'),
  message: words(1000),
  hint: words(1000),
  detail: v.pipe(v.string(), v.maxLength(10_000)),
})

const GuestMessage = v.variant('type', [
  v.variant('ok', [
    v.object({ type: v.literal('reply'), seq: v.number(), ok: v.literal(true), value: v.unknown() }),
    v.object({ type: v.literal('reply'), seq: v.number(), ok: v.literal(false), failure: FailureMessage }),
  ]),
  v.object({ type: v.literal('moment'), seq: v.number() }),
  v.object({ type: v.literal('serial'), port: v.number(), bytes: v.instance(Uint8Array) }),
  v.object({ type: v.literal('counters'), counters: CountersMessage }),
  v.object({ type: v.literal('halted') }),
  v.object({ type: v.literal('reset') }),
  v.object({ type: v.literal('stalled'), reason: words(200) }),
  v.object({ type: v.literal('viewer'), viewer: v.number(), bytes: v.instance(Uint8Array) }),
  v.object({ type: v.literal('viewer-took'), viewer: v.number(), bytes: count }),
  v.object({ type: v.literal('viewer-closed'), viewer: v.number(), reason: words(200) }),
])
export type GuestMessage = v.InferOutput<typeof GuestMessage>

/** The message, or null for anything that is none. */
export function readGuestMessage(message: unknown): GuestMessage | null {
  const read = v.safeParse(GuestMessage, message)
  return read.success ? read.output : null
}
