import { describe, expect, onTestFinished, test } from 'vitest'
import { diskOption } from '../../src-main/cli/options'
import { rateOption } from '../../src-main/cli/limits'
import { serveLocal } from '../../src-main/local-socket'
import { socketAddress } from '../../src-main/socket-address'
import { NO_LIMITS } from '../../vmm/model/hardware'
import { vivarium } from '../support/command-line'
import { scriptedServices } from '../support/scripted-services'
import { temporaryFolder } from '../support/temporary-folder'
import { domainView, engineView, imageView, WHOLE } from '../support/views'

const web = domainView({ id: 'id-web', name: 'web', diskLimits: { ...NO_LIMITS, writeBytes: 5e6 } })
const ENGINES = [
  engineView({}),
  engineView({
    id: 'qemu',
    name: 'QEMU',
    isolation: 'emulated',
    version: 'QEMU 7.2.22',
    capabilities: WHOLE,
    accelerators: [
      { id: 'kvm', works: false, reason: 'A guest on it died.' },
      { id: 'tcg', works: true, reason: '' },
    ],
  }),
]
const disks = [
  {
    id: 'disk',
    kind: 'disk',
    attached: true,
    first: true,
    bytes: 20e9,
    usedBytes: 1e6,
    sealed: true,
    imageId: '',
    imageName: '',
  },
  {
    id: 'disk1',
    kind: 'cdrom',
    attached: false,
    first: false,
    bytes: 0,
    usedBytes: 0,
    sealed: false,
    imageId: '',
    imageName: '',
  },
]
const sample = { diskReadPerSecond: 0, diskWritePerSecond: 4.8e6, diskReadOpsPerSecond: 0, diskWriteOpsPerSecond: 37 }

/** A running main that remembers what it was asked. */
async function mainThat(handlers: Parameters<typeof scriptedServices>[0] = {}) {
  const home = temporaryFolder()
  const asked: Record<string, unknown[]> = {}
  const usual: typeof handlers = {
    'events.subscribe': () => ({}),
    'app.info': () => ({ engines: ENGINES, starter: { ready: true, imageId: 'starter' } }),
    'images.list': () => [imageView({}), imageView({ kind: 'cdrom', name: 'iso' }), imageView({ kind: 'disk' })],
    'domains.list': () => [web],
    'domains.get': () => web,
    'domains.create': () => web,
    'domains.update': (args) => ({ ...web, ...(args as { patch: object }).patch }),
    'domains.setMemory': () => ({ ...web, memoryNowMiB: 96 }),
    'domains.load': () => [sample],
    'disks.list': () => disks,
    'disks.add': () => web,
    'disks.update': () => web,
    'disks.resize': () => web,
    'disks.remove': () => web,
    ...handlers,
  }
  const noting = Object.entries(usual).map(([name, answer]) => [
    name,
    (args: unknown) => {
      ;(asked[name] ??= []).push(args)
      return answer(args)
    },
  ])
  const scripted = scriptedServices(Object.fromEntries(noting) as typeof usual)
  onTestFinished(await serveLocal(scripted.services, socketAddress(home)))
  return { home, asked }
}

