import { VmmError } from '../model/errors'
import { safeText } from '../model/safe-text'
import { truncated, type FileFacts, type Identity } from './file-facts'

/** Where the fields of a Linux x86 kernel's header are (Linux: Documentation/x86/boot.rst). */
const SETUP_SECTORS = 0x1f1
const PROTECTED_PARAGRAPHS = 0x1f4
const BOOT_FLAG = 0x1fe
const MAGIC = 0x202
const PROTOCOL = 0x206
const VERSION_POINTER = 0x20e
const LOAD_FLAGS = 0x211
const EXTENDED_LOAD_FLAGS = 0x236

const PARAGRAPH = 16
const LOADED_HIGH = 1
const HAS_64_BIT_ENTRY = 1
const SETUP_SECTORS_LIMIT = 64

/** A Linux x86 kernel (bzImage). */
export function identifyKernel(facts: FileFacts): Identity | undefined {
  const { head, name } = facts
  if (head.length < 0x268 || head.toString('latin1', MAGIC, MAGIC + 4) !== 'HdrS') return undefined
  const setupSectors = (head[SETUP_SECTORS] ?? 0) || 4
  const protocol = head.readUInt16LE(PROTOCOL)
  if (head.readUInt16LE(BOOT_FLAG) !== 0xaa55 || setupSectors > SETUP_SECTORS_LIMIT || protocol >> 8 !== 2) {
    throw new VmmError('invalid', `'${name}' begins like a Linux kernel, but its header is damaged.`, {
      hint: 'Download or copy the file again and compare its checksum.',
    })
  }
  if (((head[LOAD_FLAGS] ?? 0) & LOADED_HIGH) === 0 || protocol < 0x204) {
    throw new VmmError('unsupported', `'${name}' is a Linux kernel of an old kind (zImage) that no engine loads.`, {
      hint: 'Choose a bzImage, as every distribution has since 2005.',
    })
  }
  const expected = (setupSectors + 1) * 512 + head.readUInt32LE(PROTECTED_PARAGRAPHS) * PARAGRAPH
  // whoever built it rounded up to whole paragraphs, and may have written the last one only in part
  if (expected - PARAGRAPH >= facts.bytes) throw truncated(facts, 'kernel', expected)
  const is64Bit = protocol >= 0x20c && (head.readUInt16LE(EXTENDED_LOAD_FLAGS) & HAS_64_BIT_ENTRY) !== 0
  const kind = is64Bit ? '64-bit: it needs the qemu engine, the embedded engine runs 32-bit kernels only' : '32-bit'
  return { role: 'kernel', detail: `Linux kernel${versionOf(head)}, ${kind}` }
}

function versionOf(head: Buffer): string {
  const pointer = head.readUInt16LE(VERSION_POINTER)
  const at = pointer + 0x200
  if (pointer === 0 || at >= head.length) return ''
  const [version] = head.toString('latin1', at, Math.min(at + 80, head.length)).split(/[\0 ]/)
  return version ? ` ${safeText(version)}` : ''
}
