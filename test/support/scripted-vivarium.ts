import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { openServices } from '../../src-main/services'
import { Storage } from '../../storage'
import type { NetworkThread } from '../../vmm/net/network'
import type { ImageRecord } from '../../vmm/model/image'
import { filesInProcess } from './files-in-process'
import { networkInProcess } from './network-in-process'
import { ScriptedGuest, type GuestScript } from './scripted-guest'
import { temporaryFolder } from './temporary-folder'
import { finish, newClient, until, type Call, type TestVivarium } from './vivarium'

export const IMAGE_ID = 'scripted'

export interface ScriptedVivarium extends TestVivarium {
  folder: string
  /** Every guest process that was started, oldest first. */
  guests: ScriptedGuest[]
  /** Every worker of the network that was started, oldest first. */
  threads: NetworkThread[]
  /** What the guests do; may be changed at any time. */
  script: GuestScript
}

/** A data folder with one small image that has an agent, and a BIOS. */
export async function scriptedFolder(image: Partial<ImageRecord> = {}): Promise<string> {
  const folder = temporaryFolder()
  await addScriptedImage(folder, image)
  return folder
}

/** To be called while no Vivarium has the folder. */
export async function addScriptedImage(folder: string, image: Partial<ImageRecord> = {}): Promise<void> {
  const content = kernelHeader()
  const id = image.id ?? IMAGE_ID
  const roles = image.kind === 'disk' ? (['disk'] as const) : (['kernel', 'initrd'] as const)
  mkdirSync(join(folder, 'images', id), { recursive: true })
  mkdirSync(join(folder, 'firmware'), { recursive: true })
  for (const role of roles) writeFileSync(join(folder, 'images', id, role), content)
  for (const name of ['bios.bin', 'vgabios.bin']) writeFileSync(join(folder, 'firmware', name), content)
  const storage = await Storage.open(folder)
  await storage.images.put({
    id,
    name: 'Scripted image',
    kind: 'starter',
    files: roles.map((role) => ({ role, name: role, bytes: content.length, sha256: 'x' })),
    cmdline: '',
    agent: true,
    createdAt: 1,
    ...image,
  })
  await storage.close()
}

/** As much of a Linux kernel as is looked at before it is started. */
function kernelHeader(): Buffer {
  const file = Buffer.alloc(4096)
  file[0x1f1] = 1 // setup sectors
  file.writeUInt16LE(0xaa55, 0x1fe)
  file.write('HdrS', 0x202)
  file.writeUInt16LE(0x20b, 0x206) // boot protocol
  file[0x211] = 1 // loaded high
  return file
}

/** Vivarium with guests that are scripts instead of machines. It is closed when the test ends. */
export async function openScripted(script: GuestScript = {}, folder?: string): Promise<ScriptedVivarium> {
  const dataFolder = folder ?? (await scriptedFolder())
  const guests: ScriptedGuest[] = []
  const threads: NetworkThread[] = []
  const services = await openServices({
    dataFolder,
    spawnGuest: () => {
      const guest = new ScriptedGuest(vivarium.script)
      guests.push(guest)
      return guest
    },
    spawnNetwork: () => {
      const thread = networkInProcess()
      threads.push(thread)
      return thread
    },
    spawnFiles: filesInProcess,
    keychain: null,
    shell: { kind: 'headless', show: () => '' },
  })
  let closing: Promise<void> | null = null
  const close = () => (closing ??= services.close())
  onTestFinished(() => close().catch(() => undefined))
  const events: ScriptedVivarium['events'] = []
  const call = newClient(services, (event) => events.push(event))
  await call('events.subscribe', { topics: ['domains', 'tasks', 'log'] })
  const vivarium: ScriptedVivarium = { services, call, events, close, folder: dataFolder, guests, threads, script }
  return vivarium
}

/** A domain of the scripted image, off. */
export async function scriptedDomain(
  call: Call,
  name = 'One',
  more: { diskMiB?: number; imageId?: string } = {},
): Promise<string> {
  return (await call('domains.create', { spec: { name, engine: 'embedded', imageId: IMAGE_ID, ...more } })).id
}

/** The same, running, with its agent answering. */
export async function runningDomain(call: Call, name = 'One', more: { diskMiB?: number } = {}): Promise<string> {
  const id = await scriptedDomain(call, name, more)
  await finish(call, call('domains.start', { id }))
  await until(call, id, (domain) => domain.agent === 'ready', 10_000)
  return id
}

/** A promise that a test settles itself. */
export function deferred<T = void>() {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => (resolve = settle))
  return { promise, resolve }
}
