import { mkdtempSync } from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { ConsoleText } from '../support/console-text'
import { debianRoot, NO_DEBIAN_ROOT, type DebianRoot } from '../support/debian-root'
import { NO_QEMU_IMG, qemuImg } from '../support/qemu-disks'
import { importFiles, removeDomains } from '../support/real-inputs'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { exec, finish, openVivarium, until, type TestVivarium } from '../support/vivarium'

const CMDLINE = 'root=/dev/vda rw console=ttyS0 quiet tsc=reliable no_timer_check mitigations=off'

describe.skipIf(NO_DEBIAN_ROOT !== '')(`a Debian of systemd on a disk of its own ${NO_DEBIAN_ROOT}`, () => {
  const folder = temporaryFolderForFile()
  let vivarium: TestVivarium
  let debian: DebianRoot

  beforeAll(async () => {
    debian = await debianRoot()
    vivarium = await openVivarium(path.join(folder, 'home'))
  })

  afterEach(() => removeDomains(vivarium.call))
  afterAll(() => vivarium.close())

  /** A domain that boots Debian's own kernel, with `disk` as its root. */
  async function startDebian(disk: string): Promise<{ id: string; console: ConsoleText }> {
    const { call } = vivarium
    const imageId = await importFiles(call, [debian.kernel, debian.initrd], CMDLINE)
    const diskId = await importFiles(call, [disk])
    const spec = { name: `Debian ${path.extname(disk)}`, engine: 'qemu' as const, imageId, memoryMiB: 512 }
    const { id } = await call('domains.create', { spec })
    await call('disks.add', { id, kind: 'disk', imageId: diskId })
    await finish(call, call('domains.start', { id }))
    return { id, console: new ConsoleText(call, id) }
  }

  async function logIn(console: ConsoleText): Promise<void> {
    await console.expect(/kept-by-debian login: /)
    await console.type('root\r')
    await console.expect(/root@kept-by-debian:~# /)
  }

  test('comes to its login, does its work, answers by its agent, and heeds the power button', async () => {
    const { call } = vivarium
    const { id, console } = await startDebian(debian.disk)
    await logIn(console)

    await console.type('apt --version; apt-get check && echo sound-$?; systemctl is-system-running --wait\r')
    await console.expect(/apt \d+\.\d+\.\d+ \(amd64\)/)
    await console.expect(/sound-0/)
    await console.expect(/\n(running|degraded)/)
    await until(call, id, (domain) => domain.agent === 'ready')
    expect(await exec(call, id, ['cat', '/etc/hostname'])).toMatchObject({ stdout: 'kept-by-debian\n', exitCode: 0 })
    await console.type('systemctl mask --now qemu-guest-agent; echo stopped-$?\r')
    await console.expect(/stopped-0/)

    // what is left to ask it to power off is the button
    await finish(call, call('domains.shutdown', { id }))

    expect(await call('domains.get', { id })).toMatchObject({ state: 'off', stateReason: '' })
    await console.expect(/Power down|System Power Off|Reached target.*(power-?off|Shutdown)/i, 5000)
  })

  test.skipIf(NO_QEMU_IMG !== '')(`boots from a disk that was a VMDK ${NO_QEMU_IMG}`, async () => {
    const vmdk = path.join(mkdtempSync(path.join(folder, 'disk-')), 'root.vmdk')
    const how = ['-o', 'subformat=streamOptimized']
    qemuImg('convert', '-f', 'raw', '-O', 'vmdk', ...how, debian.disk, vmdk)

    const { console } = await startDebian(vmdk)
    await logIn(console)

    await console.type('findmnt -no FSTYPE,SOURCE /\r')
    await console.expect(/ext4 +\/dev\/vda/)
  })
})
