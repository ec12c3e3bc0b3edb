import type { V86 as Emulator } from 'v86'
import { ERRNO, FileError, type ErrnoName } from '../files/file-error'
import { decode, encode, MESSAGES, NO_TAG, sizeOf, tagOf, typeOf, type Request } from '../files/ninep-messages'
import { fidsOf } from '../files/ninep-requests'
import { MSIZE_MOST } from '../files/ninep-state'
import { HEADER_BYTES } from '../files/ninep-wire'
import { FollowedFids } from './embedded-ninep-fids'
import { NinepLink } from './embedded-ninep-link'
import { replayFids } from './embedded-ninep-replay'

/** Between attempts to reach a server that was there before. */
const AGAIN_MS = 200
/** Attempts until the guest is told that its files are gone. */
const ATTEMPTS = 50
const LOCK_BLOCKS = 1
const LOCK_BLOCKED = 1

/** A request of the guest that is not answered. */
interface Waiting {
  bytes: Uint8Array
  request: Request
  reply: (bytes: Uint8Array) => void
  /** A wait for a lock that the guest is to ask for again. */
  interrupted: boolean
}

/** The part of v86's device that its typings leave out; the names are its own. */
interface Virtio9p {
  tag_bufchain: Map<number, unknown>
  get_state(): unknown[]
  set_state(state: unknown[]): void
}

/**
 * The files of an embedded guest: its 9P requests go to a server's socket. What the guest holds there is followed, so
 * that it outlives the server, and is part of the machine's saved state. Without a server every request is refused.
 */
export class EmbeddedNinep {
  /** Of messages, both ways. */
  bytes = 0
  #address = ''
  #fids = new FollowedFids()
  /** Fids that the guest has and no server. */
  #lost = new Set<number>()
  /** By tag, in the order they came. */
  readonly #waiting = new Map<number, Waiting>()
  #link: NinepLink | null = null
  #ready = false
  #attempts = 0
  #drained: (() => void)[] = []

  /** `nudge`: there is something for the guest to do. */
  constructor(private readonly options: { nudge(): void }) {}

