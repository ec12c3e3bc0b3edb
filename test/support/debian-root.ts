import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { findCommand } from './display'

const run = promisify(execFile)

/** Built once and kept between runs. */
const CACHE = path.resolve('.vite/test-debian')
const RELEASE = 'bookworm'
const PACKAGES = ['systemd-sysv', 'login', 'udev', 'dbus', 'linux-image-cloud-amd64', 'qemu-guest-agent']
const LEFT_OUT = ['doc', 'man', 'info', 'locale'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`)
/** Root has no password; the rest is as Debian sets it up. */
const HOOKS = ['chroot "$1" passwd --quiet -d root', 'echo kept-by-debian > "$1/etc/hostname"']
const SIZE = '700M'
const SETTINGS = /^acquire::(https?::proxy|check-valid-until|check-date)/i

export interface DebianRoot {
  kernel: string
  initrd: string
  /** A bare ext4 file system, raw. */
  disk: string
}

/** Why a Debian cannot be put together here, for the title of a skipped test; '' when it can. */
export const NO_DEBIAN_ROOT = whyNot()

/** A small Debian with systemd and QEMU's guest agent, whole as mmdebstrap makes it from the sources of this host. */
export async function debianRoot(): Promise<DebianRoot> {
  const key = createHash('sha256')
    .update(JSON.stringify([RELEASE, PACKAGES, LEFT_OUT, HOOKS, SIZE]))
    .digest('hex')
  const place = path.join(CACHE, key.slice(0, 16))
  if (!existsSync(place)) await build(place)
  return {
    kernel: path.join(place, 'vmlinuz'),
    initrd: path.join(place, 'initrd.img'),
    disk: path.join(place, 'root.ext4'),
  }
}

/** Whole or not at all; what an older recipe made is removed. */
async function build(place: string): Promise<void> {
  await rm(CACHE, { recursive: true, force: true })
  await mkdir(CACHE, { recursive: true, mode: 0o700 })
  const scratch = await mkdtemp(path.join(CACHE, 'partial-'))
  const [tree, made] = [path.join(scratch, 'tree'), path.join(scratch, 'made')]
  await mkdir(made)
  const settings = (await run('apt-config', ['dump'])).stdout.split('\n').filter((line) => SETTINGS.test(line))
  await run('mmdebstrap', [
    '--quiet',
    '--variant=minbase',
    '--format=directory',
    `--include=${PACKAGES.join(',')}`,
    ...LEFT_OUT,
    ...settings.map((line) => `--aptopt=${line}`),
    ...HOOKS.map((hook) => `--customize-hook=${hook}`),
    RELEASE,
    tree,
    ...sources(),
  ])
  for (const name of ['vmlinuz', 'initrd.img']) {
    const [found = ''] = readdirSync(path.join(tree, 'boot')).filter((file) => file.startsWith(`${name}-`))
    await cp(path.join(tree, 'boot', found), path.join(made, name))
  }
  await run('mkfs.ext4', ['-q', '-L', 'root', '-d', tree, path.join(made, 'root.ext4'), SIZE])
  await rename(made, place)
  await rm(scratch, { recursive: true, force: true })
}

/** The files of the host's apt that offer the release. */
function sources(): string[] {
  const folder = '/etc/apt/sources.list.d'
  const further = existsSync(folder) ? readdirSync(folder).map((name) => path.join(folder, name)) : []
  return ['/etc/apt/sources.list', ...further].filter(
    (file) =>
      /\.(list|sources)$/.test(file) &&
      existsSync(file) &&
      new RegExp(`(^|\\s)${RELEASE}(\\s|$)`, 'm').test(readFileSync(file, 'utf8')),
  )
}

function whyNot(): string {
  if (process.platform !== 'linux' || process.arch !== 'x64') return '(needs Linux on x86-64)'
  if (process.getuid?.() !== 0) return '(needs root, to put a Debian together)'
  for (const command of ['mmdebstrap', 'mkfs.ext4']) {
    if (!findCommand(command)) return `(needs ${command})`
  }
  return sources().length > 0 ? '' : `(needs apt sources of ${RELEASE})`
}
