import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { DisplayChunk, ScreenshotPart } from '../contract'
import { DISPLAY_READ_LIMIT } from '../contract'
import type { Display } from '../../vmm/engine/display'
import { asVmmError, VmmError } from '../../vmm/model/errors'
import { WakeUp } from '../../vmm/model/wake-up'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import type { ClientSession } from './session'

/** Viewers that one client may have open at a time. */
const VIEWERS_LIMIT = 8
/** Bytes held for a viewer that does not read; beyond them the far end is not read either. */
const HELD_BYTES = 2 * 1024 * 1024
/** Bytes of a viewer that the far end has not taken; a client with more of them is refused. */
const UNSENT_BYTES = 1024 * 1024
/** Far above any picture of a screen, bytes. */
const SCREENSHOT_BYTES = 64 * 1024 * 1024
/** A screenshot is as good as a new one for this long, milliseconds … */
const FRESH_MS = 1000
/** … and its later parts can be read for this long. */
const KEPT_MS = 10_000

interface Viewer {
  owner: ClientSession
  stream: Duplex
  chunks: Uint8Array[]
  held: number
  closed: boolean
  /** Why, for people; empty when it simply ended. */
  reason: string
  change: WakeUp
}

interface Screenshot {
  id: string
  png: Uint8Array
}

/** Screens of guests: bytes of the remote framebuffer protocol are handed on both ways, and never looked at. */
export class DisplayService {
  readonly #viewers = new Map<string, Viewer>()
  /** Owners of viewers that are being opened. */
  readonly #opening: ClientSession[] = []
  /** The last screenshot of each screen, or the one being made. */
  readonly #fresh = new Map<Display, Promise<Screenshot>>()
  readonly #kept = new Map<string, Uint8Array>()

  constructor(private readonly domains: DomainService) {}

