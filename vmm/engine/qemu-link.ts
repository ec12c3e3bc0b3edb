import { setTimeout as delay } from 'node:timers/promises'
import { VmmError } from '../model/errors'
import type { QemuProcess } from './qemu-process'
import { QmpClient } from './qmp'
import type { QmpArguments, QmpCommand, QmpEvent, QmpReply } from './qmp-commands'

/** Pause between two tries to reach a QEMU that is just starting, milliseconds. */
const DIAL_EVERY_MS = 10
/** How long a QEMU that lives may be out of reach, milliseconds. */
const REACHED_WITHIN_MS = 20_000

/** What runs QMP commands. */
export interface Qmp {
  run<C extends QmpCommand>(command: C, args: QmpArguments<C>, withinMs?: number): Promise<QmpReply<C>>
}

/**
 * The way to a QEMU process: a connection that is made anew when it is lost and the process lives, and one stream of
 * events over all of them.
 */
export class QemuLink implements Qmp {
  readonly #listeners = new Set<(event: QmpEvent) => void>()
  #client: QmpClient
  #closed = false

  private constructor(
    client: QmpClient,
    private readonly path: string,
    private readonly process: QemuProcess,
  ) {
    this.#client = client
    this.#follow(client)
  }

  /** Reaches a process that is starting or running. Fails with kind `engine` when it ends before, `timeout` after. */
  static async open(path: string, process: QemuProcess, withinMs = REACHED_WITHIN_MS): Promise<QemuLink> {
    return new QemuLink(await dial(path, process, withinMs), path, process)
  }

  run<C extends QmpCommand>(command: C, args: QmpArguments<C>, withinMs?: number): Promise<QmpReply<C>> {
    return this.#client.run(command, args, withinMs)
  }

  onEvent(listener: (event: QmpEvent) => void): void {
    this.#listeners.add(listener)
  }

  close(): void {
    this.#closed = true
    this.#client.close()
  }

  isClosed(): boolean {
    return this.#closed
  }

  #follow(client: QmpClient): void {
    client.onEvent((event) => {
      for (const listener of this.#listeners) listener(event)
    })
    void client.closed.then(() => this.#redial())
  }

  /** A process that lives and cannot be reached is of no use to anybody. */
  async #redial(): Promise<void> {
    if (this.isClosed()) return
    try {
      this.#client = await dial(this.path, this.process, REACHED_WITHIN_MS)
      this.#follow(this.#client)
    } catch {
      if (this.isClosed()) return
      await this.process.kill()
    }
  }
}

async function dial(path: string, process: QemuProcess, withinMs: number): Promise<QmpClient> {
  const gone = new AbortController()
  void process.gone.then(() => gone.abort())
  const deadline = performance.now() + withinMs
  for (;;) {
    try {
      return await QmpClient.connect(path, Math.max(1, deadline - performance.now()))
    } catch (cause) {
      if (gone.signal.aborted) throw new VmmError('engine', 'QEMU ended.', { cause })
      if (performance.now() > deadline) throw new VmmError('timeout', 'QEMU does not answer.', { cause })
    }
    await delay(DIAL_EVERY_MS)
  }
}
