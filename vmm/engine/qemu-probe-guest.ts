const DISK_BYTES = 1024 * 1024
const CODE = [
  'fa31c08ed80f0116cf7c0f20c00c010f22c0ea177c080066b810008ed88ec0bf00100000b9000c000031c0f3abc70500',
  '10000003200000c7050020000003300000c7050030000083000000b8001000000f22d80f20e083c8200f22e0b9800000',
  'c00f320d000100000f300f20c00d000000800f22c0ea7c7c000018000f20e00d000600000f22e00f20c024fb0c020f22',
  'c00f10053d000000660fd4c00f110425005000000fae0425005200000f31b8010000000fa289cb0fbae3177304f30fb8',
  'c30fbae31e73030fc7f0b02ae6f4f41f00d57c00000000000000000000ffff0000009acf00ffff00000092cf00ffff00',
  '00009aaf',
].join('')

/** The status that QEMU ends with when the guest has come to its end: isa-debug-exit makes 0x2a this. */
export const PROBE_STATUS = (0x2a << 1) | 1

/**
 * A disk that boots into the smallest guest that tells whether an accelerator works. That /dev/kvm can be opened says
 * little: where the host is a virtual machine itself, guests may die at their first instruction that its KVM has to
 * emulate. The boot sector (x86, loaded at 0x7c00) goes from real mode by protected mode to long mode, with paging, then
 * uses what every system uses early: SSE2 (movups, paddq), fxsave, rdtsc, cpuid, and popcnt and rdrand where cpuid has
 * them. Then it writes 0x2a to port 0xf4.
 */
export function probeDisk(): Buffer {
  const disk = Buffer.alloc(DISK_BYTES)
  disk.write(CODE, 0, 'hex')
  disk.writeUInt16LE(0xaa55, 510)
  return disk
}
