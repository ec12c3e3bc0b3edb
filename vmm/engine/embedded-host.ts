import { readFile } from 'node:fs/promises'
import type { V86 as Emulator, V86Options } from 'v86'
import type { Counters } from '../model/counters'
import { VmmError, type Failure } from '../model/errors'
import type { SavedState } from './machine'
import type { DiskSpec, MachineSpec } from './machine-spec'
import { CpuTap } from './embedded-cpu'
import { LayeredDisk } from './embedded-disk'
import { copyLayer } from './embedded-layers'
import { EmbeddedInput } from './embedded-input'
import { ReadOnlyMedium } from './embedded-medium'
import { EmbeddedNic } from './embedded-nic'
import { EmbeddedNinep } from './embedded-ninep'
import { MemoryGauge } from './embedded-memory-gauge'
import { Pacer } from './embedded-pacer'
import { AGENT_PORT, CONSOLE_PORT, CONSOLE_WINDOW, type FromGuest, type GuestRequest } from './embedded-protocol'
import { readState, writeState } from './embedded-state'
import { EmbeddedScreen } from './embedded-screen'
import { SerialBatch } from './embedded-serial'
import { EmbeddedViewers } from './embedded-viewers'
import { EmbeddedVolume } from './embedded-volume'

const COUNTERS_EVERY_MS = 1000
const MIB = 1024 * 1024

type Request<T extends GuestRequest['type']> = Extract<GuestRequest, { type: T }>

const realSetImmediate = globalThis.setImmediate

