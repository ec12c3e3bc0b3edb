// What the tests need besides npm packages, where it can be had without asking.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { root } from './root.mjs'

/** Debian package → a command or file that it brings. */
const NEEDED = {
  chromium: 'chromium',
  xvfb: 'Xvfb',
  xauth: 'xauth',
  'qemu-system-x86': 'qemu-system-x86_64',
  'qemu-utils': 'qemu-img',
  ovmf: '/usr/share/OVMF/OVMF_CODE_4M.fd',
  // reads what was captured
  tcpdump: 'tcpdump',
  // what guests talk to, and with what
  curl: 'curl',
  'dnsmasq-base': 'dnsmasq',
  iperf3: 'iperf3',
  iproute2: 'ip',
  // read and write registry hives
  'libhivex-bin': 'hivexml',
  'libwin-hivex-perl': 'hivexregedit',
  reglookup: 'reglookup',
  chntpw: 'reged',
  // guests to boot
  'debian-installer-12-netboot-amd64': '/usr/lib/debian-installer/images/12/amd64/text',
  'debian-installer-12-netboot-i386': '/usr/lib/debian-installer/images/12/i386/text',
  'memtest86+': '/usr/lib/memtest86+/memtest86+x64.iso',
  'grub-rescue-pc': '/usr/lib/grub-rescue/grub-rescue-cdrom.iso',
  mmdebstrap: 'mmdebstrap',
}

/** Installs what is missing on Debian and Ubuntu as root; elsewhere the tests that need it are skipped and say so. */
export function installSystemPackages() {
  const missing = Object.keys(NEEDED).filter((name) => !isThere(NEEDED[name]))
  if (missing.length === 0 || !isDebian() || process.getuid() !== 0) return
  const log = join(root, '.vite/apt.log')
  mkdirSync(join(root, '.vite'), { recursive: true })
  console.log(`Installing for the tests: ${missing.join(', ')} (output in .vite/apt.log).`)
  const output = openSync(log, 'w')
  const run = (...words) =>
    spawnSync(words[0], words.slice(1), {
      stdio: ['ignore', output, output],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    }).status === 0
  run('apt-get', 'update')
  const offered = missing.filter((name) => run('apt-cache', 'show', name))
  const others = missing.filter((name) => !offered.includes(name))
  if (others.length > 0) console.log(`Not offered here, so the tests that need it are skipped: ${others.join(', ')}.`)
  if (offered.length === 0) return
  const done = run('apt-get', 'install', '-y', '--no-install-recommends', ...offered)
  if (!done) console.log('That failed; the tests that need it are skipped.')
}

function isThere(proof) {
  return proof.startsWith('/') ? existsSync(proof) : onPath(proof)
}

function onPath(command) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => folder && existsSync(join(folder, command)))
}

function isDebian() {
  return process.platform === 'linux' && existsSync('/etc/debian_version') && existsSync('/etc/os-release')
    ? /debian/.test(readFileSync('/etc/os-release', 'utf8'))
    : false
}
