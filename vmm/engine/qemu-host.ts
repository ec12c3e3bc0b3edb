import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { hostname, release, tmpdir } from 'node:os'
import path from 'node:path'
import * as v from 'valibot'
import { asVmmError, VmmError } from '../model/errors'
import { ACCELERATORS, type Accelerator, type AcceleratorChoice } from '../model/hardware'
import { safeText } from '../model/safe-text'
import { runProgram } from '../images/program'
import { findQemuProgram, howToInstallQemu } from '../images/qemu-programs'
import { fileSource, rawSource } from '../images/block-source'
import type { AcceleratorVerdict } from './engine'
import { blockdev } from './qemu-names'
import { PROBE_STATUS, probeDisk } from './qemu-probe-guest'

/** The oldest version with everything that is needed: stream links for network cards. */
const OLDEST = [7, 2] as const
/** How long the smallest guest may take; it takes a tenth of a second where all is well. */
const PROBE_WITHIN_MS = 15_000
/** Best first. What another system would have is not even tried. */
const CANDIDATES: Partial<Record<NodeJS.Platform, readonly Accelerator[]>> = {
  linux: ['kvm', 'tcg'],
  darwin: ['hvf', 'tcg'],
  win32: ['whpx', 'tcg'],
}
/** System calls that QEMU never needs are refused to it, and so to a guest that has broken out into it. */
export const SANDBOX = 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'

const Verdict = v.object({ id: v.picklist(ACCELERATORS), works: v.boolean(), reason: v.string() })
const Remembered = v.object({
  /** Host, kernel and QEMU that the verdicts are of. */
  key: v.string(),
  sandbox: v.boolean(),
  accelerators: v.array(Verdict),
})

export interface QemuHost {
  binary: string
  /** Such as '7.2.22'. */
  version: string
  /** Whether this build can refuse system calls to itself. */
  sandbox: boolean
  accelerators: readonly AcceleratorVerdict[]
}

/** What QEMU there is on this host and what really makes guests fast here. Found out once, and remembered in a file. */
export class QemuHosts {
  #finding: Promise<QemuHost> | null = null
  #tryingAnew = false

  /** `file` is where verdicts are remembered, absolute. */
  constructor(
    private readonly file: string,
    private readonly probeWithinMs = PROBE_WITHIN_MS,
  ) {}

  /** Fails with kind `unsupported`, and says what to install, where there is no QEMU that would do. */
  find(anew = false): Promise<QemuHost> {
    if (anew && !this.#tryingAnew) this.#finding = null // who asks meanwhile gets the same
    this.#finding ??= this.#begin(anew)
    return this.#finding
  }

  /** The accelerator for a guest: the best one that works, or the one that was chosen if it does. */
  async choose(choice: AcceleratorChoice): Promise<Accelerator> {
    const { accelerators } = await this.find()
    const wanted = accelerators.filter(({ id }) => choice === 'auto' || id === choice)
    const found = wanted.find(({ works }) => works)
    if (found) return found.id
    const why = wanted[0]?.reason ?? 'It is not for this system.'
    const what = choice === 'auto' ? 'No accelerator works here.' : `The accelerator ${choice} does not work here.`
    throw new VmmError('unsupported', `${what} ${why}`, {
      hint: "Choose 'auto' or 'tcg' in the settings of the domain.",
    })
  }

  /** A guest has died of its accelerator: it is not chosen again until somebody has it tried anew. */
  async condemn(accelerator: Accelerator, reason: string): Promise<void> {
    const host = await this.find()
    const accelerators = host.accelerators.map((each) =>
      each.id === accelerator ? { ...each, works: false, reason } : each,
    )
    this.#finding = Promise.resolve({ ...host, accelerators })
    await this.#remember({ key: keyOf(host.binary, host.version), sandbox: host.sandbox, accelerators })
  }

  async #begin(anew: boolean): Promise<QemuHost> {
    this.#tryingAnew = anew
    try {
      return await this.#find(anew)
    } catch (error) {
      this.#finding = null // it may be installed meanwhile
      throw error
    } finally {
      this.#tryingAnew = false
    }
  }

  async #find(anew: boolean): Promise<QemuHost> {
    const binary = await findQemuProgram('qemu-system-x86_64')
    if (binary === null) {
      throw new VmmError('unsupported', 'QEMU is not installed on this host.', { hint: howToInstallQemu() })
    }
    const version = await versionOf(binary, this.probeWithinMs)
    const key = keyOf(binary, version)
    const remembered = anew ? null : await this.#recall()
    if (remembered?.key === key) return { binary, version, ...remembered }
    const found = await tryOut(binary, this.probeWithinMs)
    await this.#remember({ key, ...found })
    return { binary, version, ...found }
  }

  async #recall() {
    const text = await readFile(this.file, 'utf8').catch(() => '')
    const read = v.safeParse(v.pipe(v.string(), v.parseJson(), Remembered), text)
    return read.success ? read.output : null
  }

  async #remember(found: {
    key: string
    sandbox: boolean
    accelerators: readonly AcceleratorVerdict[]
  }): Promise<void> {
    try {
      await mkdir(path.dirname(this.file), { recursive: true, mode: 0o700 })
      await writeFile(`${this.file}.partial`, JSON.stringify(found), { mode: 0o600 })
      await rename(`${this.file}.partial`, this.file)
    } catch {
      // as on a full disk: this main knows it, the next one finds out again
    }
  }
}

