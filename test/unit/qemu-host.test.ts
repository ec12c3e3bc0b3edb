import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { QemuHosts } from '../../vmm/engine/qemu-host'
import { PROBE_STATUS } from '../../vmm/engine/qemu-probe-guest'
import { NO_QEMU } from '../support/standing-qemu'
import { temporaryFolder } from '../support/temporary-folder'

let folder = ''
const memory = () => join(folder, 'cache', 'qemu.json')
const calls = () => readFileSync(join(folder, 'calls'), 'utf8').split('\n').filter(Boolean)

/** A QEMU that says this of its version, and does this for a guest on an accelerator. */
function fakeQemu(says: { version?: string; kvm?: string; tcg?: string; sandbox?: string } = {}) {
  const { version = 'QEMU emulator version 7.2.22', kvm = `exit ${PROBE_STATUS}`, tcg = kvm, sandbox = 'exit 0' } = says
  const file = join(folder, 'qemu-system-x86_64')
  const script = `#!/bin/sh
echo "$*" >> '${join(folder, 'calls')}'
case "$*" in
  --version) ${version.startsWith('!') ? version.slice(1) : `echo '${version}'`} ;;
  *-version) ${sandbox} ;;
  *-accel\\ kvm*) ${kvm} ;;
  *) ${tcg} ;;
esac
`
  writeFileSync(file, script)
  chmodSync(file, 0o755)
}

beforeEach(() => {
  folder = temporaryFolder()
  writeFileSync(join(folder, 'calls'), '')
  process.env['VIVARIUM_QEMU'] = folder
})
afterEach(() => {
  delete process.env['VIVARIUM_QEMU']
})

