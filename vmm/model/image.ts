/**
 * What a domain boots.
 * - `starter`: kernel + initramfs that Vivarium assembles from Debian packages, with a guest agent
 * - `kernel`: a kernel with an optional initrd
 * - `cdrom`: an ISO 9660 image
 * - `disk`: a raw disk, whatever format it came in; domains write to their own copy-on-write layer
 * - `floppy`: a raw floppy
 */
export const IMAGE_KINDS = ['starter', 'kernel', 'cdrom', 'disk', 'floppy'] as const
export type ImageKind = (typeof IMAGE_KINDS)[number]

/** The files of an image, by role. */
export const IMAGE_ROLES = ['kernel', 'initrd', 'cdrom', 'disk', 'floppy'] as const
export type ImageRole = (typeof IMAGE_ROLES)[number]

export interface ImageFile {
  role: ImageRole
  /** Name inside the image's folder; never a path. */
  name: string
  /** Size in bytes. */
  bytes: number
  /** SHA-256 of the content, hexadecimal; empty for a disk that was converted. */
  sha256: string
}

export interface ImageRecord {
  id: string
  name: string
  kind: ImageKind
  files: ImageFile[]
  /** Kernel command line; empty for images that bring a boot loader. */
  cmdline: string
  /** Whether the image runs qemu-guest-agent on its second serial port. */
  agent: boolean
  /** Milliseconds since the Unix epoch. */
  createdAt: number
}
