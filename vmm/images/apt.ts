import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { VmmError } from '../model/errors'
import { runProgram, type ProgramOutcome } from './program'

/** A package as apt would install it. */
export interface AptPackage {
  name: string
  version: string
  /** Name of the .deb file that `download` writes. */
  fileName: string
  bytes: number
}

const PACKAGE_LIMIT = 2000
const POLL_MS = 200

/** Settings of the host that must not reach our apt: hooks that run programs on the host, and extra indexes. */
const LEFT_OUT = /invoke|^dpkg::|^acquire::indextargets|^dir::(cache|state|log)|^apt::architectures?(::| )/i

/**
 * apt with all its state in one folder of ours: no root, no lock, no trace in the host's dpkg or apt. It reads the
 * host's sources, keys, proxies and pins, and looks at i386 packages only.
 */
export class PrivateApt {
  private constructor(
    private readonly configFile: string,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** What went wrong with the last `update`, or '': some indexes may be missing while others are usable. */
  updateTrouble = ''

  /** Prepares `folder`, which must exist and be empty. Every step ends with `cancelled` when `signal` fires. */
  static async open(folder: string, signal?: AbortSignal): Promise<PrivateApt> {
    for (const part of ['state/lists/partial', 'cache/archives/partial', 'parts']) {
      await mkdir(join(folder, part), { recursive: true })
    }
    const host = await runProgram('apt-config', ['dump'], { signal })
    // a value that holds a quote cannot be written back
    const kept = host.stdout.split('\n').filter((line) => /^[\w:./+-]+ "[^"]*";$/.test(line) && !LEFT_OUT.test(line))
    const configFile = join(folder, 'apt.conf')
    await writeFile(configFile, [...kept, ...ownSettings(folder)].join('\n') + '\n')
    return new PrivateApt(configFile, signal)
  }

  /** Fetches the package indexes. An index that fails is remembered in `updateTrouble`; `resolve` decides. */
  async update(): Promise<void> {
    const outcome = await this.run('apt-get', ['-q', 'update'])
    refuseFullDisk(outcome)
    this.updateTrouble = complaints(outcome)
  }

  /** Every package that installing `names` on an empty system would fetch, with its size. */
  async resolve(names: string[]): Promise<AptPackage[]> {
    const outcome = await this.run('apt-get', ['-qq', '-y', '--print-uris', '--download-only', 'install', ...names])
    refuseFullDisk(outcome)
    if (outcome.status !== 0) throw this.unresolved(names, outcome)
    const packages = outcome.stdout.split('\n').flatMap((line) => parseUriLine(line) ?? [])
    if (packages.length === 0 || packages.length > PACKAGE_LIMIT) throw this.unresolved(names, outcome)
    return packages
  }

  /**
   * Fetches `packages` into `folder`, checked against the signed indexes. `onProgress` gets bytes. After a failure
   * the folder can hold part of them.
   */
  async download(
    packages: AptPackage[],
    folder: string,
    onProgress?: (done: number, total: number) => void,
  ): Promise<void> {
    const total = packages.reduce((sum, { bytes }) => sum + bytes, 0)
    const wanted = new Set(packages.map(({ fileName }) => fileName))
    const poll = setInterval(() => {
      void bytesIn(folder, wanted).then((done) => onProgress?.(Math.min(done, total), total))
    }, POLL_MS)
    try {
      const specs = packages.map(({ name, version }) => `${name}=${version}`)
      const outcome = await this.run('apt-get', ['-q', 'download', ...specs], folder)
      refuseFullDisk(outcome)
      if (outcome.status !== 0) throw notDownloaded(outcome)
    } finally {
      clearInterval(poll)
    }
    onProgress?.(total, total)
  }

  private run(command: string, args: string[], cwd?: string): Promise<ProgramOutcome> {
    const env = { APT_CONFIG: this.configFile }
    return runProgram(command, args, { signal: this.signal, env, ...(cwd === undefined ? {} : { cwd }) })
  }

  private unresolved(names: string[], outcome: ProgramOutcome): VmmError {
    const context = { apt: complaints(outcome), update: this.updateTrouble }
    if (/Failed to fetch|Could not resolve|Could not connect|connection/i.test(this.updateTrouble)) {
      return new VmmError('not-found', 'The package servers of this host could not be reached.', {
        hint: 'Check the network and the apt sources of this host, then try again. A kernel, an ISO, a disk or a floppy can be imported instead.',
        context,
      })
    }
    return new VmmError('unsupported', `The apt sources of this host do not offer ${names.join(', ')} for i386.`, {
      hint: 'Debian 12 has them: add it to the apt sources, or import a kernel, an ISO, a disk or a floppy instead.',
      context,
    })
  }
}

/** Unpacks a .deb into `folder`. */
export async function unpackDeb(file: string, folder: string, signal?: AbortSignal): Promise<void> {
  const outcome = await runProgram('dpkg-deb', ['-x', file, folder], { signal })
  refuseFullDisk(outcome)
  if (outcome.status === 0) return
  throw new VmmError('damaged', 'A downloaded package could not be unpacked.', {
    hint: 'Try again.',
    context: { file, dpkg: outcome.stderr.slice(-1000) },
  })
}

function ownSettings(folder: string): string[] {
  const setting = (name: string, value: string) => `${name} "${value}";`
  return [
    setting('Dir::Etc::main', '/dev/null'),
    setting('Dir::Etc::parts', join(folder, 'parts')),
    setting('Dir::State', join(folder, 'state')),
    setting('Dir::State::status', '/dev/null'),
    setting('Dir::Cache', join(folder, 'cache')),
    setting('APT::Architecture', 'i386'),
    setting('APT::Architectures::', 'i386'),
    setting('APT::Install-Recommends', 'false'),
    setting('APT::Install-Suggests', 'false'),
    setting('Acquire::Languages', 'none'),
    setting('Acquire::GzipIndexes', 'true'),
    setting('Acquire::Retries', '1'),
    setting('Acquire::http::Timeout', '20'),
    setting('Acquire::https::Timeout', '20'),
    setting('Debug::NoLocking', 'true'),
    // root would hand downloads to the user _apt, who cannot enter a private folder
    ...(process.getuid?.() === 0 ? [setting('APT::Sandbox::User', 'root')] : []),
  ]
}

/** A line of --print-uris: 'URI' file-name size hash. The file name is name_version_architecture.deb. */
function parseUriLine(line: string): AptPackage | undefined {
  const [, fileName, size] = /^'[^']+' (\S+) (\d{1,12}) \S*$/.exec(line) ?? []
  const [, name, version] = /^([a-z0-9][a-z0-9.+-]*)_([^_/]+)_[a-z0-9]+\.deb$/.exec(fileName ?? '') ?? []
  if (fileName === undefined || name === undefined || version === undefined) return undefined
  return { name, version: version.replaceAll('%3a', ':'), fileName, bytes: Number(size) }
}

async function bytesIn(folder: string, names: ReadonlySet<string>): Promise<number> {
  const present = (await readdir(folder).catch(() => [])).filter((name) => names.has(name))
  const sizes = await Promise.all(
    present.map((name) =>
      stat(join(folder, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** Errors and warnings: offline, apt-get update only warns. */
function complaints({ stderr }: ProgramOutcome): string {
  return stderr
    .split('\n')
    .filter((line) => /^[EW]: /.test(line))
    .join('\n')
    .slice(0, 2000)
}

function refuseFullDisk(outcome: ProgramOutcome): void {
  if (!/No space left on device|enough free space|Disk quota exceeded/i.test(outcome.stderr)) return
  throw new VmmError('disk-full', 'The disk is full.', {
    hint: 'Building the starter image needs about 400 MB for a moment. Free some space and try again.',
    context: { program: outcome.stderr.slice(-1000) },
  })
}

function notDownloaded(outcome: ProgramOutcome): VmmError {
  return new VmmError('not-found', 'A package could not be downloaded from the package servers of this host.', {
    hint: 'Check the network and the apt sources of this host, then try again.',
    context: { apt: complaints(outcome) },
  })
}