describe('vivarium new', () => {
  const HARDWARE = [
    ...['--cpus', '4', '--firmware', 'uefi', '--machine', 'q35', '--accelerator', 'tcg', '--disk-bus', 'sata'],
    ...['--boot-order', 'cdrom,disk', '--nic', 'virtio', '--nic', 'e1000', '--template'],
  ]

  test('passes the hardware on', async () => {
    const { home, asked } = await mainThat()

    const { status } = await vivarium(home, ['new', 'a', '--image', 'iso', '--disk', '8G', ...HARDWARE])

    expect(status).toBe(0)
    expect(asked['domains.create']).toEqual([
      {
        spec: {
          name: 'a',
          engine: 'qemu',
          imageId: 'cdrom',
          memoryMiB: 2048,
          diskMiB: 8192,
          cpus: 4,
          firmware: 'uefi',
          machineType: 'q35',
          accelerator: 'tcg',
          diskBus: 'sata',
          bootOrder: ['cdrom', 'disk'],
          nics: [{ model: 'virtio' }, { model: 'e1000' }],
          template: true,
          instantStart: true,
        },
      },
    ])
  })

  test('takes the engine that suits the image, or the one that is named', async () => {
    const { home, asked } = await mainThat()

    await vivarium(home, ['new', 'a'])
    await vivarium(home, ['new', 'b', '--image', 'disk'])
    await vivarium(home, ['new', 'c', '--image', 'iso', '--engine', 'embedded', '--nic', 'none'])

    expect(asked['domains.create']).toMatchObject([
      { spec: { name: 'a', engine: 'embedded', memoryMiB: 128, diskMiB: 0 } },
      { spec: { name: 'b', engine: 'qemu', memoryMiB: 2048, diskMiB: 0 } },
      { spec: { name: 'c', engine: 'embedded', memoryMiB: 512, nics: [] } },
    ])
  })

  test.each([
    [['new', 'a', '--cpus', '0']],
    [['new', 'a', '--boot-order', 'disk,tape']],
    [['new', 'a', '--nic', 'token-ring']],
    [['new', 'a', '--machine', 'vax']],
    [['set', 'a', '--firmware', 'openboot']],
    [['disk', 'grow', 'a', 'disk', 'much']],
    [['limits', 'a', '--read', '-1']],
    [['limits', 'a', '--burst', '0.5x']],
    [['memory', 'a', '1']],
  ])('%j is wrong use', async (args) => {
    const { status, stderr } = await vivarium('/nowhere/at/all', args)

    expect(status).toBe(2)
    expect(stderr).toMatch(/^error: /)
  })
})

test('vivarium set changes only what was given', async () => {
  const { home, asked } = await mainThat()

  await vivarium(home, ['set', 'web', '--cpus', '2', '--no-template'])

  expect(asked['domains.update']).toEqual([{ id: 'id-web', patch: { cpus: 2, template: false } }])
})

describe('vivarium disk', () => {
  test('lists disks and drives', async () => {
    const { home } = await mainThat()

    const { stdout } = await vivarium(home, ['disk', 'ls', 'web'])

    expect(stdout).toMatch(/^DISK +KIND +SIZE +USED +IMAGE\n/)
    expect(stdout).toMatch(/\ndisk +disk +20\.0 GB +1\.0 MB, sealed\n/)
    expect(stdout).toMatch(/\ndisk1 +cdrom +empty +detached\n/)
    expect(JSON.parse((await vivarium(home, ['disk', 'ls', 'web', '--json'])).stdout)).toEqual(disks)
  })

  test('changes them', async () => {
    const { home, asked } = await mainThat()

    await vivarium(home, ['disk', 'add', 'web', '--size', '10G'])
    await vivarium(home, ['disk', 'add', 'web', '--cd', '--image', 'iso'])
    await vivarium(home, ['disk', 'insert', 'web', 'disk1', 'iso'])
    await vivarium(home, ['disk', 'eject', 'web', 'disk1'])
    await vivarium(home, ['disk', 'attach', 'web', 'disk1'])
    await vivarium(home, ['disk', 'detach', 'web', 'disk1'])
    await vivarium(home, ['disk', 'grow', 'web', 'disk', '40G'])
    await vivarium(home, ['disk', 'rm', 'web', 'disk1'])

    const id = 'id-web'
    expect(asked['disks.add']).toEqual([
      { id, kind: 'disk', mib: 10_240 },
      { id, kind: 'cdrom', imageId: 'cdrom' },
    ])
    expect(asked['disks.update']).toEqual([
      { id, disk: 'disk1', imageId: 'cdrom' },
      { id, disk: 'disk1', imageId: '' },
      { id, disk: 'disk1', attached: true },
      { id, disk: 'disk1', attached: false },
    ])
    expect(asked['disks.resize']).toEqual([{ id, disk: 'disk', mib: 40_960 }])
    expect(asked['disks.remove']).toEqual([{ id, disk: 'disk1' }])
  })

  test('repairs one, and tells why it could not', async () => {
    const failure = { kind: 'damaged', message: 'Its header is gone.', hint: 'Revert to a snapshot.', detail: '' }
    const mended = await mainThat({ 'disks.repair': () => ({ id: 't', state: 'done', failure: null }) })
    const lost = await mainThat({ 'disks.repair': () => ({ id: 't', state: 'failed', failure }) })

    expect(await vivarium(mended.home, ['disk', 'repair', 'web', 'disk'])).toMatchObject({ status: 0 })
    const { status, stderr } = await vivarium(lost.home, ['disk', 'repair', 'web', 'disk'])
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: 'vivarium: Its header is gone.\nRevert to a snapshot.\n',
    })
  })
})

