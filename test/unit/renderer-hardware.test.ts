// @vitest-environment happy-dom
import { createPinia, setActivePinia } from 'pinia'
import * as v from 'valibot'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { computed, effectScope, nextTick, shallowRef, type EffectScope } from 'vue'
import { SandboxPolicySchema, type LoadView } from '../../src-main/contract'
import { amountOf, limited, LIMIT_KINDS, reached, unitFor } from '../../src-renderer/composables/disk-limits'
import { fitted, hardwareFault, plainHardware } from '../../src-renderer/composables/hardware-draft'
import { chartsOf } from '../../src-renderer/composables/load-charts'
import { useSettingsDraft } from '../../src-renderer/composables/settings-draft'
import { reachable } from '../../src-renderer/composables/useInterfaces'
import { useNewDomain } from '../../src-renderer/composables/useNewDomain'
import { damagedDisk, judge } from '../../src-renderer/composables/useVerbs'
import { rate } from '../../src-renderer/format'
import { engineSentence, engineWords } from '../../src-renderer/hardware-words'
import { useApp } from '../../src-renderer/stores/app'
import { useImages } from '../../src-renderer/stores/images'
import { NO_LIMITS } from '../../vmm/model/hardware'
import { scriptedConnection } from '../support/scripted-connection'
import { domainView, engineView, imageView, SMALL, WHOLE } from '../support/views'

const small = engineView({})
const whole = engineView({
  id: 'qemu',
  name: 'QEMU',
  isolation: 'emulated',
  version: 'QEMU 7.2.22',
  capabilities: WHOLE,
})

describe('hardware in a form', () => {
  const wanted = {
    ...plainHardware(),
    cpus: 4,
    firmware: 'uefi' as const,
    machineType: 'q35' as const,
    accelerator: 'tcg' as const,
    diskBus: 'sata' as const,
    nics: [{ model: 'virtio' as const }, { model: 'e1000' as const }],
  }

  it('is kept by an engine that can do it, and fitted to one that cannot', () => {
    expect(fitted(wanted, WHOLE)).toEqual(wanted)
    expect(fitted(wanted, SMALL)).toEqual({ ...plainHardware(), nics: [{ model: 'virtio' }] })
  })

  it('says what is wrong before main would', () => {
    const wished = { hardware: wanted, memoryMiB: 512, disks: [], imageKind: 'disk' as const }
    expect(hardwareFault(wished, WHOLE)).toBe('')
    expect(hardwareFault(wished, SMALL)).toMatch(/^This engine: .*processor/)
    expect(hardwareFault({ ...wished, memoryMiB: 99_999 }, WHOLE)).toMatch(/16384 MiB/)
    expect(hardwareFault({ ...wished, hardware: { ...wanted, cpus: NaN } }, WHOLE)).toMatch(/processor/)
    const micro = { ...plainHardware(), machineType: 'microvm' as const }
    expect(hardwareFault({ ...wished, hardware: micro }, WHOLE)).toMatch(/kernel/)
    expect(hardwareFault({ ...wished, hardware: micro, imageKind: 'kernel' }, WHOLE)).toBe('')
  })
})

const EMPTY = v.parse(SandboxPolicySchema, {})
const OPEN = v.parse(SandboxPolicySchema, { network: { rules: [{ name: 'All', action: 'allow', peers: ['any'] }] } })

