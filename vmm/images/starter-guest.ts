import { FILES_CARD, FILES_CARD_TEXT, SHARE_MSIZE, SHARE_TAG } from '../files/files-card'
import type { CpioEntry } from './cpio'
import { renewProgram } from './renew'

/** Kernel modules the guest must have, for itself and to mount what a person attaches. */
export const GUEST_MODULES = [
  'virtio_ring',
  'virtio_pci',
  'virtio_mmio',
  'virtio_net',
  'virtio_blk',
  'virtio_balloon',
  'virtio_console',
  'virtio_rng',
  '9p',
  '9pnet_virtio',
  '9pnet_fd',
  'ne2k_pci',
  'ata_piix',
  'ata_generic',
  'sd_mod',
  'sr_mod',
  'isofs',
  'ext4',
  'crc32c_generic',
  'loop',
  'overlay',
] as const

/** Kernel start-up that costs the embedded engine seconds and serves nobody here: it checks signatures and traces. */
const SKIPPED_INITCALLS = ['load_system_certificate_list', 'crypto_kdf108_init', 'init_blk_tracer']

/**
 * - `quiet`, `loglevel=2`: a serial console is slow, and known complaints about emulated hardware help nobody
 * - `tsc=reliable`, `no_timer_check`: no comparing of clocks that are all emulated; under load it ends in a panic
 * - `mitigations=off`: the guest is one trust domain, kept in by its engine
 * - `random.trust_cpu=on`: RDRAND is the host's own generator
 * - `cryptomgr.notests`: the self-tests alone take the embedded engine 2 seconds
 */
export const GUEST_CMDLINE = [
  'console=ttyS0 quiet loglevel=2 tsc=reliable no_timer_check mitigations=off random.trust_cpu=on',
  `cryptomgr.notests noisapnp initcall_blacklist=${SKIPPED_INITCALLS.join(',')}`,
].join(' ')

/**
 * The first process. Drivers are loaded for the devices that are there, one bus after the other, because a bus
 * shows its devices only once its own driver is loaded; file systems load on demand, by mount.
 */
const INIT = `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -a

plug() {
  aliases=
  for bus; do
    for device in /sys/bus/$bus/devices/*; do
      [ -r $device/modalias ] && read -r alias < $device/modalias && aliases="$aliases $alias"
    done
  done
  [ -z "$aliases" ] || modprobe -qa $aliases
}
modprobe virtio_ring
plug pci acpi
plug virtio scsi

hostname -F /etc/hostname
ip link set lo up
exec /sbin/init
`

const INITTAB = `ttyS0::respawn:-/bin/sh
::respawn:/usr/lib/vivarium/agent
::ctrlaltdel:/sbin/reboot
::shutdown:/bin/umount -a -r 2> /dev/null
`

/** Files in memory are limited, so that no command's output can take all of it. */
const FSTAB = `devpts /dev/pts devpts gid=5,mode=620,ptmxmode=666 0 0
run /run tmpfs mode=755,size=15%,nosuid,nodev 0 0
tmp /tmp tmpfs mode=1777,size=25%,nosuid,nodev 0 0
shm /dev/shm tmpfs mode=1777,size=10%,nosuid,nodev 0 0
`

const PROFILE = String.raw`export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=xterm-256color
export PS1='\u@\h:\w\$ '
cd
cat /etc/motd
`

const MOTD =
  'Welcome to the Vivarium starter image. Files here live in memory: they are gone when the machine is off.\n'

/** Without a second serial port there is nobody to answer, and respawning would never end. */
const AGENT = `#!/bin/sh
grep -q '^1: uart:[1-9]' /proc/tty/driver/serial || exec sleep 2147483647
exec qemu-ga -m isa-serial -p /dev/ttyS1 -t /run > /dev/null 2>&1
`

/**
 * Asks for an address on every card, anew even where there is one: the card may be a clone's, or plugged in elsewhere.
 * The agent starts it once the guest has its own identity.
 */
const CONNECT = `#!/bin/sh
for card in /sys/class/net/eth*; do
  [ -e $card ] || continue
  read -r mac < $card/address
  [ $mac = ${FILES_CARD.guestMac} ] && continue
  name=\${card##*/}
  [ -r /run/$name.pid ] && read -r pid < /run/$name.pid && kill $pid
  ip link set $name up
  udhcpc -b -t 3 -T 1 -A 3 -i $name -p /run/$name.pid -x hostname:$(hostname) -s /usr/lib/vivarium/lease
done > /dev/null 2>&1
`

/** Where all trees lie side by side in a guest with virtio's 9P. */
const SHARES_FOLDER = '/run/vivarium'