  async open(owner: ClientSession, domainId: string): Promise<string> {
    const domain = this.domains.forVerb(domainId, 'display')
    const display = displayOf(domain)
    const owners = [...this.#opening, ...[...this.#viewers.values()].map((viewer) => viewer.owner)]
    if (owners.filter((other) => other === owner).length >= VIEWERS_LIMIT) {
      throw new VmmError('conflict', 'Too many screens are open at once.', { hint: 'Close one of them.' })
    }
    this.#opening.push(owner)
    try {
      const stream = await display.connect()
      // keys and movements come this way: a boot snapshot of this run would hold what somebody did
      domain.requireRun().touched = true
      const id = this.#follow(owner, stream)
      if (owner.signal.aborted) this.close(owner, id) // the client left meanwhile
      return id
    } finally {
      this.#opening.splice(this.#opening.indexOf(owner), 1)
    }
  }

  async read(owner: ClientSession, id: string, maxBytes: number, waitMs: number): Promise<DisplayChunk> {
    const viewer = this.#get(owner, id)
    if (viewer.held === 0 && !viewer.closed) await viewer.change.wait(waitMs, owner.signal)
    const bytes = take(viewer, maxBytes)
    const closed = viewer.closed && viewer.held === 0
    if (closed) this.#viewers.delete(id)
    else if (viewer.held < HELD_BYTES) viewer.stream.resume()
    return { bytes, closed, reason: closed ? viewer.reason : '' }
  }

  /** Resolves when the far end has taken the bytes. */
  async write(owner: ClientSession, id: string, bytes: Uint8Array): Promise<void> {
    const { stream, closed } = this.#get(owner, id)
    if (closed) throw closedError()
    if (stream.writableLength + bytes.byteLength > UNSENT_BYTES) {
      throw new VmmError('conflict', 'The guest does not keep up with what is sent to its screen.', {
        hint: 'Wait until what was sent before has arrived.',
      })
    }
    await new Promise<void>((resolve, reject) => {
      stream.write(bytes, (error) => (error ? reject(closedError(error)) : resolve()))
    })
  }

  close(owner: ClientSession, id: string): void {
    const viewer = this.#viewers.get(id)
    if (viewer?.owner !== owner) return
    this.#viewers.delete(id)
    viewer.stream.destroy()
  }

  /** A client has left: its viewers end. */
  stopOf(owner: ClientSession): void {
    for (const [id, viewer] of this.#viewers) if (viewer.owner === owner) this.close(owner, id)
  }

  /** A part of a new screenshot, or of the one called `shot`. */
  async screenshot(domainId: string, shot: string | undefined, offset: number): Promise<ScreenshotPart> {
    const { id, png } = shot === undefined ? await this.#shoot(domainId) : this.#keptShot(shot)
    return { shot: id, size: png.byteLength, bytes: png.subarray(offset, offset + DISPLAY_READ_LIMIT) }
  }

  #follow(owner: ClientSession, stream: Duplex): string {
    const id = randomUUID()
    const viewer: Viewer = { owner, stream, chunks: [], held: 0, closed: false, reason: '', change: new WakeUp() }
    this.#viewers.set(id, viewer)
    stream.on('data', (bytes: Uint8Array) => {
      viewer.chunks.push(bytes)
      viewer.held += bytes.byteLength
      if (viewer.held >= HELD_BYTES) stream.pause()
      viewer.change.wake()
    })
    stream.on('error', (error) => (viewer.reason = asVmmError(error, 'show the screen').message))
    stream.on('end', () => stream.destroy())
    stream.on('close', () => {
      viewer.closed = true
      viewer.change.wake()
    })
    return id
  }

  /** One at a time for each screen; who asks meanwhile, or shortly after, gets the same. */
  async #shoot(domainId: string): Promise<Screenshot> {
    const display = displayOf(this.domains.forVerb(domainId, 'display'))
    const running = this.#fresh.get(display)
    if (running) return await running
    const shooting = shoot(display)
    this.#fresh.set(display, shooting)
    try {
      const shot = await shooting
      setTimeout(() => this.#fresh.delete(display), FRESH_MS).unref()
      if (shot.png.byteLength > DISPLAY_READ_LIMIT) {
        this.#kept.set(shot.id, shot.png)
        setTimeout(() => this.#kept.delete(shot.id), KEPT_MS).unref()
      }
      return shot
    } catch (error) {
      this.#fresh.delete(display)
      throw error
    }
  }

  #keptShot(id: string): Screenshot {
    const png = this.#kept.get(id)
    if (png) return { id, png }
    throw new VmmError('not-found', 'This screenshot is not kept any more.', { hint: 'Take a new one.' })
  }

  #get(owner: ClientSession, id: string): Viewer {
    const viewer = this.#viewers.get(id)
    if (viewer?.owner === owner) return viewer
    throw new VmmError('not-found', 'This screen is not open any more.', { hint: 'Open it again.' })
  }
}

function closedError(cause?: Error): VmmError {
  return new VmmError('state', 'This screen was closed.', { hint: 'Open it again.', cause })
}

function displayOf(domain: Domain): Display {
  const { display } = domain.requireRun().machine
  if (display) return display
  throw new VmmError('unsupported', `${domain.name} has no screen.`, { hint: 'Use its serial console.' })
}

async function shoot(display: Display): Promise<Screenshot> {
  const png = await display.screenshot()
  if (png.byteLength <= SCREENSHOT_BYTES) return { id: randomUUID(), png }
  throw new VmmError('engine', 'The picture of the screen is larger than any screen.', { hint: 'Try again.' })
}

function take(viewer: Viewer, maxBytes: number): Uint8Array {
  const all = viewer.chunks.length === 1 ? (viewer.chunks[0] as Uint8Array) : Buffer.concat(viewer.chunks)
  const bytes = all.subarray(0, maxBytes)
  viewer.chunks = all.byteLength > maxBytes ? [all.subarray(maxBytes)] : []
  viewer.held -= bytes.byteLength
  return bytes
}
