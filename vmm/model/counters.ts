/** What a machine has done since it started; every number only grows, until the next start. */
export interface Counters {
  /** When this was read, milliseconds since the Unix epoch. */
  at: number
  /** Time the machine has existed and not been paused, milliseconds. */
  ranMs: number
  /** Part of `ranMs` that the guest's processor was halted, milliseconds. */
  haltedMs: number
  /** Instructions retired by the guest; null where the engine cannot count them. */
  instructions: number | null
  framesIn: number
  framesOut: number
  diskReadBytes: number
  diskWriteBytes: number
  diskReadOps: number
  diskWriteOps: number
  ninepBytes: number
  /** Resident memory of the guest's host process, bytes (a level, not a count). */
  hostBytes: number
  /** Memory the guest itself has in use, bytes (a level); null when the guest does not tell. */
  guestUsedBytes: number | null
}

export const ZERO_COUNTERS: Readonly<Counters> = {
  at: 0,
  ranMs: 0,
  haltedMs: 0,
  instructions: 0,
  framesIn: 0,
  framesOut: 0,
  diskReadBytes: 0,
  diskWriteBytes: 0,
  diskReadOps: 0,
  diskWriteOps: 0,
  ninepBytes: 0,
  hostBytes: 0,
  guestUsedBytes: null,
}

/** Rates between two readings of the same machine. */
export interface LoadSample {
  /** End of the interval, milliseconds since the Unix epoch. */
  at: number
  /** Share of the interval in which the guest's processor was not halted, 0 to 1. */
  cpu: number
  /** Null where the engine cannot count them. */
  instructionsPerSecond: number | null
  hostBytes: number
  guestUsedBytes: number | null
  diskReadPerSecond: number
  diskWritePerSecond: number
  diskReadOpsPerSecond: number
  diskWriteOpsPerSecond: number
}

/** Null when `after` does not follow `before` on the same run. */
export function loadBetween(before: Counters, after: Counters): LoadSample | null {
  const ran = after.ranMs - before.ranMs
  const seconds = (after.at - before.at) / 1000
  const instructions =
    before.instructions === null || after.instructions === null ? null : after.instructions - before.instructions
  if (seconds <= 0 || ran < 0 || (instructions ?? 0) < 0) return null
  const halted = after.haltedMs - before.haltedMs
  return {
    at: after.at,
    cpu: ran === 0 ? 0 : Math.min(1, Math.max(0, 1 - halted / ran)),
    instructionsPerSecond: instructions === null ? null : instructions / seconds,
    hostBytes: after.hostBytes,
    guestUsedBytes: after.guestUsedBytes,
    diskReadPerSecond: (after.diskReadBytes - before.diskReadBytes) / seconds,
    diskWritePerSecond: (after.diskWriteBytes - before.diskWriteBytes) / seconds,
    diskReadOpsPerSecond: (after.diskReadOps - before.diskReadOps) / seconds,
    diskWriteOpsPerSecond: (after.diskWriteOps - before.diskWriteOps) / seconds,
  }
}
