import { setTimeout as delay } from 'node:timers/promises'
import { VmmError } from '../model/errors'
import type { QemuProcess } from './qemu-process'
import { QmpClient } from './qmp'
import type { QmpArguments, QmpCommand, QmpEvent, QmpReply } from './qmp-commands'

/** Pause between two tries to reach a QEMU that is just starting, milliseconds. */
const DIAL_EVERY_MS = 10
/** How long a QEMU that is starting may be out of reach, milliseconds. */
const REACHED_WITHIN_MS = 20_000
/** Pause before a connection that was lost is made anew, milliseconds. */
const REDIAL_AFTER_MS = 200

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
  readonly #returnListeners = new Set<() => void>()
  #client: QmpClient
  #closed = false

  private constructor(
    client: QmpClient,
    private readonly path: string,
    private readonly gone: AbortSignal,
  ) {
    this.#client = client
    this.#follow(client)
    // QEMU talks to one at a time: dialling on would keep the next process, in the same place, from its own main
    gone.addEventListener('abort', () => this.close())
  }

  /** Reaches a process that is starting or running. Fails with kind `engine` when it ends before, `timeout` after. */
  static async open(path: string, process: Pick<QemuProcess, 'gone'>, withinMs = REACHED_WITHIN_MS): Promise<QemuLink> {
    const gone = new AbortController()
    void process.gone.then(() => gone.abort())
    return new QemuLink(await dial(path, gone.signal, withinMs), path, gone.signal)
  }

  run<C extends QmpCommand>(command: C, args: QmpArguments<C>, withinMs?: number): Promise<QmpReply<C>> {
    return this.#client.run(command, args, withinMs)
  }

  onEvent(listener: (event: QmpEvent) => void): void {
    this.#listeners.add(listener)
  }

  /** Calls `listener` when QEMU can be reached again: what it told in between is lost. */
  onReturn(listener: () => void): void {
    this.#returnListeners.add(listener)
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

  /**
   * Goes on for as long as the process lives. Its guest may do well while it cannot be reached, as on a host that waits
   * for its disk, and whether to end it is for people to decide.
   */
  async #redial(): Promise<void> {
    while (!this.#closed && !this.gone.aborted) {
      await delay(REDIAL_AFTER_MS, undefined, { ref: false })
      const client = await dial(this.path, this.gone, REACHED_WITHIN_MS).catch(() => null)
      if (client === null) continue
      this.#client = client
      if (this.isClosed()) client.close()
      else this.#follow(client)
      for (const listener of this.#returnListeners) listener()
      return
    }
  }
}

async function dial(path: string, gone: AbortSignal, withinMs: number): Promise<QmpClient> {
  const deadline = performance.now() + withinMs
  for (;;) {
    try {
      return await QmpClient.connect(path, Math.max(1, deadline - performance.now()))
    } catch (cause) {
      if (gone.aborted) throw new VmmError('engine', 'QEMU ended.', { cause })
      if (performance.now() > deadline) throw new VmmError('timeout', 'QEMU does not answer.', { cause })
    }
    await delay(DIAL_EVERY_MS)
  }
}
