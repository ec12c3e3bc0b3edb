import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { bootstrap, keptBuild, RELEASE, sources } from './debian-root'

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
export function guestTools(): Promise<string> {
  return keptBuild('tools', [ARCHITECTURE, PACKAGES, FETCH], async (scratch) => {
    const tree = path.join(scratch, 'tree')
    const options = ['--variant=extract', `--architectures=${ARCHITECTURE}`, `--extract-hook=${FETCH}`]
    await bootstrap(options, PACKAGES, tree, { from: await releaseSources(scratch) })
    return tree
  })
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
