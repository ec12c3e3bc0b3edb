import type { Duplex } from 'node:stream'

/** A machine's screen, keyboard and pointer. */
export interface Display {
  /**
   * A connection for one viewer: the far end is a server of the remote framebuffer protocol, version 3.8 (RFC 6143),
   * without authentication, and speaks first. Fails with kind `engine` once the machine has ended; ends with it.
   */
  connect(): Promise<Duplex>
  /** What the screen shows now, as a PNG file. */
  screenshot(): Promise<Uint8Array>
}