describe('a new domain', () => {
  const created: unknown[] = []
  let engines = [small, whole]
  let scope: EffectScope
  const wizard = (imageId: string) => scope.run(() => useNewDomain(imageId))!

  afterEach(() => scope.stop())
  beforeEach(async () => {
    scope = effectScope()
    setActivePinia(createPinia())
    created.length = 0
    engines = [small, whole]
    useImages()
    useApp().connect(
      scriptedConnection({
        'events.subscribe': () => ({}),
        'app.info': () => ({ engines }),
        'engines.probe': () => [small, whole],
        'images.list': () => [imageView({}), imageView({ kind: 'cdrom' }), imageView({ kind: 'disk' })],
        'settings.update': () => ({}),
        'policy.templates': () => [
          { id: 'offline', name: '', description: '', policy: EMPTY },
          { id: 'open', name: '', description: '', policy: OPEN },
        ],
        'domains.create': ({ spec }: { spec: { name: string } }) => {
          created.push(spec)
          return domainView({ name: spec.name })
        },
      }),
    )
    await new Promise((read) => setTimeout(read))
  })

  it('follows the image until the person chooses otherwise', async () => {
    const { draft, image } = wizard('')
    expect(image.value?.kind).toBe('starter')
    expect(draft).toMatchObject({ engine: 'embedded', memoryMiB: 128, diskMiB: 0 })
    draft.imageId = 'cdrom'
    await nextTick()
    expect(draft).toMatchObject({ engine: 'qemu', memoryMiB: 2048, diskMiB: 20_480, name: 'cdrom-1' })
    draft.memoryMiB = 4096
    draft.engine = 'embedded'
    draft.name = 'mine'
    draft.imageId = 'disk'
    await nextTick()
    expect(draft).toMatchObject({ engine: 'embedded', memoryMiB: 4096, diskMiB: 0, name: 'mine' })
  })

  it('has hardware that its engine can do', async () => {
    const { draft, hardware, fault } = wizard('disk')
    hardware.value = { ...hardware.value, cpus: 4, firmware: 'uefi' }
    expect(fault.value).toBe('')
    draft.engine = 'embedded'
    await nextTick()
    expect(hardware.value).toMatchObject({ cpus: 1, firmware: 'bios' })
    draft.memoryMiB = 4096
    expect(fault.value).toMatch(/2048 MiB/)
  })

  it('goes to the engine that works, and back when the other one was installed', async () => {
    engines = [small, { ...whole, works: false, reason: 'QEMU is not installed.' }]
    await useApp().refreshInfo()
    const { draft } = wizard('cdrom')
    expect(draft).toMatchObject({ engine: 'embedded', memoryMiB: 512, diskMiB: 0 })
    await useApp().probeEngines()
    await nextTick()
    expect(draft).toMatchObject({ engine: 'qemu', memoryMiB: 2048, diskMiB: 20_480 })
  })

  it('is made as it was drafted', async () => {
    const { draft, hardware, create } = wizard('cdrom')
    draft.name = 'inst'
    hardware.value = { ...hardware.value, cpus: 2, bootOrder: ['cdrom', 'disk'] }
    await create(false)
    expect(created).toMatchObject([
      { name: 'inst', engine: 'qemu', imageId: 'cdrom', diskMiB: 20_480, cpus: 2, bootOrder: ['cdrom', 'disk'] },
    ])
  })

  it('reaches nobody until it is chosen otherwise, and is plugged in where it was said', async () => {
    const { draft, template, plug, create } = wizard('starter')
    await new Promise((read) => setTimeout(read))
    draft.name = 'quiet'
    await create(false)
    draft.name = 'loud'
    template.value = 'open'
    plug.value = { mode: 'segment', segment: 'lab' }
    await create(false)
    expect(created).toMatchObject([
      { policy: EMPTY, connections: [{ mode: 'gateway', segment: '' }] },
      { policy: OPEN, connections: [{ mode: 'segment', segment: 'lab' }] },
    ])
  })

  it('wants a disk size that is a number', () => {
    const { draft, fault } = wizard('cdrom')
    draft.diskMiB = NaN
    expect(fault.value).toMatch(/disk size/)
  })
})

describe('settings', () => {
  const told = shallowRef(domainView({ name: 'web', capabilities: WHOLE, imageKind: 'disk', cpus: 2 }))
  const settings = useSettingsDraft(computed(() => told.value))

  it('keep what was changed and follow the rest', async () => {
    settings.hardware.value = { ...settings.hardware.value, cpus: 4, bootOrder: ['cdrom'] }
    expect(settings.patch()).toEqual({ cpus: 4, bootOrder: ['cdrom'] })
    told.value = { ...told.value, memoryMiB: 1024, cpus: 3 }
    await nextTick()
    expect(settings.draft).toMatchObject({ cpus: 4, memoryMiB: 1024 })
    settings.discard()
    expect(settings.patch()).toEqual({})
  })

  it('say when hardware can be changed', () => {
    for (const [state, words] of [
      ['off', ''],
      ['crashed', ''],
      ['running', 'while the domain is off'],
      ['saved', 'discard it'],
    ] as const) {
      told.value = { ...told.value, state }
      expect(settings.fixed.value).toContain(words)
      expect(settings.fixed.value === '').toBe(words === '')
    }
  })
})

