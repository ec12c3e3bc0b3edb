import { formatAddress } from '../model/ipv4'

/** IPv4 and TCP headers without options, bytes. */
const HEADERS = 40
const MTU = 65_535

/**
 * The network card that a QEMU guest has for its files, apart from all others: a link of two ends, the guest and the
 * file server, the same for every guest, as none of them leads to another. Addresses are of the link-local block
 * (RFC 3927), so that they meet nobody's network.
 */
export const FILES_CARD = {
  guestMac: '0a:56:39:50:00:02',
  serverMac: '0a:56:39:50:00:01',
  /** 169.254.86.0/30 and its two hosts. */
  network: 0xa9fe5600,
  prefix: 30,
  server: 0xa9fe5601,
  guest: 0xa9fe5602,
  /** That of 9P. */
  port: 564,
  /** As large as IPv4 can be: what costs an emulated guest is frames, not bytes. */
  mtu: MTU,
  segmentBytes: MTU - HEADERS,
} as const

/** Its addresses as a guest's programs take them. */
export const FILES_CARD_TEXT = { server: formatAddress(FILES_CARD.server), guest: formatAddress(FILES_CARD.guest) }

/** By what name a guest with virtio's own 9P finds the file server: v86 has no other. */
export const SHARE_TAG = 'host9p'

/** Longest messages that guests ask for, by their way: as much data as is fastest there, and what is around it, bytes. */
export const SHARE_MSIZE = { virtio: 128 * 1024 + 24, tcp: 512 * 1024 + 24 } as const
