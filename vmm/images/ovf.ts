import { XMLParser } from 'fast-xml-parser'
import * as v from 'valibot'
import { VmmError } from '../model/errors'
import { safeText } from '../model/safe-text'

/** A description is some ten KiB long; more is not read. */
export const OVF_LIMIT = 1024 * 1024
/** More disks than a machine has use for. */
const DISK_LIMIT = 16

const attribute = v.pipe(v.string(), v.maxLength(1024))
const Envelope = v.object({
  Envelope: v.object({
    References: v.object({
      File: v.pipe(
        v.array(
          v.object({
            '@id': attribute,
            '@href': attribute,
            '@compression': v.optional(attribute, ''),
            '@chunkSize': v.optional(attribute, ''),
          }),
        ),
        v.maxLength(1000),
      ),
    }),
    DiskSection: v.object({
      Disk: v.pipe(
        v.array(v.object({ '@fileRef': v.optional(attribute, ''), '@parentRef': v.optional(attribute, '') })),
        v.maxLength(1000),
      ),
    }),
  }),
})

/**
 * Names of the disk files that an OVF descriptor (DMTF DSP0243, versions 1 and 2) refers to, in its order. Empty disks,
 * which have no file, are left out. Entities are not expanded, and a document type is refused.
 */
export function ovfDiskFiles(xml: string): string[] {
  const { References, DiskSection } = parseEnvelope(xml).Envelope
  const files = DiskSection.Disk.flatMap((disk) => {
    if (disk['@parentRef'] !== '') throw unsupported('a disk in it holds only what differs from another one')
    if (disk['@fileRef'] === '') return []
    const file = References.File.find((each) => each['@id'] === disk['@fileRef'])
    if (!file) throw damaged(`it has no file '${safeText(disk['@fileRef'], 100)}'`)
    if (file['@chunkSize'] !== '') throw unsupported('a disk in it is split into several files')
    if (!['', 'identity'].includes(file['@compression'])) throw unsupported('a disk in it is compressed as a whole')
    return [file['@href']]
  })
  if (files.length === 0) throw unsupported('it has no disk')
  if (files.length > DISK_LIMIT) throw unsupported(`it has more than ${DISK_LIMIT} disks`)
  return files
}

function parseEnvelope(xml: string): v.InferOutput<typeof Envelope> {
  if (xml.includes('<!DOCTYPE')) throw damaged('its description has a document type')
  try {
    const parser = new XMLParser({
      ignoreAttributes: false,
      attributeNamePrefix: '@',
      removeNSPrefix: true,
      processEntities: false,
      parseAttributeValue: false,
      isArray: (name) => name === 'File' || name === 'Disk',
    })
    return v.parse(Envelope, parser.parse(xml))
  } catch (error) {
    throw damaged('its description is not understood', error)
  }
}

function damaged(what: string, cause?: unknown): VmmError {
  return new VmmError('damaged', `The appliance is damaged: ${what}.`, {
    hint: 'Copy or download the file again, or export the appliance once more.',
    cause,
  })
}

function unsupported(what: string): VmmError {
  return new VmmError('unsupported', `The appliance cannot be taken: ${what}.`, {
    hint: 'Export the machine once more where it came from, as one OVA with ordinary VMDK disks.',
  })
}
