import { debianRoot, type DebianRecipe, type DebianRoot } from './debian-root'

const PREFIX = '/opt/prefix'
/** Wine's own runtime and browser ask for downloads when they are not there; nobody would answer. */
const OVERRIDES = 'mscoree,mshtml='
const UNUSED_DRIVERS = ['gpu', 'media', 'infiniband', 'staging', 'net/wireless', 'net/ethernet', 'iio', 'isdn']

/** The first process: QEMU's guest agent and nothing else, as an emulated guest takes half a minute for systemd. */
const INIT = String.raw`#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t tmpfs tmpfs /tmp
modprobe -a virtio_net virtio_console
ip link set lo up
for port in /sys/class/virtio-ports/*; do
  read -r name < $port/name
  [ $name = org.qemu.guest_agent.0 ] && agent=/dev/\${port##*/}
done
while :; do qemu-ga -m virtio-serial -p $agent -t /run; done
`.replaceAll('\\$', '$')
/** As the agent calls it. */
const SHUTDOWN = `#!/bin/sh
umount -a -t 9p
sync
mount -o remount,ro /
echo o > /proc/sysrq-trigger
`

/** A Debian with Wine, and beside it a prefix as `wineboot` makes it on any machine. */
const RECIPE: DebianRecipe = {
  name: 'wine',
  packages: ['linux-image-amd64', 'qemu-guest-agent', 'iproute2', 'wine', 'wine64'],
  leftOut: [
    ...UNUSED_DRIVERS.map((name) => `/lib/modules/*/kernel/drivers/${name}/*`),
    '/lib/modules/*/kernel/sound/*',
  ],
  // an initramfs with all drivers takes an emulated guest a while to unpack
  early: [
    'mkdir -p "$1/etc/initramfs-tools/conf.d" && echo MODULES=list > "$1/etc/initramfs-tools/conf.d/few"',
    'printf "%s\\n" virtio_pci virtio_blk ext4 crc32c_generic > "$1/etc/initramfs-tools/modules"',
  ],
  hooks: [
    ...[program('init', INIT), program('shutdown', SHUTDOWN)],
    `chroot "$1" env HOME=/root WINEPREFIX=${PREFIX} WINEDLLOVERRIDES=${OVERRIDES} WINEDEBUG=-all wineboot --init`,
    `chroot "$1" env WINEPREFIX=${PREFIX} wineserver --wait`,
  ],
  size: '1600M',
  apart: PREFIX,
}

export const WINE_CMDLINE = 'root=/dev/vda rw console=ttyS0 quiet tsc=reliable no_timer_check mitigations=off'

/** Its prefix is in `apart`. */
export function wineGuest(): Promise<DebianRoot> {
  return debianRoot(RECIPE)
}

/**
 * The words that run a program of Wine in the guest, with the prefix there. Wine's services stay out: their six
 * processes take an emulated guest a minute, and neither reg nor regedit asks for them.
 */
export function wineWords(prefix: string, words: readonly string[]): string[] {
  const overrides = `wineboot.exe=d;${OVERRIDES}`
  return ['env', 'HOME=/root', `WINEPREFIX=${prefix}`, `WINEDLLOVERRIDES=${overrides}`, 'WINEDEBUG=-all', ...words]
}

function program(name: string, text: string): string {
  const encoded = Buffer.from(text).toString('base64')
  return `echo ${encoded} | base64 -d > "$1/sbin/${name}" && chmod 755 "$1/sbin/${name}"`
}
