import { VmmError } from '../model/errors'
import type { FileFacts, Identity } from './file-facts'
import { identifyArchive } from './identify-archive'
import { identifyCdrom } from './identify-cdrom'
import { identifyDisk } from './identify-disk'
import { identifyForeign } from './identify-foreign'
import { identifyKernel } from './identify-kernel'

/**
 * What a file is, by its content alone. Throws `VmmError` for everything that cannot be an image. The order matters:
 * a kernel begins like a Windows program, and an ISO image can begin like a disk.
 */
export function identify(facts: FileFacts): Identity {
  const kernel = identifyKernel(facts)
  if (kernel) return kernel
  const cdrom = identifyCdrom(facts)
  if (cdrom) return cdrom
  const found = identifyForeign(facts) ?? identifyArchive(facts) ?? identifyDisk(facts)
  if (found) return found
  throw new VmmError('invalid', `'${facts.name}' is no image that Vivarium knows.`, {
    hint: 'Choose a kernel (bzImage), an initrd, an ISO, a disk (raw, qcow2, VMDK, VDI, VHD, VHDX), an OVA or a floppy image.',
  })
}
