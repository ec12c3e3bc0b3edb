import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Boot, DiskSpec, MachineSpec } from '../../vmm/engine/machine-spec'
import { qemuCommand } from '../../vmm/engine/qemu-command'
import { SANDBOX } from '../../vmm/engine/qemu-host'
import { createOverlay } from '../../vmm/engine/qemu-overlay'
import { machineUuid } from '../../vmm/engine/qemu-process'
import { uefiCode } from '../../vmm/engine/qemu-uefi'
import { macsOf, newMac } from '../../vmm/machine/identity'
import { diskSpec, machineSpec } from '../support/machine-specs'
import { below, pick, type Random } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { NO_QEMU, standingQemu } from '../support/standing-qemu'
import { temporaryFolder } from '../support/temporary-folder'

const NAMES = ['plain', 'a,b', 'x=y', "it's", 'say "hi"', 'ü漢', '-uuid', ',,', 'a,process=b', '%s $HOME `id`']

/** A machine of any kind that a domain may ask for; its files are in `folder`, which may have any name. */
function randomSpec(random: Random, folder: string): MachineSpec {
  const machineType = pick(random, ['auto', 'q35', 'pc', 'microvm'] as const)
  const file = (name: string) => join(folder, name)
  const boots: Boot[] = [
    { kind: 'disk' },
    { kind: 'cdrom', path: file('boot.iso') },
    { kind: 'floppy', path: file('floppy.img') },
    { kind: 'kernel', kernel: file('kernel'), initrd: pick(random, [null, file('initrd')]), cmdline: 'a,b=c "d e"' },
  ]
  // a microvm without hardware acceleration has room for 8 devices, of which 3 may be needed for others
  const [mostDisks, mostNics] = machineType === 'microvm' ? [3, 2] : [8, 8]
  const disks: DiskSpec[] = Array.from({ length: below(random, mostDisks + 1) }, (_, index) =>
    diskSpec(folder, {
      id: index === 0 ? 'disk' : `disk${index}`,
      base: pick(random, [null, file('base.raw')]),
    }),
  )
  const room = mostDisks - disks.length
  const cds = Array.from({ length: below(random, Math.max(1, room)) }, (_, index) => ({
    id: `disk${20 + index}`,
    path: pick(random, [null, file('further.iso')]),
  }))
  const macs = macsOf(newMac(), below(random, mostNics + 1))
  const order = (['disk', 'cdrom', 'network'] as const).filter(() => random() < 0.6)
  return machineSpec({
    name: pick(random, NAMES),
    cpus: 1 + below(random, 2),
    boot: pick(random, machineType === 'microvm' ? boots.slice(-1) : boots),
    disks,
    cds,
    nics: macs.map((mac) => ({ mac, model: machineType === 'microvm' ? 'virtio' : pick(random, ['virtio', 'e1000']) })),
    machineType,
    firmware: machineType === 'microvm' ? 'bios' : pick(random, ['bios', 'uefi']),
    uefiVariables: file('uefi.fd'),
    diskBus: machineType === 'microvm' ? 'auto' : pick(random, ['auto', 'virtio', 'sata']),
    bootOrder: random() < 0.5 ? order : order.reverse(),
    agent: pick(random, ['serial', 'virtio']),
  })
}

function commandOf(spec: MachineSpec, folder: string, uefi: string): string[] {
  return qemuCommand(spec, {
    binary: 'qemu-system-x86_64',
    accelerator: 'tcg',
    sandbox: true,
    uuid: machineUuid(spec.domainId),
    layers: spec.disks.map(({ id, base }) => ({ files: [join(folder, `${id}-b`), join(folder, `${id}-a`)], base })),
    uefiCode: spec.firmware === 'uefi' ? uefi : null,
  })
}

/** The values of an option, in their order. */
function values(words: readonly string[], option: string): string[] {
  return words.flatMap((word, at) => (words[at - 1] === option ? [word] : []))
}

/** A QEMU option list, with commas that are doubled. */
function options(value: string): { kind: string; entries: Map<string, string> } {
  const [kind = '', ...rest] = value.split(/(?<!,),(?!,)/)
  const entries = rest.map((entry): [string, string] => {
    const at = entry.indexOf('=')
    return [entry.slice(0, at), entry.slice(at + 1)]
  })
  expect(new Set(entries.map(([key]) => key)).size, value).toBe(entries.length)
  return { kind, entries: new Map(entries) }
}

interface Node {
  driver?: unknown
  'node-name'?: unknown
  filename?: unknown
  'read-only'?: unknown
  file?: Node
  backing?: Node | null
}

