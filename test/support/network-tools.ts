import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { PrivateApt, unpackDeb } from '../../vmm/images/apt'
import { writeCpio, type CpioEntry } from '../../vmm/images/cpio'
import { Elf } from '../../vmm/images/elf'
import { buildStarter, starterAvailability, type StarterImage } from '../../vmm/images/starter'
import { UnpackedTree } from '../../vmm/images/unpacked'
import { seedStarter } from './starter'

const compress = promisify(gzip)

/** Built once and kept between runs. */
const CACHE = path.resolve('.vite/test-network-tools')
/** Real clients and tools: where each package has its program, and where the guest gets it. */
const PROGRAMS = {
  curl: ['usr/bin/curl', 'usr/bin/curl'],
  ethtool: ['sbin/ethtool', 'usr/sbin/ethtool'],
  iperf3: ['usr/bin/iperf3', 'usr/bin/iperf3'],
  'netcat-openbsd': ['bin/nc.openbsd', 'usr/bin/nc.openbsd'],
  sockperf: ['usr/bin/sockperf', 'usr/bin/sockperf'],
  tcpdump: ['usr/bin/tcpdump', 'usr/bin/tcpdump'],
} as const
/** For programs that name their user, and ask for the protocol's number. */
const FURTHER: CpioEntry[] = [
  { kind: 'file', path: 'etc/protocols', content: 'ip 0 IP\nicmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\n' },
]

const { buildable, reason } = await starterAvailability()
/** Why the tools cannot be had here, for the title of a skipped suite; '' when they can. */
export const NO_NETWORK_TOOLS = buildable || existsSync(place()) ? '' : `(${reason})`

/**
 * The same as `seedStarter`, with iperf3, curl, tcpdump, ethtool, sockperf and a full netcat in the guest: the starter's
 * initramfs with one more archive behind it, as Debian's packages for i386 have them.
 */
export async function seedNetworkTools(dataFolder: string): Promise<void> {
  await seedStarter(dataFolder)
  const cache = path.join(dataFolder, 'cache', 'starter')
  for (const name of await readdir(cache)) {
    const folder = path.join(cache, name)
    const [initrd, manifest] = [path.join(folder, 'initrd'), path.join(folder, 'manifest.json')]
    const whole = Buffer.concat([await readFile(initrd), await networkTools()])
    const sealed = JSON.parse(await readFile(manifest, 'utf8')) as Manifest
    sealed.files.initrd = { bytes: whole.length, sha256: sha256(whole) }
    sealed.contentKey = sha256(Buffer.from(sealed.contentKey + sealed.files.initrd.sha256))
    for (const file of [initrd, manifest]) await chmod(file, 0o600)
    await writeFile(initrd, whole)
    await writeFile(manifest, JSON.stringify(sealed))
  }
}

/** The image itself, in `folder`. */
export async function networkToolsImage(folder: string): Promise<StarterImage> {
  await seedNetworkTools(folder)
  return buildStarter({ cacheFolder: path.join(folder, 'cache', 'starter') })
}

/** What is changed of the manifest; see starter-cache.ts. */
interface Manifest {
  contentKey: string
  files: { initrd: { bytes: number; sha256: string } }
}

/** A compressed cpio archive, which the kernel unpacks over what it has unpacked before. */
async function networkTools(): Promise<Buffer> {
  if (!existsSync(place())) await build()
  return readFile(place())
}

function place(): string {
  const recipe = sha256(Buffer.from(JSON.stringify([PROGRAMS, FURTHER])))
  return path.join(CACHE, `${recipe.slice(0, 16)}.cpio.gz`)
}

/** Whole or not at all; what an older recipe made is removed. */
async function build(): Promise<void> {
  await rm(CACHE, { recursive: true, force: true })
  await mkdir(CACHE, { recursive: true, mode: 0o700 })
  const scratch = await mkdtemp(path.join(CACHE, 'partial-'))
  const [aptFolder, debs, root] = ['apt', 'packages', 'root'].map((name) => path.join(scratch, name)) as Three
  for (const folder of [aptFolder, debs, root]) await mkdir(folder)
  const apt = await PrivateApt.open(aptFolder)
  await apt.update()
  const packages = await apt.resolve(Object.keys(PROGRAMS))
  await apt.download(packages, debs)
  for (const { fileName } of packages) await unpackDeb(path.join(debs, fileName), root)
  const archive = writeCpio([...(await programFiles(new UnpackedTree(root))), ...FURTHER])
  const made = path.join(scratch, 'made')
  await writeFile(made, await compress(archive))
  await rename(made, place())
  await rm(scratch, { recursive: true, force: true })
}

type Three = [string, string, string]

/** The programs with the libraries that they link, and the loader that belongs to those. */
async function programFiles(tree: UnpackedTree): Promise<CpioEntry[]> {
  const files = new Map<string, Buffer>()
  for (const [from, to] of Object.values(PROGRAMS)) {
    const program = await mustRead(tree, from)
    const loader = new Elf(program).interpreter().replace(/^\//, '')
    const { found, missing } = await tree.librariesOf(from)
    if (missing.length > 0) throw new Error(`${from} needs ${missing.join(', ')}, which no package holds`)
    for (const [name, content] of found) files.set(`lib/i386-linux-gnu/${name}`, content)
    files.set(loader, await mustRead(tree, loader)).set(to, program)
  }
  return [...files].map(([name, content]) => ({ kind: 'file', path: name, content, mode: 0o755 }))
}

async function mustRead(tree: UnpackedTree, name: string): Promise<Buffer> {
  const content = await tree.read(name)
  if (!content) throw new Error(`no package holds ${name}`)
  return content
}

function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}
