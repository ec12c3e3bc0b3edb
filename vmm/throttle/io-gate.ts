import type { IoRates } from '../model/policy-io'
import type { Clock } from '../net/clock'
import type { Gate, GateKind } from './gate'
import { TokenBucket } from './token-bucket'

/** What has passed, and how long it was made to wait. */
export interface IoCounters {
  bytes: number
  operations: number
  /** Of all requests together, each counted by the gate that held it up last. */
  waitedMs: number
}

interface Request {
  readonly lanes: readonly Lane[]
  readonly bytes: number
  readonly since: number
  readonly pass: () => void
}

/** Bits a byte, as buckets count bits a second. */
const BITS = 8

/** One direction of a gate. */
class Lane {
  readonly counters: IoCounters = { bytes: 0, operations: 0, waitedMs: 0 }
  /** In the order of their arrival. */
  readonly waiting = new Set<Request>()
  readonly #bytes: TokenBucket
  readonly #operations: TokenBucket
  #takeBack: (() => void) | null = null

  constructor(readonly clock: Clock) {
    this.#bytes = new TokenBucket(clock, 0, 0)
    this.#operations = new TokenBucket(clock, 0, 0)
  }

  /** Bytes and operations a second. */
  set(bytes: number, operations: number, burstMs: number): void {
    setRate(this.#bytes, bytes, burstMs)
    setRate(this.#operations, operations, burstMs)
    this.#takeBack?.()
    this.#takeBack = null
    this.serve()
  }

  /** How long until the next may pass, milliseconds. */
  get debtMs(): number {
    return Math.max(this.#bytes.debtMs, this.#operations.debtMs)
  }

  spend(bytes: number): void {
    this.#bytes.spend(bytes)
    this.#operations.spend(1)
    this.counters.bytes += bytes
    this.counters.operations++
  }

  /** Lets pass who may, those first who came first; one that another gate holds up holds up nobody here. */
  serve(): void {
    for (const request of this.waiting) {
      if (!wakeWhenOpen(request)) {
        if (this.#takeBack) break
        continue
      }
      this.counters.waitedMs += this.clock.now() - request.since
      leave(request)
      spend(request)
      request.pass()
    }
  }

  /** Serves again when what is owed now is paid; by the very amount that was seen, as time goes on meanwhile. */
  wakeIn(debtMs: number): void {
    this.#takeBack ??= this.clock.later(debtMs, () => {
      this.#takeBack = null
      this.serve()
    })
  }
}

/** Whether nothing is owed; if not, the lanes that owe something serve again later, so that nobody waits for ever. */
function wakeWhenOpen({ lanes }: Pick<Request, 'lanes'>): boolean {
  let isOpen = true
  for (const lane of lanes) {
    const { debtMs } = lane
    if (debtMs === 0) continue
    lane.wakeIn(debtMs)
    isOpen = false
  }
  return isOpen
}

/** What was saved at the old rate stays; without one nothing was. */
function setRate(bucket: TokenBucket, perSecond: number, burstMs: number): void {
  const { unlimited } = bucket
  bucket.set(perSecond * BITS, (perSecond * burstMs) / 1000)
  if (unlimited) bucket.empty()
}

function isOpen(lanes: readonly Lane[]): boolean {
  return lanes.every(({ debtMs }) => debtMs === 0)
}

function leave(request: Request): void {
  for (const lane of request.lanes) lane.waiting.delete(request)
}

function spend({ lanes, bytes }: Pick<Request, 'lanes' | 'bytes'>): void {
  for (const lane of lanes) lane.spend(bytes)
}

/** All lanes are spent together, when none of them owes anything. */
function pass(lanes: readonly Lane[], bytes: number, signal?: AbortSignal): Promise<void> | null {
  // a late timer leaves some waiting who came before
  for (const lane of lanes) lane.serve()
  const [first] = lanes
  if (!first || isOpen(lanes)) {
    spend({ lanes, bytes })
    return null
  }
  return new Promise((resolve, reject) => {
    const cancel = (): void => {
      leave(request)
      reject(signal?.reason instanceof Error ? signal.reason : new Error('cancelled', { cause: signal?.reason }))
    }
    const granted = (): void => {
      signal?.removeEventListener('abort', cancel)
      resolve()
    }
    const request: Request = { lanes, bytes, since: first.clock.now(), pass: granted }
    if (signal?.aborted) return cancel()
    signal?.addEventListener('abort', cancel, { once: true })
    for (const lane of lanes) lane.waiting.add(request)
    for (const lane of lanes) lane.serve()
  })
}

/**
 * Holds traffic to rates of bytes and operations. First come, first served. A request passes as soon as nothing is owed,
 * however large it is, and is owed then; what was not used is saved up to the burst, which also makes up for late timers.
 * Several may share one.
 */
export class IoGate implements Gate {
  readonly #lanes: Record<GateKind, Lane>

  constructor(clock: Clock, rates: IoRates) {
    this.#lanes = { read: new Lane(clock), write: new Lane(clock) }
    this.set(rates)
  }

  /** From now on, also for those who wait. */
  set({ readBytes, writeBytes, readOps, writeOps, burstMs }: IoRates): void {
    this.#lanes.read.set(readBytes, readOps, burstMs)
    this.#lanes.write.set(writeBytes, writeOps, burstMs)
  }

  pass(kind: GateKind, bytes: number, signal?: AbortSignal): Promise<void> | null {
    return pass([this.#lanes[kind]], bytes, signal)
  }

  counters(kind: GateKind): Readonly<IoCounters> {
    return this.#lanes[kind].counters
  }

  /** How many wait. */
  get waiting(): number {
    return this.#lanes.read.waiting.size + this.#lanes.write.waiting.size
  }

  /** The lanes of several gates, for a chain of them. */
  static lanes(gates: readonly IoGate[], kind: GateKind): readonly Lane[] {
    return gates.map((gate) => gate.#lanes[kind])
  }
}

/**
 * Several gates that all have to be open: those of a device, its domain and a group of domains, each within the next.
 * What waits for its own device keeps nobody from the budget it shares.
 */
export class GateChain implements Gate {
  readonly #lanes: Record<GateKind, readonly Lane[]>

  constructor(gates: readonly IoGate[]) {
    this.#lanes = { read: IoGate.lanes(gates, 'read'), write: IoGate.lanes(gates, 'write') }
  }

  pass(kind: GateKind, bytes: number, signal?: AbortSignal): Promise<void> | null {
    return pass(this.#lanes[kind], bytes, signal)
  }
}