/** Every node names its driver and what it lies upon; only the topmost may be written. Returns the files. */
function checkNode(node: Node, top = true): string[] {
  expect(node.driver).toEqual(expect.any(String))
  if (node.driver === 'file') return [String(node.filename)]
  if (node.driver === 'qcow2') expect(node).toHaveProperty('backing')
  if (!top) expect(node['read-only']).toBe(true)
  const below = node.backing ? checkNode(node.backing, false) : []
  return [...(node.file ? checkNode(node.file) : []), ...below]
}

describe('the command for a machine of QEMU', () => {
  test('has what makes it safe, and nothing that is read out of a name', () => {
    const { random } = seededRandom()
    for (let count = 0; count < 400; count += 1) {
      const folder = pick(random, ['/data/a', '/data, of mine', '/da=ta/"q"', '/ü/漢 字'])
      const spec = randomSpec(random, folder)
      const words = commandOf(spec, folder, '/usr/share/ovmf, really.fd')

      for (const flag of ['-nodefaults', '-no-user-config', '-S']) expect(words).toContain(flag)
      expect(values(words, '-sandbox')).toEqual([SANDBOX])
      const [name = ''] = values(words, '-name')
      expect(name.replace(/^guest=/, '').replaceAll(',,', ',')).toBe(spec.name)
      expect(name.replaceAll(',,', '')).not.toContain(',')

      // a path is a word of its own or within JSON, and never in a list of options
      for (const [at, word] of words.entries()) {
        if (!word.includes(folder)) continue
        if (words[at - 1] === '-blockdev') expect(() => JSON.parse(word) as unknown).not.toThrow()
        else expect(['-kernel', '-initrd']).toContain(words[at - 1])
      }
    }
  })

  test.each([
    ['tcg', 5, true],
    ['tcg', 6, false],
    ['kvm', 8, true],
  ] as const)('is refused for more than a microvm on %s has room for: %d disks', (accelerator, count, fits) => {
    const disks = Array.from({ length: count }, (_, index) => diskSpec('/data', { id: `disk${index}` }))
    const spec = machineSpec({
      machineType: 'microvm',
      agent: 'virtio',
      disks,
      boot: { kind: 'kernel', kernel: '/data/kernel', initrd: null, cmdline: '' },
    })
    const layers = disks.map(({ id }) => ({ files: [`/data/${id}`], base: null }))
    const make = () =>
      qemuCommand(spec, { binary: 'qemu', accelerator, sandbox: true, uuid: machineUuid('a'), layers, uefiCode: null })
    if (fits) expect(make).not.toThrow()
    else expect(make).toThrow(expect.objectContaining({ kind: 'unsupported', hint: expect.stringContaining('Detach') }))
  })

  test.each(['cdrom', 'disk', 'floppy'] as const)('a microvm that should boot a %s is refused', (kind) => {
    const boot = kind === 'disk' ? { kind } : { kind, path: '/data/image' }
    const spec = machineSpec({ machineType: 'microvm', boot })
    const parts = { binary: 'qemu', accelerator: 'tcg', sandbox: true, uuid: 'u', layers: [], uefiCode: null } as const
    expect(() => qemuCommand(spec, parts)).toThrow(expect.objectContaining({ kind: 'unsupported' }))
  })

  test('describes every block device to its end, and uses it once', () => {
    const { random } = seededRandom()
    for (let count = 0; count < 400; count += 1) {
      const spec = randomSpec(random, '/data')
      const words = commandOf(spec, '/data', '/uefi.fd')
      const nodes = values(words, '-blockdev').map((word) => JSON.parse(word) as Node)
      const files = nodes.flatMap((node) => checkNode(node))
      for (const { id } of spec.disks) expect(files).toContain(join('/data', `${id}-b`))

      const names = nodes.map((node) => String(node['node-name']))
      expect(new Set(names).size).toBe(names.length)
      for (const name of names) expect(Buffer.byteLength(name)).toBeLessThan(32)
      const devices = values(words, '-device').map(options)
      const [machine = ''] = values(words, '-machine')
      const used = [
        ...devices.flatMap(({ entries }) => entries.get('drive') ?? []),
        ...['pflash0', 'pflash1'].flatMap((key) => options(machine).entries.get(key) ?? []),
      ]
      expect(used.sort(), 'each once').toEqual([...names].sort())
    }
  })

  test('gives every device a name and a place of its own, and boots in the order that was chosen', () => {
    const { random } = seededRandom()
    for (let count = 0; count < 400; count += 1) {
      const spec = randomSpec(random, '/data')
      const words = commandOf(spec, '/data', '/uefi.fd')
      const devices = values(words, '-device').map(options)
      const ids = [...devices, ...values(words, '-object').map(options)].flatMap(
        ({ entries }) => entries.get('id') ?? [],
      )
      expect(new Set(ids).size).toBe(ids.length)

      const places = devices
        .filter(({ kind }) => kind === 'ide-hd' || kind === 'ide-cd')
        .map(({ entries }) => `${entries.get('bus')} ${entries.get('unit') ?? ''}`)
      expect(new Set(places).size).toBe(places.length)
      for (const place of places) {
        const [, bus = '', port = ''] = /^(ide|sata\d)\.(\d) [01]?$/.exec(place) ?? []
        if (bus !== 'ide') expect(ids).toContain(bus)
        expect(Number(port)).toBeLessThan(spec.machineType === 'pc' && bus === 'ide' ? 2 : 6)
      }

      const indexes = devices.flatMap(({ kind, entries }) => {
        const index = entries.get('bootindex')
        return index === undefined ? [] : [{ index: Number(index), kind: bootKind(kind) }]
      })
      const order = [...indexes].sort((one, other) => one.index - other.index).map(({ kind }) => kind)
      expect(spec.bootOrder.filter((kind) => order.includes(kind))).toEqual(order)
      expect(new Set(order).size).toBe(order.length)
    }
  })
})

