import { rm, stat } from 'node:fs/promises'
import { NO_CAPABILITIES, type EngineCapabilities } from '../model/capabilities'
import { asVmmError, VmmError } from '../model/errors'
import { requireFiles } from './boot-files'
import { copyLayer, flattenDisk, layerSize } from './embedded-layers'
import { EmbeddedMachine } from './embedded-machine'
import { checkStateFile } from './embedded-state'
import { fileSource, rawSource, type BlockSource } from '../images/block-source'
import type { DiskCondition, Engine, EngineVerdict, FileWork } from './engine'
import type { MachineEnd } from './machine'
import type { DiskSpec, MachineSpec } from './machine-spec'
import { filesAddress, nicAddress, runFolder } from './run-folder'
import type { SpawnGuest } from './guest-process'

const BUILT_IN = { version: '', accelerators: [] }

/** x86 in WebAssembly by v86: one process a guest, nothing to install. */
export class EmbeddedEngine implements Engine {
  readonly id = 'embedded'
  readonly name = 'Embedded (v86)'
  readonly isolation = 'wasm'
  readonly capabilities: EngineCapabilities = {
    ...NO_CAPABILITIES,
    pause: true,
    save: true,
    liveSnapshot: true,
    diskSnapshot: true,
    instantStart: true,
    mostMemoryMiB: 2048,
    mostNics: 1,
    firmwares: ['bios'],
  }

  /** `run` is the folder for the sockets of machines. */
  constructor(
    private readonly spawn: SpawnGuest,
    private readonly run: string,
  ) {}

  /** The engine is part of the application; all it needs of the host is WebAssembly. */
  stateVersion(): Promise<string> {
    return Promise.resolve('v86-0.5.462-2')
  }

  async probe(): Promise<EngineVerdict> {
    const smallest = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)
    try {
      await WebAssembly.instantiate(smallest)
      return { ...BUILT_IN, works: true, reason: '' }
    } catch (error) {
      return {
        ...BUILT_IN,
        works: false,
        reason: `WebAssembly is not available: ${asVmmError(error, 'load it').message}`,
      }
    }
  }

  async checkState(file: string): Promise<string> {
    return await checkStateFile(file).then(
      () => '',
      (error: unknown) => asVmmError(error, 'read the saved state').message,
    )
  }

  copyLayer(from: string, to: string): Promise<void> {
    return copyLayer(from, to)
  }

  /** A layer is never shared, so a copy is all that is asked for. */
  async flattenLayer(disk: DiskSpec, to: string): Promise<void> {
    await copyLayer(disk.layer, to)
  }

  async removeLayer(file: string): Promise<void> {
    await rm(file, { force: true })
  }

  async layerBytes(file: string): Promise<number> {
    return await stat(file).then(
      ({ blocks }) => blocks * 512,
      () => 0,
    )
  }

  async diskSource(disk: DiskSpec, scratch: string, work: FileWork): Promise<BlockSource> {
    await flattenDisk(disk, scratch, work)
    return rawSource(fileSource(scratch))
  }

  async checkDisk(disk: DiskSpec): Promise<DiskCondition> {
    const damage = await layerSize(disk.layer).then(
      () => '',
      (error: unknown) => asVmmError(error, 'read the disk').message,
    )
    return { damage, repairable: false }
  }

  repairDisk(): Promise<void> {
    return Promise.reject(new VmmError('unsupported', 'A damaged disk layer of the embedded engine cannot be mended.'))
  }

  /** Guests run inside a process of Vivarium's own: there is no command. */
  commandLine(): Promise<string[]> {
    return Promise.resolve([])
  }

  adopt(): Promise<MachineEnd> {
    return Promise.resolve({ how: 'crashed', reason: 'Its guest process ended with Vivarium.' })
  }

  async sweep(): Promise<void> {}

  async start(spec: MachineSpec, signal?: AbortSignal): Promise<EmbeddedMachine> {
    await requireFiles(spec)
    if (signal?.aborted) throw cancelled()
    const folder = await runFolder(this.run, spec.domainId)
    const frameLinks = spec.nics.map((_, index) => nicAddress(folder, index))
    const machine = new EmbeddedMachine(this.spawn(), frameLinks, filesAddress(folder))
    const abort = () => void machine.kill()
    signal?.addEventListener('abort', abort)
    try {
      await machine.start(spec)
    } catch (error) {
      await machine.kill()
      throw signal?.aborted ? cancelled() : error
    } finally {
      signal?.removeEventListener('abort', abort)
    }
    return machine
  }
}

function cancelled(): VmmError {
  return new VmmError('cancelled', 'The start was cancelled.')
}