describe.skipIf(process.platform !== 'linux')('the QEMU of a host', () => {
  test.each([
    ['QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)', '7.2.22'],
    ['QEMU emulator version 10.0.2 (qemu-10.0.2-1.fc42)', '10.0.2'],
    ['QEMU emulator version 8.0.94 (v8.1.0-rc4)', '8.0.94'],
    ['QEMU emulator version 9.1', '9.1'],
  ])('is told by its version: %s', async (said, version) => {
    fakeQemu({ version: said })
    expect(await new QemuHosts(memory()).find()).toMatchObject({ version, sandbox: true })
  })

  test.each([
    ['QEMU emulator version 6.2.0 (Debian 1:6.2+dfsg-2ubuntu6)', '6.2.0'],
    ['QEMU emulator version 7.1.0', '7.1.0'],
    ['QEMU emulator version 0.15', '0.15'],
    ['Segmentation fault\u001b[2J', 'Segmentation fault'],
    ['', 'of an unknown version'],
    ['!exit 1', 'of an unknown version'],
  ])('is refused, and told what to install, for %j', async (said, shown) => {
    fakeQemu({ version: said })
    const failure = await new QemuHosts(memory()).find().catch((error: unknown) => error as Error)
    expect(failure).toMatchObject({ kind: 'unsupported', hint: expect.stringContaining('nstall') })
    expect((failure as Error).message).toContain(shown)
    expect((failure as Error).message).not.toContain('\u001b')
  })

  test('is tried anew once for all who ask for that at the same time', async () => {
    fakeQemu()
    const guests = () => calls().filter((call) => call.includes('-accel')).length
    const hosts = new QemuHosts(memory())
    await hosts.find()
    const once = guests()
    await Promise.all([hosts.find(true), hosts.find(true), hosts.find(true)])
    expect(guests()).toBe(2 * once)
    await hosts.find(true)
    expect(guests()).toBe(3 * once)
  })

  test('is refused when it hangs, and looked for again later', async () => {
    fakeQemu({ version: '!sleep 60' })
    const hosts = new QemuHosts(memory(), 200)
    await expect(hosts.find()).rejects.toMatchObject({ kind: 'unsupported' })
    fakeQemu()
    expect(await hosts.find()).toMatchObject({ version: '7.2.22' })
  })

  test.each([
    [
      'says so',
      `echo 'qemu-system-x86_64: Could not access KVM kernel module: No such device' >&2; exit 1`,
      /No such device/,
    ],
    [
      'dies of an internal error',
      `echo 'KVM internal error. Suberror: 1' >&2; exec sleep 60`,
      /dies: KVM internal error/,
    ],
    ['says nothing', 'exit 1', /status 1/],
    ['comes to another end', 'exit 0', /status 0/],
    ['is killed', 'kill -9 $$', /does not come to its end/],
    ['babbles', `head -c 3000000 /dev/zero | tr '\\0' 'x' >&2; exit 1`, /x{50}/],
  ])('has no accelerator that %s', async (_, kvm, reason) => {
    fakeQemu({ kvm, tcg: `exit ${PROBE_STATUS}` })
    const hosts = new QemuHosts(memory())
    const { accelerators } = await hosts.find()
    expect(accelerators).toEqual([
      { id: 'kvm', works: false, reason: expect.stringMatching(reason) },
      { id: 'tcg', works: true, reason: '' },
    ])
    expect(accelerators[0]?.reason.length).toBeLessThan(300)
    expect(await hosts.choose('auto')).toBe('tcg')
    await expect(hosts.choose('kvm')).rejects.toMatchObject({
      kind: 'unsupported',
      message: expect.stringMatching(reason),
    })
    await expect(hosts.choose('hvf')).rejects.toMatchObject({ message: expect.stringContaining('not for this system') })
  })

  test('does not wait for a guest without end', async () => {
    fakeQemu({ kvm: 'exec sleep 60', tcg: `exit ${PROBE_STATUS}` })
    const { accelerators } = await new QemuHosts(memory(), 300).find()
    expect(accelerators[0]).toEqual({ id: 'kvm', works: false, reason: 'A guest on it does not come to its end.' })
  })

  test('is told when nothing works', async () => {
    fakeQemu({ kvm: 'exit 1' })
    await expect(new QemuHosts(memory()).choose('auto')).rejects.toMatchObject({
      kind: 'unsupported',
      message: expect.stringMatching(/^No accelerator works here\. QEMU says: status 1\.$/),
    })
  })

  test('is used without a sandbox where the host refuses it only when a guest runs', async () => {
    fakeQemu({ kvm: `case "$*" in *-sandbox*) echo seccomp >&2; exit 1 ;; *) exit ${PROBE_STATUS} ;; esac` })
    const { sandbox, accelerators } = await new QemuHosts(memory()).find()
    expect(sandbox).toBe(false)
    expect(accelerators.some(({ works }) => works)).toBe(true)
  })

  test('is used without a sandbox where it cannot make one', async () => {
    fakeQemu({ sandbox: 'exit 1' })
    expect(await new QemuHosts(memory()).find()).toMatchObject({ sandbox: false })
    expect(calls().filter((call) => call.includes('-accel') && call.includes('-sandbox'))).toEqual([])
  })

  test('is remembered, also by the next main, until asked anew or another QEMU comes', async () => {
    fakeQemu()
    await new QemuHosts(memory()).find()
    const tried = calls().length
    const hosts = new QemuHosts(memory())
    await Promise.all([hosts.find(), hosts.find(), hosts.choose('auto')])
    expect(calls().slice(tried)).toEqual(['--version'])
    await hosts.find(true)
    expect(calls()).toHaveLength(2 * tried + 1)
    fakeQemu({ version: 'QEMU emulator version 9.0.0', kvm: 'exit 1' })
    expect(await new QemuHosts(memory()).choose('auto').catch(() => 'none')).toBe('none')
  })

  test.each([
    ['garbage', 'garbage'],
    ['another accelerator', '{"key":"","sandbox":true,"accelerators":[{"id":"magic","works":true,"reason":""}]}'],
    ['half of it', '{"key":"'],
  ])('is tried again when the memory of it is %s', async (_, content) => {
    fakeQemu()
    mkdirSync(join(folder, 'cache'))
    writeFileSync(memory(), content)
    expect(await new QemuHosts(memory()).choose('auto')).toBe('kvm')
    expect(JSON.parse(readFileSync(memory(), 'utf8'))).toMatchObject({ sandbox: true })
  })

  test('works where it cannot be remembered', async () => {
    fakeQemu()
    writeFileSync(join(folder, 'cache'), 'a file')
    const hosts = new QemuHosts(memory())
    expect(await hosts.choose('auto')).toBe('kvm')
    await hosts.condemn('kvm', 'A guest on it died.')
    expect(await hosts.choose('auto')).toBe('tcg')
  })

  test('has an accelerator no more of which a guest has died, until it is tried anew', async () => {
    fakeQemu()
    const hosts = new QemuHosts(memory())
    await hosts.condemn('kvm', 'A guest on it died: KVM internal error.')
    for (const each of [hosts, new QemuHosts(memory())]) {
      expect(await each.choose('auto')).toBe('tcg')
      await expect(each.choose('kvm')).rejects.toMatchObject({ message: expect.stringContaining('A guest on it died') })
    }
    await hosts.find(true)
    expect(await hosts.choose('auto')).toBe('kvm')
  })
})

test.skipIf(NO_QEMU)(`the smallest guest comes to its end in a real QEMU ${NO_QEMU}`, async () => {
  delete process.env['VIVARIUM_QEMU']
  const { accelerators, version } = await new QemuHosts(memory()).find()
  expect(accelerators.find(({ id }) => id === 'tcg')).toEqual({ id: 'tcg', works: true, reason: '' })
  expect(version).toMatch(/^\d+\.\d+/)
})