/** The v86 machine of a guest process, with its devices. */
export class EmbeddedHost {
  readonly #pacer = new Pacer({
    now: () => performance.now(),
    soon: (step) => void realSetImmediate(step),
    later: (step, ms) => {
      const timer = setTimeout(step, ms)
      return () => clearTimeout(timer)
    },
  })
  readonly #cpu = new CpuTap(this.#pacer, () => this.send({ type: 'halted' }))
  readonly #ports: SerialBatch[]
  readonly #screen = new EmbeddedScreen()
  readonly viewers = new EmbeddedViewers({
    screen: this.#screen,
    newInput: () => new EmbeddedInput(this.#running(), this.#screen.framebuffer, () => this.#pacer.nudge()),
    send: (message) => this.send(message),
  })
  readonly nic = new EmbeddedNic({
    hold: (held) => (held ? this.#pacer.hold('network') : this.#pacer.release('network')),
    nudge: () => this.#pacer.nudge(),
  })
  readonly #ninep = new EmbeddedNinep({ nudge: () => this.#pacer.nudge() })
  #emulator: Emulator | null = null
  #disk: LayeredDisk | EmbeddedVolume | null = null
  #medium: ReadOnlyMedium | null = null
  #startedAt = 0
  #paused = false
  #guestUsedBytes: number | null = null
  #consoleInFlight = 0
  /** Of requests for which main has something to do while the guest stands still. */
  readonly #moments = new Map<number, (failure: Failure | null) => void>()

  constructor(
    private readonly wasmFile: string,
    private readonly send: (message: FromGuest) => void,
  ) {
    this.#ports = [CONSOLE_PORT, AGENT_PORT].map((port) => new SerialBatch((bytes) => this.#serialOutput(port, bytes)))
  }

  async start(spec: MachineSpec, frameLinks: readonly string[], filesAddress: string): Promise<void> {
    const reading = spec.resumeFrom === null ? Promise.resolve(null) : readState(spec.resumeFrom)
    const [disk] = spec.disks
    if (disk) this.#disk = await this.#openDisk(disk)
    this.#takeOverSteps()
    const [state, emulator] = await Promise.all([reading, this.#create(spec)])
    this.#emulator = emulator
    this.#listen(emulator)
    this.#catchReboot(emulator)
    this.#screen.attach(emulator)
    this.#ninep.attach(emulator)
    if (state) await restore(emulator, state)
    this.#ninep.begin(filesAddress)
    const [card] = spec.nics
    const [frameLink] = frameLinks
    if (card && frameLink !== undefined) await this.nic.begin(emulator, card.mac, frameLink)
    this.#cpu.resync()
    this.#startedAt = performance.now()
    await emulator.run()
    const memory = new MemoryGauge(emulator, (bytes) => (this.#guestUsedBytes = bytes))
    setInterval(() => {
      if (this.#paused) return
      memory.ask()
      this.send({ type: 'counters', counters: this.counters() })
    }, COUNTERS_EVERY_MS).unref()
  }

  pause(): void {
    this.#paused = true
    this.#pacer.hold('paused')
  }

  resume(): void {
    this.#paused = false
    this.#pacer.release('paused')
    this.#pacer.release('disk')
    this.#disk?.retry()
  }

  /** The state and the disk layer are of one moment; packing goes on while the guest does. */
  async save({ seq, file, compress, layerCopy, moment }: Request<'save'>): Promise<SavedState> {
    const emulator = this.#running()
    if (this.#disk?.stalled) {
      throw new VmmError('disk-full', "A write to the guest's disk still waits for the host.", {
        hint: 'Make room on the disk that holds the Vivarium data folder, resume the domain, and try again.',
      })
    }
    let state: ArrayBuffer
    this.#pacer.hold('saving')
    try {
      await this.#ninep.drain() // v86 cannot save a device that waits
      await this.#disk?.flush()
      state = await emulator.save_state()
      await this.#copyDisk(layerCopy)
      if (moment) await this.#moment(seq)
    } finally {
      this.#pacer.release('saving')
    }
    return { bytes: await writeState(file, state, compress) }
  }

  /** Copies the disk layer of one moment. */
  async copyLayer({ seq, to, moment }: Request<'copy-layer'>): Promise<void> {
    this.#running()
    this.#pacer.hold('saving')
    try {
      await this.#disk?.flush()
      await this.#copyDisk(to)
      if (moment) await this.#moment(seq)
    } finally {
      this.#pacer.release('saving')
    }
  }

  /** Main has done what it had to do while the guest stood still. */
  momentOver(seq: number, failure: Failure | null): void {
    const over = this.#moments.get(seq)
    this.#moments.delete(seq)
    over?.(failure)
  }

  serialInput(port: number, bytes: Uint8Array): void {
    if (port !== CONSOLE_PORT && port !== AGENT_PORT) return
    this.#emulator?.serial_send_bytes(port, bytes)
    this.#pacer.nudge()
  }

  consoleTaken(bytes: number): void {
    this.#consoleInFlight -= bytes
    if (this.#consoleInFlight < CONSOLE_WINDOW) this.#pacer.release('console')
  }

  counters(): Counters {
    return {
      at: Date.now(),
      ranMs: performance.now() - this.#startedAt - this.#pacer.heldMs(),
      haltedMs: this.#pacer.haltedMs,
      instructions: this.#cpu.instructions,
      framesIn: this.nic.framesIn,
      framesOut: this.nic.framesOut,
      diskReadBytes: (this.#disk?.readBytes ?? 0) + (this.#medium?.readBytes ?? 0),
      diskWriteBytes: this.#disk?.writeBytes ?? 0,
      diskReadOps: (this.#disk?.readOps ?? 0) + (this.#medium?.readOps ?? 0),
      diskWriteOps: this.#disk?.writeOps ?? 0,
      ninepBytes: this.#ninep.bytes,
      hostBytes: process.memoryUsage.rss(),
      guestUsedBytes: this.#guestUsedBytes,
    }
  }

  async #openDisk(disk: DiskSpec): Promise<LayeredDisk | EmbeddedVolume> {
    const failure = (error: Error) => this.#stall(error)
    if (disk.served === null) return new LayeredDisk(disk, failure)
    return await EmbeddedVolume.open(
      { served: disk.served, id: disk.id },
      { failure, nudge: () => this.#pacer.nudge() },
    )
  }

  /** The layer of a disk that is served is copied by its server. */
  async #copyDisk(to: string | null): Promise<void> {
    if (to !== null && this.#disk instanceof LayeredDisk) await copyLayer(this.#disk.layer, to)
  }

  async #moment(seq: number): Promise<void> {
    const failure = await new Promise<Failure | null>((resolve) => {
      this.#moments.set(seq, resolve)
      this.send({ type: 'moment', seq })
    })
    if (failure) throw VmmError.fromFailure(failure)
  }

  #running(): Emulator {
    if (this.#emulator === null) throw new VmmError('engine', 'The machine has not started.')
    return this.#emulator
  }

  /** A full or failing host disk: the guest waits, as on a machine whose disk takes its time. */
  #stall(error: Error): void {
    this.#paused = true
    this.#pacer.hold('disk')
    this.send({ type: 'stalled', reason: error.message })
  }

  /** v86 asks the global setImmediate for every next step, and nothing else in this process does. */
  #takeOverSteps(): void {
    const schedule = (step: (argument: unknown) => void, argument: unknown) => {
      this.nic.deliverWaiting()
      this.#pacer.schedule(() => step(argument))
    }
    globalThis.setImmediate = schedule as unknown as typeof globalThis.setImmediate
  }

  async #create(spec: MachineSpec): Promise<Emulator> {
    EmbeddedScreen.prepare()
    const { V86 } = await import('v86')
    const options: V86Options = {
      wasm_fn: (imports) => this.#cpu.load(this.wasmFile, imports),
      memory_size: spec.memoryMiB * MIB,
      bios: { buffer: await bufferOf(spec.bios.bios) },
      vga_bios: { buffer: await bufferOf(spec.bios.vgaBios) },
      ...(await this.#bootOptions(spec)),
      // v86 takes any object with get, set and load as a disk, which its typings leave out
      ...(this.#disk ? { hda: this.#disk as unknown as NonNullable<V86Options['hda']> } : {}),
      net_device: { type: 'virtio' },
      filesystem: { handle9p: this.#ninep.handle },
      virtio_balloon: true,
      uart1: true,
      disable_speaker: true,
      disable_keyboard: true,
      disable_mouse: true,
      autostart: false,
    }
    const emulator = new V86(options)
    await new Promise<void>((resolve) => emulator.add_listener('emulator-loaded', resolve))
    return emulator
  }

  async #bootOptions({ boot, resumeFrom }: MachineSpec): Promise<Partial<V86Options>> {
    switch (boot.kind) {
      case 'kernel':
        // a state has the kernel in its memory already
        if (resumeFrom !== null) return {}
        return {
          bzimage: { buffer: await bufferOf(boot.kernel) },
          ...(boot.initrd === null ? {} : { initrd: { buffer: await bufferOf(boot.initrd) } }),
          cmdline: boot.cmdline,
        }
      case 'cdrom':
        this.#medium = new ReadOnlyMedium(boot.path)
        return { cdrom: this.#medium as unknown as NonNullable<V86Options['cdrom']> }
      case 'floppy':
        return { fda: { buffer: await bufferOf(boot.path) } }
      case 'disk':
        return {}
    }
  }

  #listen(emulator: Emulator): void {
    emulator.add_listener('serial0-output-byte', (byte) => this.#ports[CONSOLE_PORT]?.add(byte))
    emulator.add_listener('serial1-output-byte', (byte) => this.#ports[AGENT_PORT]?.add(byte))
  }

  /** A second boot in the same process ends in a panic of v86's wasm, so main starts another process instead. */
  #catchReboot(emulator: Emulator): void {
    const { cpu } = (emulator as unknown as { v86: { cpu: { reboot_internal(): void } } }).v86
    cpu.reboot_internal = () => {
      this.#pacer.hold('reset')
      this.#ports.forEach((port) => port.flush())
      this.send({ type: 'reset' })
    }
  }

  #serialOutput(port: number, bytes: Uint8Array): void {
    this.send({ type: 'serial', port, bytes })
    if (port !== CONSOLE_PORT) return
    this.#consoleInFlight += bytes.byteLength
    if (this.#consoleInFlight >= CONSOLE_WINDOW) this.#pacer.hold('console')
  }
}

/** v86 says why with an error of its own, which tells a person nothing. */
async function restore(emulator: Emulator, state: ArrayBuffer): Promise<void> {
  try {
    await emulator.restore_state(state)
  } catch (cause) {
    throw new VmmError('damaged', 'The saved state is damaged, or of a machine of another kind or memory size.', {
      hint: 'Revert to a snapshot or start the domain afresh.',
      cause,
    })
  }
}

async function bufferOf(path: string): Promise<ArrayBuffer> {
  const content = await readFile(path)
  return content.buffer.slice(content.byteOffset, content.byteOffset + content.byteLength)
}
