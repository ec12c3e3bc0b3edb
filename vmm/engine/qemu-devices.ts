import { diskSource, fileSource, rawSource, type BlockSource } from '../images/block-source'
import { FILES_CARD } from '../files/files-card'
import type { BootDevice } from '../model/hardware'
import type { MachineSpec } from './machine-spec'
import type { OpenLayer } from './qemu-layer-record'
import { blockdev, busOf, deviceOf, hasScreen, machineTypeOf, nicDevice, nodeOf, RUN_FILES } from './qemu-names'
import { FILES_CARD_SOCKET, nicSocket } from './run-folder'

/** Ports of one AHCI controller. */
const SATA_PORTS = 6
/** A current PC has such a controller built in, an old one two IDE channels of two drives, which is all that old systems know. */
const BUILT_IN_PORTS: Record<ReturnType<typeof machineTypeOf>, readonly string[]> = {
  q35: Array.from({ length: SATA_PORTS }, (_, port) => `bus=ide.${port}`),
  pc: ['bus=ide.0,unit=0', 'bus=ide.0,unit=1', 'bus=ide.1,unit=0', 'bus=ide.1,unit=1'],
  microvm: [],
}

/** A server that is away may be so for this long. */
const RECONNECT_SECONDS = 86_400

/** Everything that the guest finds on its buses. */
export function qemuDevices(spec: MachineSpec, layers: readonly OpenLayer[]): string[] {
  const ports = new Ports(spec)
  const disks = spec.disks.flatMap(({ id, served }, index) => {
    const layer = layers[index]
    if (served !== null) return disk(spec, id, servedSource(served, id), ports, index === 0)
    return layer ? disk(spec, id, layerSource(layer, nodeOf(id)), ports, index === 0) : []
  })
  const drives = media(spec, ports)
  return [
    ...serialPorts(spec),
    ...(hasScreen(spec) ? screen() : []),
    ...['-object', 'rng-builtin,id=rng', '-device', device(spec, 'virtio-rng', 'rng=rng')],
    ...['-device', device(spec, 'virtio-balloon', 'id=balloon,free-page-reporting=on')],
    ...ports.controllers(),
    ...disks,
    ...drives,
    ...spec.nics.flatMap((nic, index) => networkCard(spec, nic, index)),
    // last, so that nothing else has another place with it
    ...(spec.filesCard ? filesCard(spec) : []),
  ]
}

/** The graph of a layer: every file and format by name, nothing for QEMU to find out. */
function layerSource({ files, base }: OpenLayer, node: string): BlockSource {
  const lowest: BlockSource | null = base === null ? null : { ...rawSource(fileSource(base)), 'read-only': true }
  const source = files.reduceRight<BlockSource | null>(
    (backing, file, index) => ({
      ...(index === 0 ? { 'node-name': node } : { 'read-only': true }),
      ...diskSource('qcow2', fileSource(file), backing),
      // what the guest gives up is given back to the host
      ...(index === 0 ? { discard: 'unmap' } : {}),
    }),
    lowest,
  )
  return source ?? {}
}

/** A disk that somebody else keeps. A server that is away is waited for: the guest's requests are sent again. */
function servedSource(socket: string, id: string): BlockSource {
  const server = { type: 'unix', path: socket }
  const from = { driver: 'nbd', server, export: id, 'reconnect-delay': RECONNECT_SECONDS }
  return { 'node-name': nodeOf(id), discard: 'unmap', ...from }
}

function serialPorts(spec: MachineSpec): string[] {
  const socket = (id: string, path: string, more = '') => [
    ...['-chardev', `socket,id=${id},path=${path},server=on,wait=off${more}`],
  ]
  return [
    ...socket('console', RUN_FILES.console, `,logfile=${RUN_FILES.consoleLog},logappend=on`),
    ...['-device', 'isa-serial,chardev=console,id=serial0'],
    ...socket('agent', RUN_FILES.agent),
    ...(spec.agent === 'serial'
      ? ['-device', 'isa-serial,chardev=agent,id=serial1']
      : [
          ...['-device', device(spec, 'virtio-serial', 'id=ports')],
          ...['-device', 'virtserialport,bus=ports.0,chardev=agent,name=org.qemu.guest_agent.0'],
        ]),
  ]
}

/** A tablet tells where the pointer is, a mouse only how it moved. */
function screen(): string[] {
  return [
    ...['-device', 'VGA,id=screen,vgamem_mb=16'],
    ...['-vnc', `unix:${RUN_FILES.screen},share=force-shared`],
    ...['-device', 'qemu-xhci,id=usb', '-device', 'usb-tablet,bus=usb.0'],
  ]
}

