import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { findQemuProgram } from '../../vmm/images/qemu-programs'
import { endMachines, NO_QEMU } from '../support/qemu-machines'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish, openVivarium, startDomain, until, type TestVivarium } from '../support/vivarium'

const folder = temporaryFolderForFile()
const programs = path.join(folder, 'programs')
const real = (await findQemuProgram('qemu-system-x86_64')) ?? ''
const image = (await findQemuProgram('qemu-img')) ?? ''

describe.skipIf(NO_QEMU !== '')(`hosts whose QEMU does not do ${NO_QEMU}`, () => {
  let vivarium: TestVivarium
  let imageId = ''

  beforeAll(async () => {
    await seedStarter(folder)
    mkdirSync(programs)
    vivarium = await openVivarium(folder)
    imageId = (await finish(vivarium.call, vivarium.call('images.prepareStarter', {}))).resultId
  })

  afterAll(async () => {
    vi.unstubAllEnvs()
    await vivarium.close()
    await endMachines(folder)
  })

  const verdict = async () => (await vivarium.call('engines.probe', {})).find(({ id }) => id === 'qemu')

  async function startOf(name: string, more: { accelerator?: 'kvm' } = {}): Promise<unknown> {
    const { call } = vivarium
    const { id } = await call('domains.create', { spec: { name, engine: 'qemu', imageId, ...more } })
    return await finish(call, call('domains.start', { id })).catch((error: unknown) => error)
  }

  function fakeQemu(script: string): void {
    const file = path.join(programs, 'qemu-system-x86_64')
    writeFileSync(file, `#!/bin/sh\n${script}\n`)
    chmodSync(file, 0o755)
    vi.stubEnv('VIVARIUM_QEMU', programs)
  }

  test('none, or one that is too old: it is said what to install, and the embedded engine works', async () => {
    vi.stubEnv('VIVARIUM_QEMU', programs)
    expect(await verdict()).toMatchObject({ works: false, reason: expect.stringContaining('Install QEMU') })
    expect(await startOf('Without')).toMatchObject({ kind: 'unsupported', hint: expect.stringContaining('Install') })

    fakeQemu('echo "QEMU emulator version 6.2.0"')
    expect(await verdict()).toMatchObject({ works: false, reason: expect.stringContaining('6.2.0') })
    expect(await startOf('Too old')).toMatchObject({ kind: 'unsupported', hint: expect.stringContaining('Install') })

    const id = await startDomain(vivarium.call, 'Embedded', { engine: 'embedded' })
    await vivarium.call('domains.forceOff', { id })
  })

  test('one that lacks a device', async () => {
    symlinkSync(image, path.join(programs, 'qemu-img'))
    const lacks = `qemu-system-x86_64: -device virtio-rng-pci: 'virtio-rng-pci' is not a valid device model name`
    fakeQemu(`case "$*" in *virtio-rng*) echo "${lacks}" >&2; exit 1;; esac\nexec ${real} "$@"`)

    expect(await verdict()).toMatchObject({ works: true })
    expect(await startOf('Lacking')).toMatchObject({ kind: 'unsupported', hint: expect.stringContaining('Install') })
    vi.unstubAllEnvs()
  })

  test('an accelerator that does not work is refused, and one that dies is not chosen again', async (context) => {
    const kvm = (await verdict())?.accelerators.find(({ id }) => id === 'kvm')
    if (kvm?.works !== false || !kvm.reason.includes('dies')) return context.skip('needs a KVM whose guests die')
    expect(await startOf('Refused', { accelerator: 'kvm' })).toMatchObject({ kind: 'unsupported' })

    const known = path.join(folder, 'cache', 'qemu.json')
    const verdicts = JSON.parse(readFileSync(known, 'utf8')) as { accelerators: { id: string; works: boolean }[] }
    for (const each of verdicts.accelerators) each.works = true
    await vivarium.close()
    writeFileSync(known, JSON.stringify(verdicts))
    vivarium = await openVivarium(folder)
    const again = vivarium.call
    const { id } = await again('domains.create', { spec: { name: 'Dies', engine: 'qemu', imageId, memoryMiB: 80 } })
    await finish(again, again('domains.start', { id })).catch(() => undefined)
    const crashed = await until(again, id, ({ state }) => state === 'crashed', 20_000)
    expect(crashed.stateReason).toContain('accelerator kvm')
    await finish(again, again('domains.start', { id }))
    expect((await until(again, id, ({ agent }) => agent === 'ready')).runningOn).toBe('tcg')
    await again('domains.forceOff', { id })
  })
})
