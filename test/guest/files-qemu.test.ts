import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { QemuEngine } from '../../vmm/engine/qemu'
import type { MachineSpec } from '../../vmm/engine/machine-spec'
import { FILES_CARD_TEXT } from '../../vmm/files/files-card'
import { GuestShares } from '../../vmm/machine/guest-shares'
import { FileServer } from '../support/file-server'
import { guestOf, PLAIN_PC, shell, type Guest } from '../support/machines'
import { NO_QEMU } from '../support/qemu-machines'
import { testStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'

const MIB = 1024 * 1024
const folder = temporaryFolderForFile()
const trees = { one: path.join(folder, 'one'), two: path.join(folder, 'two') }

describe.skipIf(NO_QEMU !== '')(`files of a QEMU guest ${NO_QEMU}`, () => {
  const engine = new QemuEngine({
    layers: path.join(folder, 'layers'),
    run: path.join(folder, 'run'),
    cache: path.join(folder, 'cache'),
  })
  let spec: MachineSpec
  let guest: Guest
  let server: FileServer

  beforeAll(async () => {
    for (const tree of Object.values(trees)) mkdirSync(tree)
    const { kernel, initrd, cmdline, bios, vgaBios } = await testStarter()
    spec = {
      ...PLAIN_PC,
      domainId: 'files',
      memoryMiB: 160,
      boot: { kind: 'kernel', kernel, initrd, cmdline },
      disks: [],
      nics: [],
      bios: { bios, vgaBios },
      filesCard: true,
      resumeFrom: null,
    }
    await run()
    expect(await guest.agent.answers(120_000)).toBe(true)
    await mount('one')
    await mount('two')
  })

  afterAll(async () => {
    await server.kill()
    await guest.machine.kill()
  })

  async function run(more: Partial<MachineSpec> = {}): Promise<void> {
    guest = guestOf(await engine.start({ ...spec, ...more }))
    server = await FileServer.start(guest.machine.filesCard!, trees)
  }

  const mount = (name: string) =>
    new GuestShares(guest.commands, 'own').mount({ name, point: `/mnt/${name}`, cache: 'none' })

  test('two trees are mounted at once, each with its own files', async () => {
    writeFileSync(path.join(trees.one, 'name'), 'first')
    writeFileSync(path.join(trees.two, 'name'), 'second')
    expect(await shell(guest, 'cat /mnt/one/name /mnt/two/name')).toBe('firstsecond')
    expect(await shell(guest, 'echo said > /mnt/two/said; ls /mnt/one /mnt/two')).toContain('said')
    expect(readFileSync(path.join(trees.two, 'said'), 'utf8')).toBe('said\n')
    expect(server.link.connections).toBe(2)
  })

  test('what is written and read is the same, byte for byte', async () => {
    const sum = await shell(
      guest,
      'dd if=/dev/urandom of=/mnt/one/big bs=1M count=64 2>/dev/null; md5sum < /mnt/one/big',
    )
    const bytes = readFileSync(path.join(trees.one, 'big'))
    expect(bytes).toHaveLength(64 * MIB)
    expect(sum).toContain(createHash('md5').update(bytes).digest('hex'))
  })

  test('the card leads to nothing else', async () => {
    const reach = `nc -w 2 ${FILES_CARD_TEXT.server} 80 < /dev/null && echo reached; ping -c 1 -W 1 ${FILES_CARD_TEXT.server} > /dev/null && echo answered; true`
    expect(await shell(guest, reach)).toBe('')
  })

  test('a server that was killed is replaced, and both trees are mounted again', async () => {
    await server.kill()
    server = await FileServer.start(guest.machine.filesCard!, trees)
    await expect.poll(() => server.link.linked).toBe(true)
    // the old connections are answered by a reset, not by silence
    expect(await shell(guest, 'cat /mnt/one/name 2>/dev/null || echo gone')).toBe('gone')

    await mount('one')
    await mount('two')
    expect(await shell(guest, 'cat /mnt/one/name /mnt/two/name')).toBe('firstsecond')
    expect(await shell(guest, 'mount | grep -c " type 9p "')).toBe('2')
  })

  test('after sleep the trees are mounted again', async () => {
    const state = path.join(folder, 'asleep.state')
    await guest.machine.saveState(state, { compress: false, layerCopies: {} })
    await guest.machine.kill()
    await server.kill()
    await run({ resumeFrom: state })
    expect(await guest.agent.answers(30_000)).toBe(true)

    await mount('one')
    expect(await shell(guest, 'cat /mnt/one/name')).toBe('first')
  })

  test('a guest without our program is told the same by plain words', async () => {
    const shares = new GuestShares(guest.commands, 'card')
    await shares.mount({ name: 'two', point: '/mnt/two', cache: 'none' })
    expect(await shell(guest, 'cat /mnt/two/name')).toBe('second')
    await shares.unmount('/mnt/two')
    expect(await shell(guest, 'ls /mnt/two')).toBe('')
  })
})
