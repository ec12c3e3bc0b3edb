import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { VmmError } from '../model/errors'
import { findProgram } from './program'

export type QemuProgram = 'qemu-img' | 'qemu-system-x86_64'

/** Where QEMU is when it is not on the path. */
const USUAL_FOLDERS: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  linux: ['/usr/bin', '/usr/local/bin', '/usr/libexec', '/snap/bin', '/home/linuxbrew/.linuxbrew/bin'],
  darwin: ['/opt/homebrew/bin', '/usr/local/bin', '/opt/local/bin'],
  win32: [join(process.env.ProgramFiles ?? 'C:\\Program Files', 'qemu'), 'C:\\msys64\\mingw64\\bin'],
}

/** Red Hat's systems have the emulator outside the path, under this name. */
const OTHER_NAMES: Record<QemuProgram, readonly string[]> = {
  'qemu-img': [],
  'qemu-system-x86_64': ['qemu-kvm'],
}

/** The words of os-release(5) by which each family is told, and its command. */
const LINUX_COMMANDS: readonly [family: RegExp, command: string][] = [
  [/\b(debian|ubuntu)\b/, 'sudo apt install qemu-system-x86 qemu-utils ovmf'],
  [/\bfedora\b(?!.*\b(rhel|centos)\b)/, 'sudo dnf install qemu-system-x86-core qemu-img edk2-ovmf'],
  [/\b(rhel|centos)\b/, 'sudo dnf install qemu-kvm qemu-img edk2-ovmf'],
  [/\barch\b/, 'sudo pacman -S qemu-base edk2-ovmf'],
  [/\b(suse|opensuse)\b/, 'sudo zypper install qemu-x86 qemu-tools qemu-ovmf-x86_64'],
  [/\balpine\b/, 'sudo apk add qemu-system-x86_64 qemu-img ovmf'],
]

/**
 * Absolute path of a program of QEMU, or null when this host has none. Where VIVARIUM_QEMU names a folder, that one
 * alone is looked at.
 */
export async function findQemuProgram(name: QemuProgram): Promise<string | null> {
  const names = [name, ...OTHER_NAMES[name]]
  const only = process.env.VIVARIUM_QEMU
  if (only) return await findProgram(names, { only: [only] })
  return await findProgram(names, { also: USUAL_FOLDERS[process.platform] ?? [] })
}

/** The same, but throws kind `unsupported`, with the command that installs it, when there is none. */
export async function requireQemuProgram(name: QemuProgram): Promise<string> {
  const found = await findQemuProgram(name)
  if (found !== null) return found
  throw new VmmError('unsupported', `This host has no ${name}, which comes with QEMU.`, { hint: howToInstallQemu() })
}

/** How QEMU gets onto this host: one sentence, with the command where its system is known. */
export function howToInstallQemu(): string {
  if (process.platform === 'darwin') return 'Install QEMU with: brew install qemu'
  if (process.platform === 'win32') {
    return 'Install QEMU with the installer that www.qemu.org/download names, into the folder that it proposes.'
  }
  const families = osFamilies()
  const command = LINUX_COMMANDS.find(([family]) => family.test(families))?.[1]
  return command ? `Install QEMU with: ${command}` : 'Install QEMU and qemu-img from the packages of your system.'
}

/** ID and ID_LIKE of os-release(5), in one line; empty where there is no such file. */
function osFamilies(): string {
  for (const file of ['/etc/os-release', '/usr/lib/os-release']) {
    try {
      const lines = readFileSync(file, 'utf8').split('\n')
      const values = lines.flatMap((line) => /^ID(?:_LIKE)?=["']?([^"']*)/.exec(line)?.[1] ?? [])
      return values.join(' ').toLowerCase()
    } catch {
      // the other one, or none
    }
  }
  return ''
}
