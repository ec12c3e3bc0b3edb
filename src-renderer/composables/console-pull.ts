import type { ConsoleChunk } from '../../src-main/contract'
import { plural } from '../format'

export interface PullPorts {
  /** Output from `offset` on; with `wait` it may wait for some. */
  read(offset: number, wait: boolean): Promise<ConsoleChunk>
  /** Resolves when the terminal has taken the bytes in: only then more is asked for. */
  show(bytes: Uint8Array): Promise<void>
  /** The same for what was printed before anybody looked. */
  replay(bytes: Uint8Array): Promise<void>
  /** Shows a remark of Vivarium's own between the guest's lines. */
  remark(text: string): Promise<void>
  /** Told what stands in the way of reading, and null when it is gone. */
  trouble(thrown: unknown): void
  sleep(milliseconds: number): Promise<void>
}

const RETRY_MS = 1500
/** Pause after an answer with nothing new, so that answers that do not wait cannot spin. */
const QUIET_MS = 300
/** Pause after output: a chatty guest then costs one read a frame, not one a line. */
const FRAME_MS = 16

/**
 * Pulls console output: one read at a time, so that a flood from the guest waits in main, where it is bounded,
 * and never piles up here. `stop` keeps the place; `start` goes on from it.
 */
export function createPull(ports: PullPorts) {
  let offset = 0
  /** What lies before this position is history; null until main has said how much there is. */
  let live: number | null = null
  /** Every start and stop begins a new turn; answers to an older turn are dropped. */
  let turn = 0

  async function run(mine: number): Promise<void> {
    while (mine === turn) {
      let chunk: ConsoleChunk
      const waited = live !== null
      try {
        chunk = await ports.read(offset, waited)
      } catch (thrown) {
        if (mine !== turn) return
        ports.trouble(thrown)
        await ports.sleep(RETRY_MS)
        continue
      }
      if (mine !== turn) return
      ports.trouble(null)
      await take(chunk, waited)
    }
  }

  async function take(chunk: ConsoleChunk, waited: boolean): Promise<void> {
    if (chunk.end < offset) {
      // main was restarted and counts anew
      offset = chunk.offset
      live = null
      await ports.remark('Vivarium was restarted')
    }
    const skipped = chunk.offset - offset
    const fresh = skipped < 0 ? chunk.bytes.subarray(-skipped) : chunk.bytes
    offset = Math.max(offset, chunk.offset + chunk.bytes.byteLength)
    if (skipped > 0) await ports.remark(`${plural(skipped, 'byte')} skipped`)
    live ??= chunk.end
    const old = Math.max(0, Math.min(fresh.byteLength, live - (offset - fresh.byteLength)))
    if (old > 0) await ports.replay(fresh.subarray(0, old))
    if (old < fresh.byteLength) await ports.show(fresh.subarray(old))
    // the first answer did not wait
    if (fresh.byteLength === 0 && !waited) return
    await ports.sleep(fresh.byteLength > 0 ? FRAME_MS : QUIET_MS)
  }

  return {
    start(): void {
      turn += 1
      live = null
      void run(turn)
    },
    stop(): void {
      turn += 1
    },
    get offset(): number {
      return offset
    },
  }
}