describe('verbs', () => {
  it('never start a template', () => {
    expect(judge('start', domainView({ template: true }))).toMatchObject({ allowed: false })
    expect(judge('clone', domainView({ template: true })).allowed).toBe(true)
  })

  it('shut a guest without an agent down where there is a power button', () => {
    const running = { state: 'running', agent: 'none' } as const
    expect(judge('shutdown', domainView({ ...running, capabilities: WHOLE })).allowed).toBe(true)
    expect(judge('shutdown', domainView({ ...running, capabilities: SMALL })).reason).toMatch(/no agent/)
    expect(judge('shutdown', domainView({ ...running, agent: 'waiting' })).allowed).toBe(true)
  })

  it('take a snapshot of a running guest where its disks alone can be kept', () => {
    const capabilities = { ...WHOLE, liveSnapshot: false }
    expect(judge('snapshot', domainView({ state: 'running', capabilities })).allowed).toBe(true)
  })

  it('know the disk to mend from what a start was refused for', () => {
    const failure = { kind: 'damaged' as const, message: '', hint: '', detail: 'disk: disk3\nrepairable: true' }
    expect(damagedDisk(failure)).toBe('disk3')
    expect(damagedDisk({ ...failure, detail: 'disk: disk' })).toBe('disk')
    expect(damagedDisk({ ...failure, detail: 'disk: disk\nrepairable: false' })).toBeNull()
    expect(damagedDisk({ ...failure, kind: 'engine' })).toBeNull()
    expect(damagedDisk({ ...failure, detail: 'layer: disk' })).toBeNull()
  })
})

describe('disk limits', () => {
  const sample = { diskReadPerSecond: 5e6, diskWriteOpsPerSecond: 40 } as LoadView

  it('are typed in units', () => {
    const units = LIMIT_KINDS[0]?.units ?? []
    expect([unitFor(0, units), unitFor(2e6, units), unitFor(500e3, units), unitFor(5, units)]).toEqual([
      1e6, 1e6, 1e3, 1e3,
    ])
    expect([amountOf('', 1e6), amountOf('1.5', 1e6), amountOf('x', 1e6), amountOf('-1', 1)]).toEqual([
      0,
      1_500_000,
      null,
      null,
    ])
  })

  it('stand beside what is measured', () => {
    expect(LIMIT_KINDS.map(({ key, measured, write }) => key + write(measured(sample) || 0))).toEqual([
      'readBytes5 MB/s',
      'writeBytes0 B/s',
      'readOps0 ops/s',
      'writeOps40 ops/s',
    ])
    expect([reached(5e6, 10e6), reached(20e6, 10e6)]).toEqual([0.5, 1])
    expect([limited(NO_LIMITS), limited({ ...NO_LIMITS, readOps: 1 })]).toEqual([false, true])
    expect([rate(0), rate(999), rate(1500), rate(12_345_678), rate(2.5e9)]).toEqual([
      '0 B/s',
      '999 B/s',
      '1.5 kB/s',
      '12.3 MB/s',
      '2.5 GB/s',
    ])
  })
})

describe('what a machine is told by', () => {
  it('engine, version and accelerator', () => {
    expect(engineWords(whole, 'qemu', 'tcg')).toBe('QEMU 7.2 · TCG')
    expect(engineWords(small, 'embedded', '')).toBe('Embedded (v86)')
    expect(engineWords(undefined, 'qemu', '')).toBe('qemu')
    expect(engineSentence(small)).toMatch(/32-bit/)
    expect(engineSentence(whole)).toMatch(/without hardware acceleration/)
    expect(engineSentence({ ...whole, accelerators: [{ id: 'kvm', works: true, reason: '' }] })).toMatch(
      /nearly as fast/,
    )
  })

  it('addresses that others can reach, IPv4 first', () => {
    const interfaces = [
      { name: 'lo', mac: '', addresses: ['127.0.0.1/8', '::1/128'] },
      { name: 'eth0', mac: '', addresses: ['fe80::1/64', '2001:db8::2/64', '10.0.2.15/24'] },
    ]
    expect(reachable(interfaces)).toEqual(['10.0.2.15', '2001:db8::2'])
  })

  it('instructions only where they are counted', () => {
    const titles = (instructionsPerSecond: number | null) =>
      chartsOf([{ instructionsPerSecond, guestUsedBytes: null } as LoadView], 128).map(({ title }) => title)
    expect(titles(5)).toContain('Instructions per second')
    expect(titles(null)).not.toContain('Instructions per second')
    expect(titles(null)).toContain('Disk operations per second')
  })
})
