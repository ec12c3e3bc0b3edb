import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { aptOptions, CACHE, RELEASE, sources } from './debian-root'

const run = promisify(execFile)

/** That of the starter image. */
const ARCHITECTURE = 'i386'
const PACKAGES = ['dash', 'coreutils', 'findutils', 'grep', 'sed', 'tar', 'gzip'].concat(
  ['git', 'sqlite3', 'python3'],
  ['make', 'tcc', 'libc6-dev'],
)
/** Its Makefile builds it as it is; a configure script alone takes an emulated guest minutes. */
const SOURCE = 'lua5.4'
const FETCH = `mkdir -p "$1/src" "$1/proc" "$1/mnt" && cd "$1/src" && APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get source --download-only ${SOURCE}`

/**
 * A folder with programs of Debian, unpacked and not set up, and a source package in /src: for a guest that has it as
 * a share, to chroot into. Built once and kept between runs.
 */
export async function guestTools(): Promise<string> {
  const recipe = JSON.stringify([RELEASE, ARCHITECTURE, PACKAGES, FETCH])
  const place = path.join(CACHE, `tools-${createHash('sha256').update(recipe).digest('hex').slice(0, 16)}`)
  if (!existsSync(place)) await unpack(place)
  return place
}

/** Whole or not at all; what an older recipe made is removed. */
async function unpack(place: string): Promise<void> {
  await mkdir(CACHE, { recursive: true, mode: 0o700 })
  for (const old of readdirSync(CACHE).filter((each) => each.startsWith('tools-'))) {
    await rm(path.join(CACHE, old), { recursive: true, force: true })
  }
  const scratch = await mkdtemp(path.join(CACHE, 'tools-partial-'))
  const tree = path.join(scratch, 'tree')
  const words = [
    '--quiet',
    '--variant=extract',
    `--architectures=${ARCHITECTURE}`,
    '--format=directory',
    `--include=${PACKAGES.join(',')}`,
  ]
  const leftOut = ['doc', 'man', 'info', 'locale'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`)
  const from = await releaseSources(scratch)
  await run('mmdebstrap', [
    ...words,
    ...leftOut,
    ...(await aptOptions()),
    `--extract-hook=${FETCH}`,
    RELEASE,
    tree,
    ...from,
  ])
  await rename(tree, place)
  await rm(scratch, { recursive: true, force: true })
}

/** The places of the host's apt that have the release itself, for programs and for their source. */
async function releaseSources(folder: string): Promise<string[]> {
  const copies: string[] = []
  for (const file of sources()) {
    const entries = readFileSync(file, 'utf8').split(file.endsWith('.list') ? /\n/ : /\n{2,}/)
    const text = entries.filter((entry) => !entry.includes(`${RELEASE}-security`)).join('\n\n')
    const ofSource = text.replace(/^Types:.*$/gm, 'Types: deb-src').replace(/^deb(?= )/gm, 'deb-src')
    for (const [kind, content] of Object.entries({ programs: text, source: ofSource })) {
      const copy = path.join(folder, `${kind}-${path.basename(file)}`)
      await writeFile(copy, content)
      copies.push(copy)
    }
  }
  return copies
}
