import type { V86 as Emulator } from 'v86'

/** Readings a second would keep an idle guest awake. */
const ASK_EVERY = 5

interface Balloon {
  GetStats(told: (stats: Record<string, unknown>) => void): void
}

/** Asks the guest's balloon driver, if it has one, how much memory is in use (virtio 1.2, 5.5.6.3). */
export class MemoryGauge {
  readonly #balloon: Balloon
  #turn = 0

  /** `told` gets the bytes in use, or null when the guest's answer makes no sense. */
  constructor(
    emulator: Emulator,
    private readonly told: (bytes: number | null) => void,
  ) {
    const { cpu } = (emulator as unknown as { v86: { cpu: { devices: { virtio_balloon: Balloon } } } }).v86
    this.#balloon = cpu.devices.virtio_balloon
  }

  /** To be called once a second; most of the time it does nothing. */
  ask(): void {
    if (this.#turn++ % ASK_EVERY !== 0) return
    this.#balloon.GetStats(({ MEMTOT: total, AVAIL: available }) => {
      const sane = isBytes(total) && isBytes(available) && available <= total
      this.told(sane ? total - available : null)
    })
  }
}

function isBytes(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}