/**
 * shares mount NAME POINT CACHE, or unmount POINT: a tree of the file server, over the card for files where there is
 * one and over virtio's own 9P elsewhere. That can be mounted once only, so it is with all trees side by side, of which
 * each is seen at its point. What was mounted there before is let go of, also when its server is gone.
 */
const SHARES = `#!/bin/sh
set -e
leave() { while umount -l "$1" 2> /dev/null; do :; done; }
case $1 in
  mount)
    from=
    for card in /sys/class/net/eth*; do
      [ -e $card ] && read -r mac < $card/address && [ $mac = ${FILES_CARD.guestMac} ] || continue
      name=\${card##*/}
      ip link set $name up
      ip addr show dev $name | grep -q ' ${FILES_CARD_TEXT.guest}/' || ip addr add ${FILES_CARD_TEXT.guest}/${FILES_CARD.prefix} dev $name
      from=${FILES_CARD_TEXT.server} way=tcp,port=${FILES_CARD.port},msize=${SHARE_MSIZE.tcp}
      modprobe -q 9pnet_fd
    done
    leave "$3"
    mkdir -p "$3"
    if [ -n "$from" ]; then
      mount -t 9p -o "trans=$way,version=9p2000.L,access=client,cache=$4,aname=$2" $from "$3"
    else
      [ -d ${SHARES_FOLDER}/. ] && grep -q ' ${SHARES_FOLDER} 9p ' /proc/mounts || {
        mkdir -p ${SHARES_FOLDER}
        mount -t 9p -o trans=virtio,msize=${SHARE_MSIZE.virtio},version=9p2000.L,access=client,cache=$4,aname=/ ${SHARE_TAG} ${SHARES_FOLDER}
      }
      mount --bind "${SHARES_FOLDER}/$2" "$3"
    fi
    ;;
  unmount) leave "$2" ;;
esac
`

/** As udhcpc calls it, with what it was told in variables. */
const LEASE = `#!/bin/sh
case $1 in
  deconfig) ip addr flush dev $interface ;;
  bound | renew)
    ip addr flush dev $interface
    ifconfig $interface $ip netmask $subnet
    [ -z "$router" ] || route add default gw $router dev $interface
    [ -z "$dns" ] || for server in $dns; do echo nameserver $server; done > /etc/resolv.conf
    ;;
esac
`

/** As qemu-ga calls it: shutdown -h {-P|-H|-r} +0 "reason". */
const SHUTDOWN = `#!/bin/sh
verb=poweroff
for word; do
  case $word in
    -H) verb=halt ;;
    -r) verb=reboot ;;
  esac
done
exec $verb
`

const FOLDERS = [
  'bin',
  'sbin',
  'dev',
  'etc',
  'lib',
  'lib/i386-linux-gnu',
  'lib/modules',
  'mnt',
  'proc',
  'root',
  'run',
  'sys',
  'tmp',
  'usr',
  'usr/bin',
  'usr/lib',
  'usr/lib/vivarium',
  'usr/sbin',
  'var',
]

/** All of the guest's files that come from no package. Folders come first. */
export function guestFiles(): CpioEntry[] {
  const text = (path: string, content: string): CpioEntry => ({ kind: 'file', path, content })
  const program = (path: string, content: string | Buffer): CpioEntry => ({ kind: 'file', path, content, mode: 0o755 })
  return [
    ...FOLDERS.map((path): CpioEntry => ({ kind: 'directory', path })),
    { kind: 'character-device', path: 'dev/console', major: 5, minor: 1 },
    { kind: 'symlink', path: 'bin/sh', target: 'busybox' },
    { kind: 'symlink', path: 'var/run', target: '/run' },
    { kind: 'symlink', path: 'etc/mtab', target: '/proc/mounts' },
    program('init', INIT),
    program('sbin/shutdown', SHUTDOWN),
    program('usr/lib/vivarium/agent', AGENT),
    program('usr/lib/vivarium/connect', CONNECT),
    program('usr/lib/vivarium/lease', LEASE),
    program('usr/lib/vivarium/renew', renewProgram()),
    program('usr/lib/vivarium/shares', SHARES),
    // what mount tries when no type is given; their modules are loaded then
    text('etc/filesystems', 'ext4\niso9660\n'),
    text('etc/fstab', FSTAB),
    text('etc/group', 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n'),
    text('etc/hostname', 'vivarium\n'),
    text('etc/hosts', '127.0.0.1 localhost\n::1 localhost\n'),
    text('etc/inittab', INITTAB),
    text('etc/machine-id', '\n'),
    text('etc/motd', MOTD),
    text('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n'),
    text('etc/profile', PROFILE),
  ]
}
