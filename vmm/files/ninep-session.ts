import { ERRNO, FileError } from './file-error'
import { decode, encode, sizeOf, tagOf, typeOf, MESSAGES, type Message, type Request } from './ninep-messages'
import { Pending, RequestLanes } from './ninep-lanes'
import { fidsOf, gatePass, perform, type WorkRequest } from './ninep-requests'
import { restoreFids, saveFids, type SavedSession } from './ninep-saved'
import { MSIZE_LEAST, MSIZE_MOST, NinepState, type NinepOptions } from './ninep-state'
import { HEADER_BYTES } from './ninep-wire'

/** Requests that are not answered yet. */
export const OUTSTANDING_MOST = 256
const VERSION = '9P2000.L'

/** The peer does not speak 9P2000.L, or not by its rules: nothing can be made of what follows. */
export class NinepViolation extends Error {}

/**
 * The server's side of one connection. Each message is answered through `send`, at once where nothing has to be waited
 * for: the rate of a share, a lock, a disk. Guests are hostile: whatever they send, memory stays bounded.
 */
export class NinepSession {
  readonly #state: NinepState
  readonly #outstanding = new Map<number, Pending>()
  readonly #lanes = new RequestLanes((pending) => this.#step(pending))
  #versioned = false
  #closed = false
  #waitingLocks = 0
  #drained: (() => void)[] = []
  #room: (() => void) | null = null

  constructor(private readonly options: NinepOptions) {
    this.#state = new NinepState(options)
  }

  /** A session that goes on where another was saved. Files that are gone are ESTALE to the guest. */
  static restore(saved: SavedSession, options: NinepOptions): NinepSession {
    const session = new NinepSession(options)
    session.#versioned = saved.versioned
    session.#state.msize = saved.msize
    restoreFids(session.#state, saved)
    for (const wait of saved.waiting) session.#begin({ ...wait, message: 'Tlock' })
    return session
  }

  /** The longest message, bytes: what was agreed upon, or what a first message may have. */
  get longest(): number {
    return this.#versioned ? this.#state.msize : MSIZE_LEAST
  }

  /** Whether nothing more may be received until `onRoom` was called. */
  get full(): boolean {
    return this.#outstanding.size >= OUTSTANDING_MOST
  }

  set onRoom(call: () => void) {
    this.#room = call
  }

  /** Takes one whole message; its bytes are the session's from now on. Throws `NinepViolation`. */
  receive(bytes: Uint8Array): void {
    if (this.#closed) return
    if (bytes.length < HEADER_BYTES || sizeOf(bytes) !== bytes.length) throw new NinepViolation('a broken message')
    const type = typeOf(bytes)
    const tag = tagOf(bytes)
    if (!this.#versioned && type !== MESSAGES.Tversion[0]) throw new NinepViolation('a request before the version')
    if (bytes.length > this.longest) throw new NinepViolation('a message longer than agreed upon')
    if (type === MESSAGES.Tversion[0]) this.#reset()
    else if (this.#outstanding.has(tag)) throw new NinepViolation('a tag that is in use')
    else if (this.full) throw new NinepViolation('too many requests at once')
    let message: Message
    try {
      message = decode(bytes)
    } catch (error) {
      this.#send(this.#failure(tag, error))
      return
    }
    this.#take(message)
  }

  /** Resolves when everything is answered but what waits for a lock. */
  async drain(): Promise<void> {
    if (this.#busy) await new Promise<void>((resolve) => this.#drained.push(resolve))
  }

  /** What a guest holds, as plain JSON; to be called when it is drained. */
  save(): SavedSession {
    const waiting = [...this.#outstanding.values()].filter((pending) => pending.locking)
    return {
      versioned: this.#versioned,
      msize: this.#state.msize,
      ...saveFids(this.#state),
      waiting: waiting.map(({ request }) => {
        const { tag, fid, type, flags, start, length, processId, clientId } = request as Request<'Tlock'>
        return { tag, fid, type, flags, start, length, processId, clientId }
      }),
    }
  }

  /** The peer is gone: lets go of all it held. */
  close(): void {
    this.#closed = true
    this.#reset()
  }

  get #busy(): boolean {
    return this.#outstanding.size > this.#waitingLocks
  }

  #reset(): void {
    for (const pending of this.#outstanding.values()) {
      pending.answered = true
      pending.cancel?.()
    }
    this.#outstanding.clear()
    this.#lanes.clear()
    this.#waitingLocks = 0
    this.#state.closeAll()
    this.#versioned = false
    this.#settle()
  }

  #take(message: Message): void {
    switch (message.message) {
      case 'Tversion':
        this.#send(this.#agree(message))
        break
      case 'Tflush':
        this.#flush(message)
        break
      default:
        if (message.message.startsWith('T')) this.#begin(message as WorkRequest)
        else this.#send(this.#failure(message.tag, new FileError('EOPNOTSUPP', 'a reply')))
    }
  }

  #agree({ tag, msize, version }: Request<'Tversion'>): Buffer {
    this.#state.msize = Math.max(MSIZE_LEAST, Math.min(msize, MSIZE_MOST))
    this.#versioned = version === VERSION
    return encode('Rversion', tag, {
      msize: this.#state.msize,
      version: this.#versioned ? VERSION : 'unknown',
    })
  }

  /** The original is answered first, as its buffers are the guest's again only then. */
  #flush({ tag, oldTag }: Request<'Tflush'>): void {
    const pending = this.#outstanding.get(oldTag)
    if (pending !== undefined) this.#interrupt(pending)
    this.#send(encode('Rflush', tag, {}))
  }

  #interrupt(pending: Pending): void {
    pending.cancel?.()
    this.#answer(pending, this.#failure(pending.request.tag, new FileError('EINTR')))
  }

  #begin(request: WorkRequest): void {
    const pending = new Pending(request, fidsOf(request))
    this.#outstanding.set(request.tag, pending)
    this.#lanes.enter(pending)
    this.#step(pending)
  }

