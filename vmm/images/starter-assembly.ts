import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { VmmError } from '../model/errors'
import { writeCpio, type CpioEntry } from './cpio'
import { Elf } from './elf'
import { aliasTable, collectModules, dependencyTable } from './kernel-modules'
import { GUEST_MODULES, guestFiles } from './starter-guest'
import type { UnpackedTree } from './unpacked'

const compress = promisify(gzip)

export const AGENT_PATH = 'usr/sbin/qemu-ga'

/** Kernel and firmware, and the initramfs made from the packages in `tree`, by the name each has in the cache. */
export async function assemble(tree: UnpackedTree): Promise<Map<string, Buffer>> {
  const release = await kernelRelease(tree)
  const archive = writeCpio([
    ...guestFiles(),
    { kind: 'file', path: 'bin/busybox', mode: 0o755, content: await mustRead(tree, 'bin/busybox') },
    ...(await agentFiles(tree)),
    ...(await moduleFiles(tree, release)),
  ])
  return new Map([
    ['kernel', await mustRead(tree, `boot/vmlinuz-${release}`)],
    ['initrd', await compress(archive, { level: 9 })],
    ['bios.bin', await mustRead(tree, 'usr/share/seabios/bios.bin')],
    ['vgabios.bin', await mustRead(tree, 'usr/share/seabios/vgabios-stdvga.bin')],
  ])
}

async function kernelRelease(tree: UnpackedTree): Promise<string> {
  const releases = await readdir(join(tree.folder, 'lib/modules')).catch(() => [])
  const [release] = releases
  if (release === undefined || releases.length > 1) throw incomplete('kernel modules')
  return release
}

async function agentFiles(tree: UnpackedTree): Promise<CpioEntry[]> {
  const agent = await mustRead(tree, AGENT_PATH)
  const loader = new Elf(agent).interpreter().replace(/^\//, '')
  const { found, missing } = await tree.librariesOf(AGENT_PATH)
  if (missing.length > 0) throw incomplete(missing.join(', '))
  const program = (path: string, content: Buffer): CpioEntry => ({ kind: 'file', path, content, mode: 0o755 })
  return [
    program(AGENT_PATH, agent),
    program(loader, await mustRead(tree, loader)),
    // the loader itself can be among them; the one above serves
    ...[...found]
      .filter(([name]) => !loader.endsWith(`/${name}`))
      .map(([name, content]) => program(`lib/i386-linux-gnu/${name}`, content)),
  ]
}

async function moduleFiles(tree: UnpackedTree, release: string): Promise<CpioEntry[]> {
  const root = `lib/modules/${release}`
  const modules = await collectModules(join(tree.folder, root), GUEST_MODULES)
  const folders = new Set(
    modules.flatMap(({ path }) =>
      path
        .split('/')
        .slice(0, -1)
        .map((_, depth, parts) => parts.slice(0, depth + 1).join('/')),
    ),
  )
  return [
    { kind: 'directory', path: root },
    ...[...folders].map((folder): CpioEntry => ({ kind: 'directory', path: `${root}/${folder}` })),
    ...modules.map(({ path, content }): CpioEntry => ({ kind: 'file', path: `${root}/${path}`, content })),
    { kind: 'file', path: `${root}/modules.dep`, content: dependencyTable(modules) },
    { kind: 'file', path: `${root}/modules.alias`, content: aliasTable(modules) },
  ]
}

async function mustRead(tree: UnpackedTree, path: string): Promise<Buffer> {
  const content = await tree.read(path)
  if (!content) throw incomplete(path)
  return content
}

function incomplete(what: string): VmmError {
  return new VmmError(
    'unsupported',
    `The starter image cannot be built: the packages of this host's apt sources hold no ${what}.`,
    {
      hint: 'Debian 12 packages are known to work. A kernel, an ISO, a disk or a floppy can be imported instead.',
    },
  )
}
