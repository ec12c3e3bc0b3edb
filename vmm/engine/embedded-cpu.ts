import { readFile } from 'node:fs/promises'
import type { Pacer } from './embedded-pacer'

/** Addresses in v86's wasm memory (0.5.462, src/rust/cpu/global_pointers.rs). */
const FLAGS = 120
const IN_HLT = 616
const INSTRUCTION_COUNTER = 664
const FLAG_INTERRUPT = 1 << 9

/** How long a processor must be halted with interrupts off before the guest counts as powered off. */
const DEAD_AFTER_MS = 300

/**
 * Loads v86's wasm and stands between it and v86's own main loop: v86 takes `wasm_fn`, so nothing here
 * depends on its minified names. Every step tells the pacer how long the guest will be idle, and counts.
 */
export class CpuTap {
  /** Instructions retired since the machine started. */
  instructions = 0
  #memory: WebAssembly.Memory | null = null
  #view = new DataView(new ArrayBuffer(0))
  #lastCount = 0
  #deadSince: number | null = null
  #dead = false

  constructor(
    private readonly pacer: Pacer,
    private readonly onDead: () => void,
  ) {}

  /** For v86's option `wasm_fn`. */
  async load(wasmFile: string, imports: WebAssembly.Imports): Promise<WebAssembly.Exports> {
    const { instance } = await WebAssembly.instantiate(await readFile(wasmFile), imports)
    const mainLoop = instance.exports.main_loop as () => number
    this.#memory = instance.exports.memory as WebAssembly.Memory
    return {
      ...instance.exports,
      main_loop: () => {
        const idleMs = mainLoop()
        this.#afterStep(idleMs)
        // v86 would sleep by itself on a positive answer; the pacer does that, and can be woken
        return 0
      },
    }
  }

  /** The counter starts anew with a restored state. */
  resync(): void {
    this.#lastCount = this.#read().getUint32(INSTRUCTION_COUNTER, true)
    this.#deadSince = null
  }

  #read(): DataView {
    const memory = this.#memory
    if (memory !== null && this.#view.buffer !== memory.buffer) this.#view = new DataView(memory.buffer)
    return this.#view
  }

  #afterStep(idleMs: number): void {
    const view = this.#read()
    const count = view.getUint32(INSTRUCTION_COUNTER, true)
    const executed = (count - this.#lastCount) >>> 0
    this.instructions += executed
    this.#lastCount = count
    const halted = view.getUint8(IN_HLT) !== 0
    // below a millisecond v86 would poll; an idle guest does not mind being woken a little late
    this.pacer.stepped(halted ? Math.max(idleMs, 1) : 0, executed)
    this.#watchForDeath(halted && (view.getInt32(FLAGS, true) & FLAG_INTERRUPT) === 0)
  }

  #watchForDeath(stuck: boolean): void {
    if (!stuck) {
      this.#deadSince = null
      return
    }
    const now = performance.now()
    this.#deadSince ??= now
    if (this.#dead || now - this.#deadSince < DEAD_AFTER_MS) return
    this.#dead = true
    this.onDead()
  }
}
