import { CHUNK_LIMIT } from '../../src-main/contract'

/**
 * Sends keystrokes in order, one call at a time; what is typed meanwhile goes in the next call. A guest can make
 * the terminal answer questions endlessly, so what waits is bounded and the rest is dropped.
 */
export function createInput(
  write: (bytes: Uint8Array<ArrayBuffer>) => Promise<unknown>,
  trouble: (thrown: unknown) => void,
) {
  let waiting: Uint8Array[] = []
  let size = 0
  let sending = false

  function send(bytes: Uint8Array): boolean {
    if (size + bytes.byteLength > CHUNK_LIMIT) return false
    waiting.push(bytes)
    size += bytes.byteLength
    if (!sending) void drain()
    return true
  }

  async function drain(): Promise<void> {
    sending = true
    try {
      while (size > 0) {
        const chunk = joined(waiting, size)
        waiting = []
        size = 0
        await write(chunk)
      }
    } catch (thrown) {
      waiting = []
      size = 0
      trouble(thrown)
    } finally {
      sending = false
    }
  }

  return { send }
}

function joined(parts: Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.byteLength
  }
  return all
}