function media(spec: MachineSpec, ports: Ports): string[] {
  const { boot, cds } = spec
  const floppy =
    boot.kind === 'floppy'
      ? [
          ...blockdev('node-floppy', { ...rawSource(fileSource(boot.path)), 'read-only': true }),
          ...['-device', 'isa-fdc,id=fdc', '-device', 'floppy,bus=fdc.0,drive=node-floppy,drive-type=144'],
        ]
      : []
  const drives = [...(boot.kind === 'cdrom' ? [{ id: 'cdrom', path: boot.path }] : []), ...cds]
  return [...floppy, ...drives.flatMap(({ id, path }, index) => cdDrive(spec, id, path, ports, index === 0))]
}

function cdDrive(spec: MachineSpec, id: string, path: string | null, ports: Ports, first: boolean): string[] {
  const node = path === null ? [] : blockdev(nodeOf(id), cdSource(path))
  const drive = path === null ? '' : `,drive=${nodeOf(id)}`
  const order = bootIndex(spec, 'cdrom', first)
  if (machineTypeOf(spec) === 'microvm') {
    return path === null ? [] : [...node, '-device', `${device(spec, 'virtio-blk', `id=${deviceOf(id)}`)}${drive}`]
  }
  return [...node, '-device', `ide-cd,${ports.next()},id=${deviceOf(id)}${drive}${order}`]
}

export function cdSource(path: string): BlockSource {
  return { ...rawSource(fileSource(path)), 'read-only': true }
}

/** A host that takes no more data stops the guest rather than failing its writes. */
function disk(spec: MachineSpec, id: string, source: BlockSource, ports: Ports, first: boolean): string[] {
  const common = `id=${deviceOf(id)},drive=${nodeOf(id)},werror=stop,rerror=stop${bootIndex(spec, 'disk', first)}`
  const words = busOf(spec) === 'virtio' ? device(spec, 'virtio-blk', common) : `ide-hd,${ports.next()},${common}`
  return ['-blockdev', JSON.stringify(source), '-device', words]
}

function networkCard(spec: MachineSpec, nic: MachineSpec['nics'][number], index: number): string[] {
  const fromNetwork = spec.bootOrder.includes('network')
  const options = [
    `netdev=net${index},id=${nicDevice(index)},mac=${nic.mac}`,
    // the boot program of a card that nothing boots from costs time, and need not be installed
    machineTypeOf(spec) === 'microvm' || fromNetwork ? '' : ',romfile=',
    bootIndex(spec, 'network', index === 0),
  ].join('')
  const words = nic.model === 'e1000' ? `e1000,${options}` : device(spec, 'virtio-net', options)
  return [
    ...['-netdev', `stream,id=net${index},server=on,addr.type=unix,addr.path=${nicSocket(index)}`],
    ...['-device', words],
  ]
}

/** A card of no network: it leads to the guest's files, and nowhere else. */
function filesCard(spec: MachineSpec): string[] {
  const rom = machineTypeOf(spec) === 'microvm' ? '' : ',romfile='
  const options = `netdev=files,id=files,mac=${FILES_CARD.guestMac},host_mtu=${FILES_CARD.mtu}${rom}`
  return [
    ...['-netdev', `stream,id=files,server=on,addr.type=unix,addr.path=${FILES_CARD_SOCKET}`],
    ...['-device', device(spec, 'virtio-net', options)],
  ]
}

/** The place of a device in the boot order, where it has one. */
function bootIndex(spec: MachineSpec, kind: BootDevice, first: boolean): string {
  const place = spec.bootOrder.indexOf(kind)
  const direct = spec.boot.kind === 'kernel' || machineTypeOf(spec) === 'microvm'
  return place === -1 || !first || direct ? '' : `,bootindex=${place}`
}

/** A virtio device on the machine's kind of bus. */
function device(spec: MachineSpec, kind: string, options: string): string {
  return `${kind}-${machineTypeOf(spec) === 'microvm' ? 'device' : 'pci'},${options}`
}

/** Hands out SATA ports, on an old PC first its IDE channels, and tells the controllers that are to be added for them. */
class Ports {
  readonly #builtIn: readonly string[]
  #used = 0

  constructor(spec: MachineSpec) {
    this.#builtIn = BUILT_IN_PORTS[machineTypeOf(spec)]
  }

  next(): string {
    const index = this.#used++
    const further = index - this.#builtIn.length
    return this.#builtIn[index] ?? `bus=sata${Math.floor(further / SATA_PORTS)}.${further % SATA_PORTS}`
  }

  controllers(): string[] {
    const count = Math.max(0, Math.ceil((this.#used - this.#builtIn.length) / SATA_PORTS))
    return Array.from({ length: count }, (_, index) => ['-device', `ich9-ahci,id=sata${index}`]).flat()
  }
}
