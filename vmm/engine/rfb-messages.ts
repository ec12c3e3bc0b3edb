import type { Rectangle } from './framebuffer'

/**
 * What a viewer says, by the remote framebuffer protocol 3.8 (RFC 6143, section 7) and QEMU's extended key event
 * (message 255 of the community's registry). A viewer may send anything: all lengths are bounded before use.
 */

/** Encodings that a viewer may list. */
const ENCODINGS_LIMIT = 1024
/** Clipboard text is not used, so it is skipped; more than this nobody sends in earnest. */
const CUT_TEXT_LIMIT = 16 * 1024 * 1024

const VERSION = /^RFB 003\.008\n$/
const SECURITY_NONE = 1

/** How a viewer wants its pixels: true colour only. */
export interface PixelFormat {
  bitsPerPixel: 8 | 16 | 32
  bigEndian: boolean
  redMax: number
  greenMax: number
  blueMax: number
  redShift: number
  greenShift: number
  blueShift: number
}

export type ViewerMessage =
  | { type: 'version' }
  | { type: 'security' }
  | { type: 'init' }
  | { type: 'pixel-format'; format: PixelFormat }
  | { type: 'encodings'; encodings: number[] }
  | { type: 'update-request'; incremental: boolean; area: Rectangle }
  | { type: 'key'; down: boolean; keysym: number }
  /** `scancode` is a code of the XT set, with 0x80 set for those that are prefixed with 0xe0. */
  | { type: 'scancode'; down: boolean; scancode: number }
  | { type: 'pointer'; buttons: number; x: number; y: number }
  | { type: 'set-size' }

/** Why a viewer is not listened to any more. */
export class RfbRefusal extends Error {}

/** A step of the reading: how many bytes a message has, when that can be told, and what it says. */
interface Reading {
  bytes: number
  read(view: DataView): ViewerMessage | null
}

/** Takes bytes as they come and gives whole messages. */
export class ViewerReader {
  #pending = new Uint8Array()
  #greeting: 'version' | 'security' | 'init' | 'done' = 'version'
  /** Bytes still to be thrown away. */
  #skip = 0;

  /** The messages that `bytes` completes. Throws `RfbRefusal` for what is not RFB. */
  *read(bytes: Uint8Array): Generator<ViewerMessage> {
    this.#pending = joined(this.#pending, this.#skipping(bytes))
    for (;;) {
      const view = new DataView(this.#pending.buffer, this.#pending.byteOffset, this.#pending.byteLength)
      const reading = view.byteLength === 0 ? null : this.#begin(view)
      if (reading === null || view.byteLength < reading.bytes) return
      const message = reading.read(view)
      this.#pending = this.#skipping(this.#pending.subarray(reading.bytes))
      if (message) yield message
    }
  }

  #skipping(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const skipped = Math.min(this.#skip, bytes.byteLength)
    this.#skip -= skipped
    return Uint8Array.from(bytes.subarray(skipped))
  }

  /** Null when the length cannot be told yet. */
  #begin(view: DataView): Reading | null {
    switch (this.#greeting) {
      case 'version':
        return { bytes: 12, read: (whole) => this.#readVersion(whole) }
      case 'security':
        return { bytes: 1, read: (whole) => this.#readSecurity(whole) }
      case 'init':
        this.#greeting = 'done'
        return { bytes: 1, read: () => ({ type: 'init' }) }
      case 'done':
        return this.#message(view)
    }
  }

  #readVersion(view: DataView): ViewerMessage {
    const text = String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset, 12))
    if (!VERSION.test(text)) throw new RfbRefusal('it does not speak version 3.8')
    this.#greeting = 'security'
    return { type: 'version' }
  }

  #readSecurity(view: DataView): ViewerMessage {
    if (view.getUint8(0) !== SECURITY_NONE) throw new RfbRefusal('it asks for a security type that was not offered')
    this.#greeting = 'init'
    return { type: 'security' }
  }

  #message(view: DataView): Reading | null {
    const enough = (bytes: number): boolean => view.byteLength >= bytes
    switch (view.getUint8(0)) {
      case 0:
        return { bytes: 20, read: (whole) => ({ type: 'pixel-format', format: readFormat(whole) }) }
      case 2:
        return enough(4) ? encodingsReading(view.getUint16(2)) : null
      case 3:
        return { bytes: 10, read: readRequest }
      case 4:
        return {
          bytes: 8,
          read: (whole) => ({ type: 'key', down: whole.getUint8(1) !== 0, keysym: whole.getUint32(4) }),
        }
      case 5:
        return { bytes: 6, read: readPointer }
      case 6:
        return { bytes: 8, read: (whole) => this.#beginCutText(whole.getUint32(4)) }
      case 251:
        return enough(8) ? { bytes: 8 + 16 * view.getUint8(6), read: () => ({ type: 'set-size' }) } : null
      case 255:
        return { bytes: 12, read: readScancode }
      default:
        throw new RfbRefusal(`it sends messages of type ${view.getUint8(0)}`)
    }
  }

  #beginCutText(length: number): null {
    if (length > CUT_TEXT_LIMIT) throw new RfbRefusal(`it announces ${length} bytes of text`)
    this.#skip = length
    return null
  }
}

function joined(one: Uint8Array<ArrayBuffer>, other: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (one.byteLength === 0) return other
  const both = new Uint8Array(one.byteLength + other.byteLength)
  both.set(one)
  both.set(other, one.byteLength)
  return both
}

function encodingsReading(count: number): Reading {
  if (count > ENCODINGS_LIMIT) throw new RfbRefusal(`it lists ${count} encodings`)
  return {
    bytes: 4 + 4 * count,
    read: (view) => ({
      type: 'encodings',
      encodings: Array.from({ length: count }, (_, index) => view.getInt32(4 + 4 * index)),
    }),
  }
}

function readFormat(view: DataView): PixelFormat {
  const bitsPerPixel = view.getUint8(4)
  if (bitsPerPixel !== 8 && bitsPerPixel !== 16 && bitsPerPixel !== 32)
    throw new RfbRefusal(`it wants pixels of ${bitsPerPixel} bits`)
  if (view.getUint8(7) === 0) throw new RfbRefusal('it wants a colour map')
  const [redShift, greenShift, blueShift] = [view.getUint8(14), view.getUint8(15), view.getUint8(16)]
  if (Math.max(redShift, greenShift, blueShift) >= bitsPerPixel)
    throw new RfbRefusal('its pixels have impossible shifts')
  return {
    bitsPerPixel,
    bigEndian: view.getUint8(6) !== 0,
    redMax: view.getUint16(8),
    greenMax: view.getUint16(10),
    blueMax: view.getUint16(12),
    redShift,
    greenShift,
    blueShift,
  }
}

function readRequest(view: DataView): ViewerMessage {
  return {
    type: 'update-request',
    incremental: view.getUint8(1) !== 0,
    area: { x: view.getUint16(2), y: view.getUint16(4), width: view.getUint16(6), height: view.getUint16(8) },
  }
}

function readPointer(view: DataView): ViewerMessage {
  return { type: 'pointer', buttons: view.getUint8(1), x: view.getUint16(2), y: view.getUint16(4) }
}

function readScancode(view: DataView): ViewerMessage {
  if (view.getUint8(1) !== 0) throw new RfbRefusal(`it sends QEMU messages of type ${view.getUint8(1)}`)
  return { type: 'scancode', down: view.getUint16(2) !== 0, scancode: view.getUint32(8) & 0xff }
}
