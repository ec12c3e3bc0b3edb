import { VmmError } from '../model/errors'
import { safeText } from '../model/safe-text'
import { truncated, type FileFacts, type Identity } from './file-facts'

const SECTOR = 2048
const DESCRIPTORS_AT = 16 * SECTOR
/** The descriptors follow each other; the boot record is one of the first. */
const DESCRIPTORS_READ = 6

/** ISO 9660 (ECMA-119, section 8), with the boot record of the El Torito specification. */
export function identifyCdrom(facts: FileFacts): Identity | undefined {
  const { head } = facts
  const descriptors = Array.from({ length: DESCRIPTORS_READ }, (_, index) =>
    head.subarray(DESCRIPTORS_AT + index * SECTOR, DESCRIPTORS_AT + (index + 1) * SECTOR),
  ).filter((sector) => sector.length === SECTOR && sector.toString('latin1', 1, 6) === 'CD001')
  const primary = descriptors.find((sector) => sector[0] === 1)
  if (!primary) return undefined
  const blockSize = primary.readUInt16LE(128)
  const volumeBytes = primary.readUInt32LE(80) * blockSize
  if (blockSize !== SECTOR || volumeBytes === 0) {
    throw new VmmError('invalid', `'${facts.name}' begins like an ISO image, but its volume descriptor is damaged.`, {
      hint: 'Download or copy the file again and compare its checksum.',
    })
  }
  if (volumeBytes > facts.bytes) throw truncated(facts, 'ISO image', volumeBytes)
  const label = safeText(primary.toString('latin1', 40, 72).replace(/[\0 ]+$/, ''))
  const bootable = descriptors.some(
    (sector) => sector[0] === 0 && sector.toString('latin1', 7, 30) === 'EL TORITO SPECIFICATION',
  )
  const warning = bootable ? '' : '; it has no boot record, so nothing can boot from it'
  return { role: 'cdrom', detail: `ISO 9660 image${label ? ` '${label}'` : ''}${warning}` }
}