function keyOf(binary: string, version: string): string {
  return [hostname(), release(), binary, version].join('\n')
}

async function versionOf(binary: string, withinMs: number): Promise<string> {
  const { stdout } = await runProgram(binary, ['--version'], { signal: AbortSignal.timeout(withinMs) }).catch(
    (cause: unknown) => {
      throw new VmmError('unsupported', "This host's QEMU does not tell its version.", {
        hint: howToInstallQemu(),
        cause,
      })
    },
  )
  const [version = '', major, minor] = /version (\d+)\.(\d+)(?:\.\d+)?/.exec(stdout) ?? []
  const found = [Number(major ?? 0), Number(minor ?? 0)]
  const [oldestMajor, oldestMinor] = OLDEST
  const fits = (found[0] ?? 0) > oldestMajor || (found[0] === oldestMajor && (found[1] ?? 0) >= oldestMinor)
  if (fits) return version.replace('version ', '')
  const shown = version.replace('version ', '') || safeText(stdout.split('\n')[0] ?? '', 60)
  throw new VmmError(
    'unsupported',
    `This host's QEMU is ${shown || 'of an unknown version'}; Vivarium needs ${OLDEST.join('.')} or newer.`,
    {
      hint: `Install a newer one. ${howToInstallQemu()}`,
    },
  )
}

/** Some containers refuse the sandbox to a QEMU that has one: a guest without it is better than none. */
async function tryOut(binary: string, withinMs: number): Promise<Pick<QemuHost, 'sandbox' | 'accelerators'>> {
  const sandbox = await hasSandbox(binary, withinMs)
  const accelerators = await tryAccelerators(binary, sandbox, withinMs)
  if (!sandbox || accelerators.some(({ works }) => works)) return { sandbox, accelerators }
  const open = await tryAccelerators(binary, false, withinMs)
  return open.some(({ works }) => works) ? { sandbox: false, accelerators: open } : { sandbox, accelerators }
}

/** A build without seccomp does not know the option. */
async function hasSandbox(binary: string, withinMs: number): Promise<boolean> {
  if (process.platform !== 'linux') return false
  const words = ['-sandbox', SANDBOX, '-machine', 'none', '-version']
  const signal = AbortSignal.timeout(withinMs)
  return await runProgram(binary, words, { signal }).then(
    ({ status }) => status === 0,
    () => false,
  )
}

async function tryAccelerators(binary: string, sandbox: boolean, withinMs: number): Promise<AcceleratorVerdict[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'vivarium-probe-'))
  try {
    const disk = path.join(folder, 'probe.img')
    await writeFile(disk, probeDisk(), { mode: 0o600 })
    const verdicts: AcceleratorVerdict[] = []
    for (const id of CANDIDATES[process.platform] ?? ['tcg']) {
      const reason = await bootProbe(binary, id, disk, { sandbox, withinMs }).catch(
        (error: unknown) => asVmmError(error, 'try it').message,
      )
      verdicts.push({ id, works: reason === '', reason })
    }
    return verdicts
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Boots the smallest guest; why it did not come to its end, or ''. It ends with this process, too. */
async function bootProbe(
  binary: string,
  accelerator: Accelerator,
  disk: string,
  { sandbox, withinMs }: { sandbox: boolean; withinMs: number },
): Promise<string> {
  const args = [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-machine', 'q35', '-m', '32'],
    ...['-accel', accelerator, '-cpu', cpuOf(accelerator)],
    ...(sandbox ? ['-sandbox', SANDBOX] : []),
    ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
    ...blockdev('probe', { ...rawSource(fileSource(disk)), 'read-only': true }),
    ...['-device', 'virtio-blk-pci,drive=probe,bootindex=0'],
  ]
  const stop = new AbortController()
  const timer = setTimeout(() => stop.abort(), withinMs)
  let said = ''
  const onStderr = (text: string) => {
    said = (said + text).slice(0, 4096)
    // such a guest stands still for ever
    if (/internal error/i.test(said)) stop.abort()
  }
  const { status } = await runProgram(binary, args, { signal: stop.signal, scratch: disk, onStderr })
    .catch((error: unknown) => {
      if (stop.signal.aborted) return { status: null }
      throw error
    })
    .finally(() => clearTimeout(timer))
  if (status === PROBE_STATUS) return ''
  if (/internal error/i.test(said)) return `A guest on it dies: ${firstLine(said)}.`
  // the shell that guards it tells of a signal by a status above 128
  if (status === null || status > 128) return 'A guest on it does not come to its end.'
  return `QEMU says: ${firstLine(said) || `status ${status}`}.`
}

function firstLine(text: string): string {
  const line = text.split('\n').find((each) => each.trim() !== '') ?? ''
  return safeText(line.replace(/^.*qemu-system-\w+(\.exe)?: /, '').trim(), 200).replace(/\.$/, '')
}

/**
 * The processor that a guest sees: the host's own, or all that can be emulated but SMAP: with it QEMU before 9.1 takes
 * what a program does by `iret` for the kernel's doing, and Linux kills the program (every one of Wine, for instance).
 */
export function cpuOf(accelerator: Accelerator): string {
  return accelerator === 'tcg' ? 'max,smap=off' : 'host'
}