  /** Keeps what the guest holds in the machine's state; to be called before one is restored. */
  attach(emulator: Emulator): void {
    const { cpu } = (emulator as unknown as { v86: { cpu: { devices: { virtio_9p: Virtio9p } } } }).v86
    const device = cpu.devices.virtio_9p
    const getState = device.get_state.bind(device)
    const setState = device.set_state.bind(device)
    device.get_state = () => [...getState().slice(0, 3), new TextEncoder().encode(this.#fids.toJson())]
    device.set_state = (state) => {
      setState([...state.slice(0, 3), new Map()])
      this.#restore(state[3])
    }
  }

  /** From now on requests are answered by the server at `address`. */
  begin(address: string): void {
    this.#address = address
    if (this.#fids.msize !== null) this.#connect()
  }

  /** v86's `handle9p`. */
  readonly handle = (bytes: Uint8Array, reply: (bytes: Uint8Array) => void): void => {
    if (bytes.length < HEADER_BYTES) return
    const tag = tagOf(bytes)
    if (this.#waiting.has(tag)) return // the guest breaks the rules, and gets no answer to that one
    try {
      this.#take({ bytes, request: this.#read(bytes), reply, interrupted: false })
    } catch (error) {
      reply(refusal(tag, error instanceof FileError ? error.code : 'EPROTO'))
    }
  }

  /** Resolves when everything is answered; to be called while the guest stands still. Who waits for a lock shall ask again. */
  async drain(): Promise<void> {
    for (const waiting of this.#waiting.values()) {
      const { request } = waiting
      if (request.message !== 'Tlock' || (request.flags & LOCK_BLOCKS) === 0) continue
      waiting.interrupted = true
      if (this.#ready) this.#link?.send(encode('Tflush', this.#freeTag(), { oldTag: request.tag }))
      else this.#answer(waiting, refusal(request.tag, 'EINTR'))
    }
    if (this.#waiting.size > 0) await new Promise<void>((resolve) => this.#drained.push(resolve))
  }

  /** Lets no request through that the server would turn the whole guest out for. */
  #read(bytes: Uint8Array): Request {
    if (sizeOf(bytes) !== bytes.length || bytes.length > (this.#fids.msize ?? MSIZE_MOST)) throw new FileError('EPROTO')
    const first = typeOf(bytes) === MESSAGES.Tversion[0]
    if (!first && this.#fids.msize === null) throw new FileError('EPROTO', 'a request before the version')
    const message = decode(bytes)
    if (!message.message.startsWith('T')) throw new FileError('EPROTO')
    return message as Request
  }

  #take(waiting: Waiting): void {
    const { bytes, request } = waiting
    this.bytes += bytes.length
    if (this.#lost.size > 0 && this.#isLost(waiting)) return
    this.#waiting.set(request.tag, waiting)
    if (this.#ready) this.#link?.send(bytes)
    else this.#connect()
  }

  /** Answers what is about a fid that no server has. */
  #isLost({ request, reply }: Waiting): boolean {
    if (request.message === 'Tversion') this.#lost.clear()
    if (request.message === 'Tversion' || request.message === 'Tflush') return false
    if (!fidsOf(request).some((fid) => this.#lost.has(fid))) return false
    if (request.message === 'Tclunk' || request.message === 'Tremove') {
      this.#fids.forget(request.fid)
      this.#lost.delete(request.fid)
    }
    const done = request.message === 'Tclunk'
    reply(done ? encode('Rclunk', request.tag, {}) : refusal(request.tag, 'ESTALE'))
    return true
  }

  #connect(): void {
    if (this.#link !== null) return
    this.#link = new NinepLink(this.#address, {
      connected: () => void this.#connected(),
      reply: (bytes) => this.#reply(bytes),
      closed: () => this.#closed(),
    })
  }

  async #connected(): Promise<void> {
    const link = this.#link
    if (link === null) return
    if (this.#fids.msize !== null) {
      const lost = await replayFids(this.#fids, link.ask)
      if (lost === null || this.#link !== link) {
        link.close()
        return
      }
      this.#lost = lost
    }
    this.#attempts = 0
    this.#ready = true
    for (const waiting of [...this.#waiting.values()]) {
      if (this.#lost.size > 0 && this.#isLost({ ...waiting, reply: (bytes) => this.#answer(waiting, bytes) })) continue
      link.send(waiting.bytes)
    }
  }

  /** One that was there before comes back soon; one that was not, or not for long, is given up. */
  #closed(): void {
    this.#link = null
    this.#ready = false
    if (this.#fids.msize === null || ++this.#attempts > ATTEMPTS)
      this.#refuseAll(this.#fids.msize === null ? 'ENODEV' : 'EIO')
    if (this.#fids.msize !== null && this.#attempts <= ATTEMPTS) setTimeout(() => this.#connect(), AGAIN_MS)
  }

  #reply(bytes: Uint8Array): void {
    const waiting = this.#waiting.get(tagOf(bytes))
    if (waiting === undefined) return // to a flush of our own
    this.#fids.follow(waiting.request, decode(bytes))
    this.#answer(waiting, bytes)
  }

  #answer(waiting: Waiting, bytes: Uint8Array): void {
    const { request, interrupted, reply } = waiting
    this.#waiting.delete(request.tag)
    this.bytes += bytes.length
    const again = interrupted && typeOf(bytes) === MESSAGES.Rlerror[0]
    reply(again ? encode('Rlock', request.tag, { status: LOCK_BLOCKED }) : bytes)
    this.options.nudge()
    if (this.#waiting.size === 0) for (const resolve of this.#drained.splice(0)) resolve()
  }

  #refuseAll(code: ErrnoName): void {
    for (const waiting of [...this.#waiting.values()]) this.#answer(waiting, refusal(waiting.request.tag, code))
  }

  #freeTag(): number {
    let tag = NO_TAG - 1
    while (this.#waiting.has(tag)) tag--
    return tag
  }

  /** A state of an older kind tells nothing of this. */
  #restore(json: unknown): void {
    this.#waiting.clear()
    this.#fids = json instanceof Uint8Array ? FollowedFids.read(new TextDecoder().decode(json)) : new FollowedFids()
  }
}

function refusal(tag: number, code: ErrnoName): Uint8Array {
  return encode('Rlerror', tag, { errno: ERRNO[code] })
}
