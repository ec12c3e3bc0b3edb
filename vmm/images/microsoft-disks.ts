import { differencing, type DiskFile } from './disk-file'

/** Virtual Hard Disk Image Format Specification 1.0; numbers are big-endian. */
const VHD_COOKIE = 'conectix'
const VHD_FOOTER_BYTES = 512
const VHD_DIFFERENCING = 4

/** Refuses a VHD that holds only differences. A dynamic one has its footer at the beginning as well. */
export async function checkVhd(file: DiskFile): Promise<void> {
  const { range } = file
  for (const at of [0, range.bytes - VHD_FOOTER_BYTES]) {
    const footer = await range.read(Math.max(0, at), VHD_FOOTER_BYTES)
    const isFooter = footer.length >= 64 && footer.toString('latin1', 0, 8) === VHD_COOKIE
    if (isFooter && footer.readUInt32BE(60) === VHD_DIFFERENCING) {
      throw differencing(file, 'a differencing disk (VHD)', 'Hyper-V')
    }
  }
}

/** [MS-VHDX]; numbers are little-endian, GUIDs in the byte order of the file. */
const REGION_TABLES = [192 * 1024, 256 * 1024]
const REGION_LIMIT = 2047
const METADATA_REGION = '06a27c8b90479a4bb8fe575f050f886e'
const METADATA_TABLE_BYTES = 64 * 1024
const FILE_PARAMETERS = '3767a1ca36fa434db3b633f0aa44e76b'
const HAS_PARENT = 2

/** Refuses a VHDX that holds only differences. What else is wrong with it, QEMU says. */
export async function checkVhdx(file: DiskFile): Promise<void> {
  for (const at of REGION_TABLES) {
    const regions = await file.range.read(at, 64 * 1024)
    const metadata = entryOf(regions, 'regi', 8, 16, METADATA_REGION)
    if (!metadata) continue
    const offset = Number(metadata.readBigUInt64LE(16))
    const table = await file.range.read(offset, METADATA_TABLE_BYTES)
    const parameters = entryOf(table, 'metadata', 10, 32, FILE_PARAMETERS)
    if (!parameters) continue
    const flags = await file.range.read(offset + parameters.readUInt32LE(16) + 4, 4)
    if (flags.length === 4 && (flags.readUInt32LE(0) & HAS_PARENT) !== 0) {
      throw differencing(file, 'a differencing disk (VHDX)', 'Hyper-V')
    }
  }
}

/** The entry of 32 bytes that begins with `guid` in a table whose entries begin at `first`. */
function entryOf(table: Buffer, magic: string, countAt: number, first: number, guid: string): Buffer | undefined {
  if (table.length < first || table.toString('latin1', 0, magic.length) !== magic) return undefined
  const count = Math.min(REGION_LIMIT, table.readUInt16LE(countAt))
  const entries = Array.from({ length: count }, (_, index) =>
    table.subarray(first + index * 32, first + index * 32 + 32),
  )
  return entries.find((entry) => entry.length === 32 && entry.toString('hex', 0, 16) === guid)
}