function bootKind(device: string): 'disk' | 'cdrom' | 'network' {
  if (device === 'ide-cd') return 'cdrom'
  return device.startsWith('virtio-net') || device === 'e1000' ? 'network' : 'disk'
}

/** What QEMU reads of a Linux kernel before it runs it: Documentation/arch/x86/boot.rst. */
function kernelHead(): Buffer {
  const kernel = Buffer.alloc(16 * 1024)
  kernel.writeUInt8(4, 0x1f1) // sectors of the setup
  kernel.writeUInt16LE(0xaa55, 0x1fe)
  kernel.write('HdrS', 0x202)
  kernel.writeUInt16LE(0x020c, 0x206) // version of the protocol
  kernel.writeUInt8(1, 0x211) // loaded high
  kernel.writeUInt32LE(0x7fffffff, 0x22c) // highest address of the initrd
  kernel.writeUInt32LE(2047, 0x238) // longest command line
  return kernel
}

const UEFI = await uefiCode().catch(() => '')

describe.skipIf(NO_QEMU)(`a real QEMU ${NO_QEMU}`, () => {
  test('takes whatever a domain may ask for', { timeout: 120_000 }, async () => {
    const { random } = seededRandom()
    for (let count = 0; count < 25; count += 1) {
      const folder = join(temporaryFolder(), pick(random, ['plain', 'a, b=c', 'ü "q"']))
      mkdirSync(join(folder, 'run'), { recursive: true })
      const drawn = randomSpec(random, folder)
      const spec: MachineSpec = UEFI === '' ? { ...drawn, firmware: 'bios' } : drawn
      for (const name of ['boot.iso', 'further.iso', 'initrd']) writeFileSync(join(folder, name), Buffer.alloc(4096))
      writeFileSync(join(folder, 'kernel'), kernelHead())
      writeFileSync(join(folder, 'floppy.img'), Buffer.alloc(1440 * 1024))
      writeFileSync(join(folder, 'base.raw'), Buffer.alloc(1024 * 1024))
      if (spec.firmware === 'uefi') copyFileSync(UEFI.replace('CODE', 'VARS'), spec.uefiVariables)
      for (const { id } of spec.disks) {
        await createOverlay(join(folder, `${id}-a`), { bytes: 1024 * 1024 })
        await createOverlay(join(folder, `${id}-b`), { bytes: 1024 * 1024 })
      }
      const words = commandOf(spec, folder, UEFI)
      const qemu = await standingQemu(words, join(folder, 'run')).catch((error: unknown) => {
        throw new Error(`${JSON.stringify(spec, null, 1)}\n${words.join(' ')}`, { cause: error })
      })
      expect(await qemu.qmp.run('query-status', {})).toEqual({ status: 'prelaunch', running: false })
      expect(await qemu.qmp.run('query-uuid', {})).toEqual({ UUID: machineUuid(spec.domainId) })
      expect(existsSync(join(folder, 'run', 'console.sock'))).toBe(true)
      expect(await qemu.quit()).toBe(0)
    }
  })
})
