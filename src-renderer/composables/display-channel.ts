import { CHUNK_LIMIT, type DisplayChunk } from '../../src-main/contract'
import { failureOf } from '../failure'

export interface DisplayPorts {
  open(): Promise<{ displayId: string }>
  /** May wait for bytes. */
  read(displayId: string): Promise<DisplayChunk>
  write(displayId: string, bytes: Uint8Array): Promise<unknown>
  close(displayId: string): Promise<unknown>
  sleep(milliseconds: number): Promise<void>
}

/** Keys and movements that main has not taken; more than this nobody types or moves. */
const UNSENT_LIMIT = 1024 * 1024
/** Pause after an answer with nothing new, so that answers that do not wait cannot spin. */
const QUIET_MS = 100
/** The states and close codes of a WebSocket. */
const [CONNECTING, OPEN, CLOSED] = [0, 1, 3]
const [NORMAL, ABNORMAL] = [1000, 1006]

/**
 * A viewer's connection to a guest's screen, with the interface of a WebSocket, which is what noVNC talks to. Bytes
 * are pulled one read at a time: while paused, nothing is read, and the screen's server waits.
 */
export function createDisplayChannel(ports: DisplayPorts) {
  let id = ''
  let paused = false
  let wakeUp: () => void = () => {}
  let unsent: Uint8Array[] = []
  let unsentBytes = 0
  let sending = false

  const channel = {
    binaryType: 'arraybuffer',
    protocol: '',
    readyState: CONNECTING,
    onopen: null as (() => void) | null,
    onmessage: null as ((event: { data: ArrayBuffer }) => void) | null,
    onerror: null as ((event: unknown) => void) | null,
    onclose: null as ((event: { code: number; reason: string }) => void) | null,

    send(data: Uint8Array): void {
      if (channel.readyState !== OPEN) return
      // a copy: noVNC uses its buffer again
      unsent.push(Uint8Array.from(data))
      unsentBytes += data.byteLength
      if (unsentBytes > UNSENT_LIMIT) end(ABNORMAL, 'The guest does not keep up with what is sent to its screen.')
      else if (!sending) void sendAll()
    },
    close(): void {
      // as a socket does: later, never from within
      void Promise.resolve().then(() => end(NORMAL, ''))
    },
    /** Stops and goes on reading. */
    setPaused(next: boolean): void {
      paused = next
      if (!paused) wakeUp()
    },
  }

  async function run(): Promise<void> {
    try {
      id = (await ports.open()).displayId
      if (channel.readyState === CLOSED) {
        tellClosed()
        return
      }
      channel.readyState = OPEN
      channel.onopen?.()
      await pull()
    } catch (thrown) {
      end(ABNORMAL, failureOf(thrown).message)
    }
  }

  async function pull(): Promise<void> {
    while (channel.readyState === OPEN) {
      if (paused) await new Promise<void>((resolve) => (wakeUp = resolve))
      const { bytes, closed, reason } = await ports.read(id)
      if (channel.readyState !== OPEN) return
      if (bytes.byteLength > 0) channel.onmessage?.({ data: Uint8Array.from(bytes).buffer })
      else if (!closed) await ports.sleep(QUIET_MS)
      if (closed) end(reason ? ABNORMAL : NORMAL, reason)
    }
  }

  async function sendAll(): Promise<void> {
    sending = true
    try {
      while (unsent.length > 0 && channel.readyState === OPEN) await ports.write(id, nextPart())
    } catch (thrown) {
      end(ABNORMAL, failureOf(thrown).message)
    }
    sending = false
  }

  /** What was sent, in order, up to what one call takes. */
  function nextPart(): Uint8Array {
    const whole = new Uint8Array(unsentBytes)
    let at = 0
    for (const part of unsent) {
      whole.set(part, at)
      at += part.byteLength
    }
    const rest = whole.subarray(CHUNK_LIMIT)
    unsent = rest.byteLength > 0 ? [rest] : []
    unsentBytes = rest.byteLength
    return whole.subarray(0, CHUNK_LIMIT)
  }

  function end(code: number, reason: string): void {
    if (channel.readyState === CLOSED) return
    channel.readyState = CLOSED
    wakeUp()
    if (id) tellClosed()
    channel.onclose?.({ code, reason })
  }

  /** Main may have closed it already, or be gone. */
  function tellClosed(): void {
    ports.close(id).catch(() => {})
  }

  void run()
  return channel
}

export type DisplayChannel = ReturnType<typeof createDisplayChannel>