describe('vivarium limits', () => {
  test('shows each limit beside what is measured', async () => {
    const { home, asked } = await mainThat()

    const { stdout } = await vivarium(home, ['limits', 'web'])

    expect(stdout).toMatch(/ +LIMIT +MEASURED\n/)
    expect(stdout).toMatch(/\nwrite +5\.0 MB\/s +4\.8 MB\/s\n/)
    expect(stdout).toMatch(/\nwrite-ops +none +37 ops\/s\n/)
    expect(asked['domains.update']).toBeUndefined()
  })

  test('changes what is named and leaves the rest', async () => {
    const { home, asked } = await mainThat()

    const { stdout } = await vivarium(home, ['limits', 'web', '--read', '10M', '--burst', '2x', '--burst-for', '5'])

    const diskLimits = { ...web.diskLimits, readBytes: 10e6, burstTimes: 2, burstSeconds: 5 }
    expect(asked['domains.update']).toEqual([{ id: 'id-web', patch: { diskLimits } }])
    expect(stdout).toContain('Bursts reach 2 times the limit for up to 5 s.')
  })

  test('--none takes all away', async () => {
    const { home, asked } = await mainThat()

    const { stdout } = await vivarium(home, ['limits', 'web', '--none', '--json'])

    expect(asked['domains.update']).toEqual([{ id: 'id-web', patch: { diskLimits: NO_LIMITS } }])
    expect(JSON.parse(stdout)).toEqual({ limits: NO_LIMITS, measured: sample })
  })
})

test('vivarium memory, command-line, addresses and engines', async () => {
  const { home, asked } = await mainThat({
    'domains.commandLine': () => ({ words: ['qemu', '-name', 'a b'] }),
    'domains.interfaces': () => [{ name: 'eth0', mac: 'm', addresses: ['10.0.0.2', 'fe80::1'] }],
    'engines.probe': () => ENGINES,
  })

  expect((await vivarium(home, ['memory', 'web', '96'])).stdout).toContain('web was asked to do with 96 MiB.')
  expect(asked['domains.setMemory']).toEqual([{ id: 'id-web', memoryMiB: 96 }])
  expect((await vivarium(home, ['command-line', 'web'])).stdout).toBe("qemu -name 'a b'\n")
  expect((await vivarium(home, ['addresses', 'web'])).stdout).toMatch(/\neth0 +m +10\.0\.0\.2 fe80::1\n/)
  const engines = (await vivarium(home, ['engines', '--again'])).stdout
  expect(engines).toMatch(/\nqemu +yes +emulated +QEMU 7\.2\.22\n +kvm +no +A guest on it died\.\n/)
  expect(asked['engines.probe']).toHaveLength(1)
})

test('vivarium clone --linked and snapshot create --disks-only', async () => {
  const { home, asked } = await mainThat({
    'domains.clone': () => ({ id: 't', state: 'done', failure: null, resultId: 'id-web' }),
    'snapshots.create': () => ({ id: 't', state: 'done', failure: null, resultId: 's' }),
    'snapshots.list': () => [],
  })

  await vivarium(home, ['clone', 'web', 'twin', '--linked'])
  await vivarium(home, ['snapshot', 'create', 'web', '--disks-only'])
  await vivarium(home, ['snapshot', 'create', 'web'])

  expect(asked['domains.clone']).toEqual([{ id: 'id-web', name: 'twin', linked: true }])
  expect(asked['snapshots.create']).toMatchObject([{ memory: false }, { memory: true }])
})

test('sizes and rates', () => {
  expect([diskOption('512'), diskOption('20G'), diskOption('1t')]).toEqual([512, 20_480, 1_048_576])
  expect(() => diskOption('20X')).toThrow('size')
  expect(() => diskOption('9T')).toThrow('size')
  expect([rateOption('0'), rateOption('10M'), rateOption('1.5k')]).toEqual([0, 10e6, 1500])
  expect(() => rateOption('fast')).toThrow('number')
})
