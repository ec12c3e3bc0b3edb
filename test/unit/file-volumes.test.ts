import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { NbdClient } from '../../vmm/disks/nbd-client'
import type { VolumePlace } from '../../vmm/disks/volume-calls'
import { FilesHost } from '../../vmm/files/files-host'
import type { DomainFilesConfig } from '../../vmm/files/files-protocol'
import { NO_RATES, type IoLimit } from '../../vmm/model/policy-io'
import { realClock } from '../support/real-clock'
import { temporaryFolder } from '../support/temporary-folder'
import { MASTER, volumeDisk } from '../support/volume-disks'

const TEXT = Buffer.alloc(20_000, 'what a guest keeps to itself. ')

describe('volumes in the file process', () => {
  let folder: string
  let place: VolumePlace
  let host: FilesHost
  const disk = (id = 'disk') => volumeDisk(folder, id)
  const newHost = () => new FilesHost({ clock: realClock, wallClock: () => Date.now(), progress: () => undefined })

  beforeEach(() => {
    folder = temporaryFolder()
    place = { folder: join(folder, 'volumes'), key: MASTER }
    host = newHost()
    onTestFinished(() => host.close())
  })

  function config(change: Partial<DomainFilesConfig> = {}): DomainFilesConfig {
    return {
      domainId: 'domain',
      key: MASTER,
      shares: [],
      rules: [],
      registryRules: [],
      once: { files: [], registry: [] },
      limits: [],
      group: null,
      registry: null,
      doors: null,
      volumes: { folder: place.folder, socket: join(folder, 'disks.sock'), disks: [disk(), disk('disk1')] },
      ...change,
    }
  }

  async function client(id = 'disk'): Promise<NbdClient> {
    const opened = new NbdClient(join(folder, 'disks.sock'), id, () => undefined)
    onTestFinished(() => opened.close())
    expect(await opened.open(5000)).toBe(disk().bytes)
    return opened
  }

  it('are served, counted by disk, copied at one moment, and closed', async () => {
    await host.setDomain(config())
    const [first, second] = [await client(), await client('disk1')]
    await first.write(0, TEXT)
    await second.write(4096, TEXT)
    await host.copyVolumes('domain', { disk: join(folder, 'copy.layer'), disk1: join(folder, 'copy1.layer') })
    await first.write(0, Buffer.alloc(TEXT.length))
    await first.flush()
    const meters = new Map(host.report()?.meters.map(({ device, count }) => [device, count.writeBytes]))
    expect([meters.get('disk'), meters.get('disk1'), meters.get('')]).toEqual([40_000, 20_000, 60_000])
    await expect(host.volumes(place, 'removeLayer', [disk().layer])).rejects.toMatchObject({ kind: 'conflict' })

    await host.closeDomain('domain')
    const flat = join(folder, 'flat')
    await host.flattenVolume('job', place, { ...disk(), layer: join(folder, 'copy.layer') }, flat, 'file')
    expect(readFileSync(flat).subarray(0, TEXT.length).equals(TEXT)).toBe(true)
    expect(statSync(flat).size).toBe(disk().bytes)
    expect(await host.volumes(place, 'check', [disk()])).toEqual({ damage: '', repairable: false })
    const sealed = readdirSync(place.folder).map((name) => readFileSync(join(place.folder, name)))
    expect(sealed.some((bytes) => bytes.includes('what a guest keeps'))).toBe(false)
    for (const id of ['disk', 'disk1', 'copy', 'copy1']) {
      await host.volumes(place, 'removeLayer', [join(folder, `${id}.layer`)])
    }
    await host.volumes(place, 'sweep', [[]])
    expect(readdirSync(place.folder)).toEqual([])
  })

  it('stay open when the domain is told of again, under the rates that hold then', async () => {
    await host.setDomain(config())
    const opened = await client()
    await opened.write(0, TEXT)
    const limits: IoLimit[] = [{ device: 'disk', ...NO_RATES, writeOps: 50, burstMs: 10 }]
    await host.setDomain(config({ limits }))
    for (let count = 0; count < 5; count++) await opened.write(0, TEXT)
    const waited = host.report()?.meters.find(({ device }) => device === 'disk')?.count.waitedMs ?? 0
    expect(waited).toBeGreaterThan(0)
    expect((await opened.read(0, 10)).equals(TEXT.subarray(0, 10))).toBe(true)
  })

  it('are opened again by the next process, to which the guest comes back', async () => {
    await host.setDomain(config())
    const opened = await client()
    await opened.write(100, TEXT)
    await host.close()
    host = newHost()
    await host.setDomain(config())
    expect((await opened.read(100, TEXT.length)).equals(TEXT)).toBe(true)
  })

  it('that cannot be opened leave nothing open', async () => {
    const broken = { ...disk('disk1'), base: join(folder, 'missing'), baseBytes: 10 }
    const volumes = { folder: place.folder, socket: join(folder, 'disks.sock'), disks: [disk(), broken] }
    await expect(host.setDomain(config({ volumes }))).rejects.toMatchObject({ code: 'ENOENT' })
    await host.setDomain(config())
    await client()
  })
})
