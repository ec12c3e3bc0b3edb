import type { Domain } from './domain'
import type { DomainService } from './domains'

interface TerminalSize {
  columns: number
  rows: number
}

/** Runs in the guest: tells the terminal driver, which tells the programs. */
const SET_SIZE = 'stty -F /dev/ttyS0 rows "$1" cols "$2"'

/** Serial consoles: read by position at each reader's own pace, written in the order of arrival. */
export class ConsoleService {
  readonly #sizes = new Map<string, TerminalSize>()
  readonly #applying = new Set<string>()

  constructor(private readonly domains: DomainService) {}

  read(id: string, offset: number, maxBytes: number, waitMs: number, signal: AbortSignal) {
    return this.domains.get(id).scrollback.readSoon(offset, maxBytes, waitMs, signal)
  }

  write(id: string, bytes: Uint8Array): void {
    this.domains.forVerb(id, 'console').requireRun().type(bytes)
  }

  /** Remembered, and told to the guest as soon as it has an agent that listens. */
  resize(id: string, size: TerminalSize): void {
    const domain = this.domains.get(id)
    this.#sizes.set(id, size)
    this.applySize(domain)
  }

  /** The last size wins; while one is being told, the next waits. */
  applySize(domain: Domain): void {
    const size = this.#sizes.get(domain.id)
    const { run } = domain
    if (!size || run?.agentState !== 'ready' || domain.record.state === 'paused' || this.#applying.has(domain.id))
      return
    this.#applying.add(domain.id)
    const args = ['-c', SET_SIZE, 'sh', String(size.rows), String(size.columns)]
    run.commands
      .run('/bin/sh', args)
      .catch(() => undefined) // a terminal of the wrong size is still a terminal
      .finally(() => {
        this.#applying.delete(domain.id)
        if (this.#sizes.get(domain.id) !== size) this.applySize(domain)
      })
  }
}
