import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { asVmmError, VmmError } from '../model/errors'
import { PrivateApt, unpackDeb, type AptPackage } from './apt'
import { writeCpio } from './cpio'
import { findProgram } from './program'
import { refuseCancelled, type OnProgress } from './progress'
import { AGENT_PATH, assemble } from './starter-assembly'
import { removeTree, StarterCache, type Manifest } from './starter-cache'
import { GUEST_CMDLINE, GUEST_MODULES, guestFiles } from './starter-guest'
import { UnpackedTree } from './unpacked'

export interface StarterImage {
  /** Absolute paths, in the cache folder. */
  kernel: string
  initrd: string
  bios: string
  vgaBios: string
  /** Kernel command line. */
  cmdline: string
  /** SHA-256 over the recipe and the versions of the packages, hexadecimal. */
  contentKey: string
  /** What it is made of: 'name version', sorted. */
  packages: string[]
}

export interface BuildOptions {
  /** Absolute path; made when missing. */
  cacheFolder: string
  signal?: AbortSignal | undefined
  onProgress?: OnProgress | undefined
}

/** To be raised when the way of assembling changes; a change of the guest's own files is noticed by itself. */
const ASSEMBLY = 1

/** Packages, indexes and the unpacked kernel take 370 MB while building. */
const SCRATCH_BYTES = 400e6

const ROOTS = ['linux-image-686', 'busybox-static', 'qemu-guest-agent', 'seabios']
const IMPORT_INSTEAD = 'Import a kernel with its initrd, an ISO, a disk or a floppy instead.'

/** Debian's releases with a 32-bit kernel. */
const RELEASES = ['bookworm', 'bullseye', 'buster']

/** Whether this host can build the starter image, and if not, why and what to do instead. Quick, without network. */
export async function starterAvailability(): Promise<{ buildable: boolean; reason: string }> {
  const refuse = (why: string) => ({ buildable: false, reason: `${why} ${IMPORT_INSTEAD}` })
  for (const program of ['apt-get', 'apt-config', 'dpkg-deb']) {
    if ((await findProgram([program])) === null) {
      return refuse(`The starter image is built from Debian packages, and this host has no ${program}.`)
    }
  }
  const sources = await readAptSources()
  if (sources !== '' && !RELEASES.some((release) => sources.includes(release)) && !/\b(old)*stable\b/.test(sources)) {
    return refuse(
      'The starter image needs the 32-bit kernel of Debian 12, and the apt sources of this host do not include it.',
    )
  }
  return { buildable: true, reason: '' }
}

/**
 * The starter image: from the cache when it is there whole, else built from Debian packages. A build that fails,
 * is cancelled or is killed leaves nothing behind that looks finished.
 */
export async function buildStarter({ cacheFolder, signal, onProgress }: BuildOptions): Promise<StarterImage> {
  const cache = new StarterCache(cacheFolder, recipe())
  const cached = await cache.find()
  if (cached) return imageAt(cache.place, cached)
  const { buildable, reason } = await starterAvailability()
  if (!buildable) throw new VmmError('unsupported', reason)
  try {
    const scratch = await cache.beginBuild()
    try {
      await refuseLittleRoom(scratch)
      const { tree, packages } = await fetchPackages(scratch, signal, onProgress)
      onProgress?.({ step: 'Assembling the image', done: 4, total: 5, unit: 'steps' })
      const files = await assemble(tree)
      refuseCancelled(signal, 'Building the starter image')
      const manifest = await cache.store(
        scratch,
        files,
        packages.map(({ name, version }) => `${name} ${version}`).sort(),
      )
      onProgress?.({ step: 'Done', done: 5, total: 5, unit: 'steps' })
      return imageAt(cache.place, manifest)
    } finally {
      await removeTree(scratch)
    }
  } catch (error) {
    if (signal?.aborted) throw new VmmError('cancelled', 'Building the starter image was cancelled.', { cause: error })
    throw asVmmError(error, 'build the starter image')
  }
}

/** Checked beforehand: on a disk that fills up, apt-get waits for ever. */
async function refuseLittleRoom(folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  if (bavail * bsize >= SCRATCH_BYTES) return
  throw new VmmError('disk-full', 'There is too little room on the disk to build the starter image.', {
    hint: `Building needs ${SCRATCH_BYTES / 1e6} MB for a moment and keeps 11 MB. Free some space and try again.`,
    context: { folder, available: bavail * bsize },
  })
}

/** Downloads and unpacks what the image is made of; no more of the agent's dependencies than it really links. */
async function fetchPackages(scratch: string, signal: AbortSignal | undefined, onProgress: OnProgress | undefined) {
  const [aptFolder, debs, root] = [join(scratch, 'apt'), join(scratch, 'packages'), join(scratch, 'root')]
  for (const folder of [aptFolder, debs, root]) await mkdir(folder, { mode: 0o700 })
  onProgress?.({ step: 'Looking up packages', done: 0, total: 5, unit: 'steps' })
  const apt = await PrivateApt.open(aptFolder, signal)
  await apt.update()
  const offered = await apt.resolve(ROOTS)

  const tree = new UnpackedTree(root)
  const fetched: AptPackage[] = []
  const fetch = async (packages: AptPackage[], step: string) => {
    await apt.download(packages, debs, (done, total) => onProgress?.({ step, done, total, unit: 'bytes' }))
    onProgress?.({ step: 'Unpacking packages', done: 3, total: 5, unit: 'steps' })
    for (const { fileName } of packages) await unpackDeb(join(debs, fileName), root, signal)
    fetched.push(...packages)
  }
  await fetch(offered.filter(isIngredient), 'Downloading packages')
  for (;;) {
    const { missing } = await tree.librariesOf(AGENT_PATH)
    const more = offered.filter(
      (offer) => !fetched.includes(offer) && missing.some((name) => isPackageOf(name, offer.name)),
    )
    if (more.length === 0) return { tree, packages: fetched }
    await fetch(more, 'Downloading libraries')
  }
}

/** linux-image-686 itself is empty and depends on the package of the present release. */
function isIngredient({ name }: AptPackage): boolean {
  return name !== 'linux-image-686' && (ROOTS.includes(name) || /^linux-image-\d.*-686$/.test(name))
}

/** Debian names a library's package after it: libglib-2.0.so.0 is in libglib2.0-0, or libglib2.0-0t64. */
function isPackageOf(library: string, packageName: string): boolean {
  const letters = (name: string) => name.replace(/[^a-z0-9]/g, '')
  return letters(library.replace('.so', '')) === letters(packageName.replace(/t64$/, ''))
}

function recipe(): string {
  const parts = [String(ASSEMBLY), GUEST_MODULES.join(' '), ROOTS.join(' ')]
  return createHash('sha256').update(parts.join('\n')).update(writeCpio(guestFiles())).digest('hex')
}

function imageAt(folder: string, { contentKey, packages }: Manifest): StarterImage {
  return {
    kernel: join(folder, 'kernel'),
    initrd: join(folder, 'initrd'),
    bios: join(folder, 'bios.bin'),
    vgaBios: join(folder, 'vgabios.bin'),
    cmdline: GUEST_CMDLINE,
    contentKey,
    packages,
  }
}

async function readAptSources(): Promise<string> {
  const folder = '/etc/apt/sources.list.d'
  const names = (await readdir(folder).catch(() => [])).filter((name) => /\.(list|sources)$/.test(name))
  const files = ['/etc/apt/sources.list', ...names.map((name) => join(folder, name))]
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')))
  return texts
    .join('\n')
    .replace(/^\s*#.*$/gm, '')
    .trim()
}
