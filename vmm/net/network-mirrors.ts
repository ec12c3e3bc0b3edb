import { Mirror } from './mirror'
import type { MirrorConfig } from './network-protocol'
import type { Port } from './port'

interface Held {
  readonly config: MirrorConfig
  readonly mirror: Mirror
  source: Port | null
  target: Port | null
}

/** The mirrors of all ports; either side may come and go. */
export class NetworkMirrors {
  readonly #held = new Map<string, Held>()

  constructor(private readonly ports: ReadonlyMap<string, Port>) {}

  set(config: MirrorConfig): void {
    this.remove(config.id)
    const { stage, direction } = config
    const held: Held = {
      config,
      source: null,
      target: null,
      mirror: new Mirror({
        beforePolicy: stage === 'before',
        sent: direction !== 'down',
        received: direction !== 'up',
        deliver: (buffer, at, end) => held.target?.sendMirrored(buffer, at, end) ?? false,
      }),
    }
    this.#held.set(config.id, held)
    this.settle()
  }

  remove(id: string): void {
    const held = this.#held.get(id)
    if (!held) return
    this.#connect(held, null, null)
    this.#held.delete(id)
  }

  /** Ports have come or gone. A mirror copies while both of its ends are there. */
  settle(): void {
    for (const held of this.#held.values()) {
      const source = this.ports.get(held.config.source) ?? null
      const target = this.ports.get(held.config.target) ?? null
      const both = source !== null && target !== null
      this.#connect(held, both ? source : null, target)
    }
  }

  reports(): { id: string; active: boolean; frames: number; dropped: number }[] {
    return [...this.#held.values()].map(({ config, mirror, source }) => ({
      id: config.id,
      active: source !== null,
      frames: mirror.frames,
      dropped: mirror.dropped,
    }))
  }

  #connect(held: Held, source: Port | null, target: Port | null): void {
    if (held.source !== source) {
      if (held.source) held.source.taps = held.source.taps.filter((tap) => tap !== held.mirror)
      if (source) source.taps = [...source.taps, held.mirror]
      held.source = source
    }
    if (held.target === target) return
    if (held.target) held.target.mirrors--
    if (target) target.mirrors++
    held.target = target
  }
}