  /** Goes on with a request as far as it goes now. */
  #step(pending: Pending): void {
    if (pending.answered || pending.behind > 0) return
    const wait = this.#gate(pending.request)
    if (wait === null) {
      this.#perform(pending)
      return
    }
    pending.cancel = () => this.#lanes.leave(pending)
    const go = () => {
      if (!pending.answered) this.#perform(pending)
    }
    wait.then(go, go)
  }

  #gate(request: WorkRequest): Promise<void> | null {
    try {
      return gatePass(this.#state, request)
    } catch {
      return null // what is wrong will be told by the request itself
    }
  }

  #perform(pending: Pending): void {
    const { request } = pending
    pending.cancel = null
    let outcome
    try {
      outcome = perform(this.#state, request, this.#waitingLocks)
    } catch (error) {
      outcome = this.#failure(request.tag, error)
    }
    if (typeof outcome === 'function') this.#waitForLock(pending, outcome)
    else if (outcome instanceof Promise) this.#waitFor(pending, outcome)
    else {
      this.#lanes.leave(pending)
      this.#answer(pending, outcome)
    }
  }

  /** Its place in the order is kept until it is done, even when it was interrupted. */
  #waitFor(pending: Pending, outcome: Promise<Buffer>): void {
    void outcome
      .catch((error: unknown) => this.#failure(pending.request.tag, error))
      .then((reply) => {
        this.#lanes.leave(pending)
        this.#answer(pending, reply)
      })
  }

  /** Others may use the fid meanwhile: the process that holds the lock may have it from its parent. */
  #waitForLock(pending: Pending, wait: (answer: (reply: Buffer) => void) => () => void): void {
    const fid = this.#state.fids.get((pending.request as Request<'Tlock'>).fid)
    const interrupt = () => this.#interrupt(pending)
    const over = () => {
      pending.locking = false
      pending.cancel = null
      this.#waitingLocks--
      fid.lockWaits.delete(interrupt)
    }
    const giveUp = wait((reply) => {
      over()
      this.#answer(pending, reply)
    })
    pending.locking = true
    this.#waitingLocks++
    fid.lockWaits.add(interrupt)
    pending.cancel = () => {
      over()
      giveUp()
    }
    this.#lanes.leave(pending)
    this.#settle()
  }

  #answer(pending: Pending, reply: Buffer): void {
    if (pending.answered) return
    pending.answered = true
    const wasFull = this.full
    this.#outstanding.delete(pending.request.tag)
    this.#send(reply)
    this.#settle()
    if (wasFull) this.#room?.()
  }

  #settle(): void {
    if (this.#busy || this.#drained.length === 0) return
    for (const resolve of this.#drained.splice(0)) resolve()
  }

  #send(reply: Buffer): void {
    if (!this.#closed) this.options.send(reply)
  }

  #failure(tag: number, error: unknown): Buffer {
    if (error instanceof FileError) return encode('Rlerror', tag, { errno: error.number })
    this.options.onFault?.(error)
    return encode('Rlerror', tag, { errno: ERRNO.EIO })
  }
}
