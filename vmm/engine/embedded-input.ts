import type { V86 as Emulator } from 'v86'
import type { Framebuffer } from './framebuffer'
import { scancodeOf } from './rfb-keysyms'
import type { ViewerInput } from './rfb-server'

const EXTENDED = 0x80
const EXTENDED_PREFIX = 0xe0
const RELEASED = 0x80
/** Largest movement in one packet of a PS/2 mouse. */
const STEP = 127
/** The pointer's mask: left, middle, right, wheel up, wheel down. */
const [LEFT, MIDDLE, RIGHT, WHEEL_UP, WHEEL_DOWN] = [1, 2, 4, 8, 16]

/** What of v86 takes input, which its typings leave out in part. */
interface Bus {
  send(event: 'keyboard-code', code: number): void
  send(event: 'mouse-click', buttons: [left: boolean, middle: boolean, right: boolean]): void
  send(event: 'mouse-delta', by: [x: number, up: number]): void
  send(event: 'mouse-absolute', at: [x: number, y: number, width: number, height: number]): void
  send(event: 'mouse-wheel', by: [up: number, right: number]): void
}

/** Keyboard and mouse of an embedded machine, as one viewer uses them. */
export class EmbeddedInput implements ViewerInput {
  readonly #pressed = new Set<number>()
  readonly #bus: Bus
  #at: { x: number; y: number } | null = null
  #buttons = 0

  /** `acted` is called after each input: an idle guest is to look at it at once. */
  constructor(
    emulator: Emulator,
    private readonly framebuffer: Framebuffer,
    private readonly acted: () => void,
  ) {
    this.#bus = (emulator as unknown as { bus: Bus }).bus
  }

  key(keysym: number, down: boolean): void {
    const scancode = scancodeOf(keysym)
    if (scancode !== null) this.scancode(scancode, down)
  }

  scancode(scancode: number, down: boolean): void {
    if (down) this.#pressed.add(scancode)
    // a key that nobody pressed here is not released either: it may be held by another viewer
    else if (!this.#pressed.delete(scancode)) return
    if ((scancode & EXTENDED) !== 0) this.#bus.send('keyboard-code', EXTENDED_PREFIX)
    this.#bus.send('keyboard-code', (scancode & ~EXTENDED) | (down ? 0 : RELEASED))
    this.acted()
  }

  /** A guest that knows VMware's mouse is told the place; all others how far it is from the last one. */
  pointer(buttons: number, x: number, y: number): void {
    const from = this.#at ?? { x, y }
    this.#at = { x, y }
    this.#bus.send('mouse-absolute', [x, y, this.framebuffer.width, this.framebuffer.height])
    for (let [right, down] = [x - from.x, y - from.y]; right !== 0 || down !== 0;) {
      const [stepRight, stepDown] = [limited(right), limited(down)]
      this.#bus.send('mouse-delta', [stepRight, -stepDown])
      right -= stepRight
      down -= stepDown
    }
    const pressed = buttons & ~this.#buttons
    if (((buttons ^ this.#buttons) & (LEFT | MIDDLE | RIGHT)) !== 0) {
      this.#bus.send('mouse-click', [(buttons & LEFT) !== 0, (buttons & MIDDLE) !== 0, (buttons & RIGHT) !== 0])
    }
    if ((pressed & WHEEL_UP) !== 0) this.#bus.send('mouse-wheel', [1, 0])
    if ((pressed & WHEEL_DOWN) !== 0) this.#bus.send('mouse-wheel', [-1, 0])
    this.#buttons = buttons
    this.acted()
  }

  /** The viewer is gone: nothing stays pressed. */
  release(): void {
    for (const scancode of [...this.#pressed]) this.scancode(scancode, false)
    if (this.#at !== null && this.#buttons !== 0) this.pointer(0, this.#at.x, this.#at.y)
  }
}

function limited(distance: number): number {
  return Math.min(STEP, Math.max(-STEP, distance))
}
