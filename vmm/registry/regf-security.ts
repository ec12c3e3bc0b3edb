import { viewOf } from './regf-layout'

/** Rights to a key: all, and to read. (winnt.h) */
const [KEY_ALL_ACCESS, KEY_READ] = [0xf003f, 0x20019]
/** Well-known accounts as the parts of their identifiers: NT authority, then these. */
const ACCOUNT = { SYSTEM: [5, 18], ADMINISTRATORS: [5, 32, 544], USERS: [5, 32, 545] } as const
const CONTAINER_INHERIT = 2
const [HEAD, ACL_HEAD, ACE_HEAD] = [20, 8, 8]
const DACL_PRESENT_SELF_RELATIVE = 0x8004

/**
 * What a key gets that has no security descriptor: it belongs to the administrators; they and the system may do all,
 * users may read. A self-relative descriptor, as MS-DTYP 2.4.6 has it.
 */
export const DEFAULT_DESCRIPTOR: Uint8Array = defaultDescriptor()

function defaultDescriptor(): Uint8Array {
  const owner = identifier(ACCOUNT.ADMINISTRATORS)
  const group = identifier(ACCOUNT.SYSTEM)
  const entries = Buffer.concat([
    allow(ACCOUNT.SYSTEM, KEY_ALL_ACCESS),
    allow(ACCOUNT.ADMINISTRATORS, KEY_ALL_ACCESS),
    allow(ACCOUNT.USERS, KEY_READ),
  ])
  const list = Buffer.alloc(ACL_HEAD)
  list.writeUInt8(2, 0)
  list.writeUInt16LE(ACL_HEAD + entries.length, 2)
  list.writeUInt16LE(3, 4)
  const head = Buffer.alloc(HEAD)
  head.writeUInt8(1, 0)
  head.writeUInt16LE(DACL_PRESENT_SELF_RELATIVE, 2)
  const listAt = HEAD
  const ownerAt = listAt + list.length + entries.length
  head.writeUInt32LE(ownerAt, 4)
  head.writeUInt32LE(ownerAt + owner.length, 8)
  head.writeUInt32LE(listAt, 16)
  return new Uint8Array(Buffer.concat([head, list, entries, owner, group]))
}

/** An entry of an access list, for the key and all below it. */
function allow(account: readonly number[], rights: number): Uint8Array {
  const who = identifier(account)
  const head = Buffer.alloc(ACE_HEAD)
  head.writeUInt8(CONTAINER_INHERIT, 1)
  head.writeUInt16LE(ACE_HEAD + who.length, 2)
  head.writeUInt32LE(rights, 4)
  return Buffer.concat([head, who])
}

function identifier([authority = 0, ...parts]: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(8 + parts.length * 4)
  bytes.set([1, parts.length, 0, 0, 0, 0, 0, authority])
  parts.forEach((part, index) => viewOf(bytes).setUint32(8 + index * 4, part, true))
  return bytes
}
