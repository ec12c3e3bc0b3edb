import { Capture } from './capture'
import type { PacketSummary } from './capture-recent'
import type { CaptureConfig, CaptureReport } from './network-protocol'
import type { Port } from './port'
import type { Tap } from './tap'

interface Held {
  readonly config: CaptureConfig
  readonly capture: Capture
  /** What sees the frames, by port. */
  readonly taps: Map<Port, Tap>
}

/** Captures of single ports and of whole segments. */
export class NetworkCaptures {
  readonly #held = new Map<string, Held>()

  constructor(
    private readonly ports: ReadonlyMap<string, Port>,
    private readonly wallClock: () => number,
  ) {}

  start(config: CaptureConfig): void {
    const { folder, snapBytes, fileBytes, files, totalBytes, source } = config
    const name = 'port' in source ? `port ${source.port}` : `segment ${source.segment || 'gateway'}`
    const interfaces = [{ name, description: `${config.stage} the policy` }]
    const capture = new Capture({ folder, snapBytes, fileBytes, files, totalBytes, interfaces })
    this.#held.set(config.id, { config, capture, taps: new Map() })
    this.settle()
  }

  /** Ends a capture; null when there is none of that id. Resolves when its files are whole. */
  async stop(id: string): Promise<CaptureReport | null> {
    const held = this.#held.get(id)
    if (!held) return null
    this.#tap(held, [])
    await held.capture.stop()
    const report = { ...reportOf(held), running: false }
    this.#held.delete(id)
    return report
  }

  /** Ports have come or gone. */
  settle(): void {
    for (const held of this.#held.values()) {
      const { source } = held.config
      const wanted = [...this.ports.values()].filter((port) =>
        'port' in source ? port.id === source.port : port.segment.name === source.segment,
      )
      this.#tap(held, wanted)
    }
  }

  packets(id: string, after: number, limit: number): PacketSummary[] {
    return [...(this.#held.get(id)?.capture.recent(after, limit) ?? [])]
  }

  reports(): CaptureReport[] {
    return [...this.#held.values()].map(reportOf)
  }

  async close(): Promise<void> {
    for (const id of [...this.#held.keys()]) await this.stop(id)
  }

  /** Of a whole segment a frame is captured where it comes from: seen at its receiver as well, it would be there twice. */
  #tap(held: Held, wanted: readonly Port[]): void {
    const { config, capture, taps } = held
    const whole = 'segment' in config.source
    for (const [port, tap] of taps) {
      if (wanted.includes(port)) continue
      taps.delete(port)
      port.taps = port.taps.filter((other) => other !== tap)
    }
    for (const port of wanted) {
      if (taps.has(port)) continue
      const take = (buffer: Buffer, at: number, end: number): void =>
        capture.frame(0, buffer, at, end, this.wallClock())
      const received = whole
        ? (buffer: Buffer, at: number, end: number) => fromGateway(port, buffer, at) && take(buffer, at, end)
        : take
      const tap: Tap = { beforePolicy: config.stage === 'before', sent: take, received }
      taps.set(port, tap)
      port.taps = [...port.taps, tap]
    }
  }
}

function fromGateway(port: Port, buffer: Buffer, at: number): boolean {
  return port.segment.isFromGateway(buffer, at)
}

function reportOf({ config, capture }: Held): CaptureReport {
  const { frames, bytes, dropped, files, ended, reason } = capture.status()
  return {
    id: config.id,
    running: ended === '',
    frames,
    bytes,
    dropped,
    reason,
    files: files.map((file) => ({ name: file.name, bytes: file.bytes })),
  }
}
