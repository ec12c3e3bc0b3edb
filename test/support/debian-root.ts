import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { findCommand } from './display'

const run = promisify(execFile)

const CACHE = path.resolve('.vite/test-debian')
export const RELEASE = 'bookworm'
/** Documentation, as dpkg matches it; no Debian of ours has it. */
const LEFT_OUT = ['doc', 'man', 'info', 'locale'].map((name) => `/usr/share/${name}/*`)
const SETTINGS = /^acquire::(https?::proxy|check-valid-until|check-date)/i

/** What a Debian of ours is made of. */
export interface DebianRecipe {
  /** Under which it is kept. */
  name: string
  packages: readonly string[]
  /** Files that are not unpacked, beside documentation, as dpkg matches them. */
  leftOut: readonly string[]
  /** Shell lines for when its first packages are there, and all; $1 is its root. */
  early: readonly string[]
  hooks: readonly string[]
  /** Of its disk, as mkfs takes it. */
  size: string
  /** A folder of it that stays on the host instead of its disk; '' when none does. */
  apart: string
}

export interface DebianRoot {
  kernel: string
  initrd: string
  /** A bare ext4 file system, raw. */
  disk: string
  /** What its recipe sets apart. */
  apart: string
}

/** A small Debian with systemd and QEMU's guest agent. Root has no password; the rest is as Debian sets it up. */
const SMALL: DebianRecipe = {
  name: 'small',
  packages: ['systemd-sysv', 'login', 'udev', 'dbus', 'linux-image-cloud-amd64', 'qemu-guest-agent'],
  leftOut: [],
  early: [],
  hooks: ['chroot "$1" passwd --quiet -d root', 'echo kept-by-debian > "$1/etc/hostname"'],
  size: '700M',
  apart: '',
}

/** Why a Debian cannot be put together here, for the title of a skipped test; '' when it can. */
export const NO_DEBIAN_ROOT = whyNot()

/** A Debian as mmdebstrap makes it from the sources of this host. */
export async function debianRoot(recipe = SMALL): Promise<DebianRoot> {
  const place = await keptBuild(recipe.name, recipe, (scratch) => build(recipe, scratch))
  return {
    kernel: path.join(place, 'vmlinuz'),
    initrd: path.join(place, 'initrd.img'),
    disk: path.join(place, 'root.ext4'),
    apart: path.join(place, 'apart'),
  }
}

/**
 * A folder that is built once and kept between runs, whole or not at all; `make` gives what is to be kept, made in a
 * scratch folder. What an older recipe of the name made is removed.
 */
export async function keptBuild(name: string, recipe: object, make: (scratch: string) => Promise<string>) {
  const key = createHash('sha256').update(JSON.stringify([RELEASE, LEFT_OUT, recipe]))
  const place = path.join(CACHE, `${name}-${key.digest('hex').slice(0, 16)}`)
  if (existsSync(place)) return place
  await mkdir(CACHE, { recursive: true, mode: 0o700 })
  for (const old of readdirSync(CACHE).filter((each) => each.startsWith(`${name}-`))) {
    await rm(path.join(CACHE, old), { recursive: true, force: true })
  }
  const scratch = await mkdtemp(path.join(CACHE, `${name}-partial-`))
  await rename(await make(scratch), place)
  await rm(scratch, { recursive: true, force: true })
  return place
}

async function build({ packages, leftOut, early, hooks, size, apart }: DebianRecipe, scratch: string): Promise<string> {
  const [tree, made] = [path.join(scratch, 'tree'), path.join(scratch, 'made')]
  await mkdir(made)
  const steps = [...early.map((hook) => `--essential-hook=${hook}`), ...hooks.map((hook) => `--customize-hook=${hook}`)]
  await bootstrap(['--variant=minbase', ...steps], packages, tree, { leftOut })
  for (const file of ['vmlinuz', 'initrd.img']) {
    const [found = ''] = readdirSync(path.join(tree, 'boot')).filter((each) => each.startsWith(`${file}-`))
    await cp(path.join(tree, 'boot', found), path.join(made, file))
  }
  if (apart !== '') await rename(path.join(tree, apart), path.join(made, 'apart'))
  await run('mkfs.ext4', ['-q', '-L', 'root', '-d', tree, path.join(made, 'root.ext4'), size])
  return made
}

/** A folder with packages of the release and what they depend on, without documentation, as mmdebstrap makes it. */
export async function bootstrap(
  options: readonly string[],
  packages: readonly string[],
  tree: string,
  { leftOut = [], from = sources() }: { leftOut?: readonly string[]; from?: readonly string[] } = {},
): Promise<void> {
  await run('mmdebstrap', [
    '--quiet',
    '--format=directory',
    ...options,
    `--include=${packages.join(',')}`,
    ...[...LEFT_OUT, ...leftOut].map((glob) => `--dpkgopt=path-exclude=${glob}`),
    ...(await aptOptions()),
    RELEASE,
    tree,
    ...from,
  ])
}

/** How the host's apt reaches its sources, for mmdebstrap. */
async function aptOptions(): Promise<string[]> {
  const { stdout } = await run('apt-config', ['dump'])
  return stdout.split('\n').flatMap((line) => (SETTINGS.test(line) ? [`--aptopt=${line}`] : []))
}

/** The files of the host's apt that offer the release. */
export function sources(): string[] {
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
