/** A network card, as main knows it. */
export interface PortConfig {
  /** `domainId/nic`. */
  id: string
  domainId: string
  /** Counted from 0. */
  nic: number
  mac: string
  /** Its one IPv4 address. */
  address: number
  /** The socket that the network card listens on. */
  path: string
  plugged: boolean
}

/** What went over a port since it was plugged in. */
export interface PortCounters {
  upFrames: number
  upBytes: number
  downFrames: number
  downBytes: number
  dropped: number
  /** Frames with an address that is not the card's. */
  spoofed: number
  /** Frames of protocols that are not carried, and such as are no frames. */
  unsupported: number
}
