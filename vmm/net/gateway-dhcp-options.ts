/** DHCP options by their numbers (RFC 2132). */
export const OPTION = {
  pad: 0,
  mask: 1,
  router: 3,
  dns: 6,
  mtu: 26,
  broadcast: 28,
  requestedAddress: 50,
  leaseTime: 51,
  overload: 52,
  messageType: 53,
  serverId: 54,
  clientId: 61,
  end: 255,
} as const

/** Where the fields of a message are, bytes from its beginning (RFC 2131, 2). */
export const FIELD = {
  op: 0,
  hardwareType: 1,
  hardwareLength: 2,
  transaction: 4,
  flags: 10,
  clientAddress: 12,
  yourAddress: 16,
  relayAddress: 24,
  hardwareAddress: 28,
  serverName: 44,
  file: 108,
  cookie: 236,
  options: 240,
} as const
const IN_FILE = 1
const IN_NAME = 2

/**
 * The options of a message by number; of one that is given twice, the first. A length beyond its field ends the
 * reading of that field; a missing end does no harm. The values are parts of `message`.
 */
export function readOptions(message: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>()
  readField(message.subarray(FIELD.options), found)
  const overload = found.get(OPTION.overload)?.[0] ?? 0
  if (overload & IN_FILE) readField(message.subarray(FIELD.file, FIELD.cookie), found)
  if (overload & IN_NAME) readField(message.subarray(FIELD.serverName, FIELD.file), found)
  return found
}

function readField(field: Buffer, found: Map<number, Buffer>): void {
  let at = 0
  while (at < field.length) {
    const option = field[at++]!
    if (option === OPTION.end) return
    if (option === OPTION.pad) continue
    const length = field[at++]
    if (length === undefined || at + length > field.length) return
    if (!found.has(option)) found.set(option, field.subarray(at, at + length))
    at += length
  }
}

/** The options as bytes, with their end. */
export function writeOptions(options: Iterable<readonly [option: number, value: Uint8Array]>): Buffer {
  const parts: Uint8Array[] = []
  for (const [option, value] of options) parts.push(Uint8Array.of(option, value.length), value)
  return Buffer.concat([...parts, Uint8Array.of(OPTION.end)])
}

/** An unsigned 32-bit number, such as an address, as an option holds it. */
export function four(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
