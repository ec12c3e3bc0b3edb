import { access } from 'node:fs/promises'
import { asVmmError, VmmError } from '../model/errors'
import { inspectImage } from '../images/inspect'
import { copyLayer } from './embedded-disk'
import { EmbeddedMachine } from './embedded-machine'
import { checkStateFile } from './embedded-state'
import type { Boot, Engine, EngineVerdict, MachineSpec } from './engine'
import type { SpawnGuest } from './guest-process'

/** x86 in WebAssembly by v86: one process a guest, nothing to install. */
export class EmbeddedEngine implements Engine {
  readonly id = 'embedded'
  readonly name = 'Embedded (v86)'
  readonly isolation = 'wasm'
  readonly capabilities = { pause: true, save: true, liveSnapshot: true, instantStart: true }
  readonly stateVersion = 'v86-0.5.462-1'

  constructor(private readonly spawn: SpawnGuest) {}

  /** The engine is part of the application; all it needs of the host is WebAssembly. */
  async probe(): Promise<EngineVerdict> {
    const smallest = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)
    try {
      await WebAssembly.instantiate(smallest)
      return { works: true, reason: '' }
    } catch (error) {
      return { works: false, reason: `WebAssembly is not available: ${asVmmError(error, 'load it').message}` }
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

  async start(spec: MachineSpec, signal?: AbortSignal): Promise<EmbeddedMachine> {
    await Promise.all(filesOf(spec).map(requireFile))
    if (spec.boot.kind === 'kernel' && spec.resumeFrom === null) await requireKernel(spec.boot.kernel)
    if (signal?.aborted) throw cancelled()
    const machine = new EmbeddedMachine(this.spawn())
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

function filesOf(spec: MachineSpec): string[] {
  const firmware = [spec.firmware.bios, spec.firmware.vgaBios]
  const base = spec.disk?.base
  return [...firmware, ...bootFiles(spec.boot), ...(base ? [base] : []), ...(spec.resumeFrom ? [spec.resumeFrom] : [])]
}

function bootFiles(boot: Boot): string[] {
  switch (boot.kind) {
    case 'kernel':
      return boot.initrd === null ? [boot.kernel] : [boot.kernel, boot.initrd]
    case 'cdrom':
    case 'floppy':
      return [boot.path]
    case 'disk':
      return []
  }
}

/** v86 boots whatever it is given: without this, a guest of a spoilt kernel just stands still. */
async function requireKernel(path: string): Promise<void> {
  const { role } = await inspectImage(path)
  if (role === 'kernel') return
  throw new VmmError('invalid', 'The file that the guest should boot is not a kernel.', {
    hint: 'Import the image again, or prepare the starter image anew.',
    context: { path },
  })
}

async function requireFile(path: string): Promise<void> {
  try {
    await access(path)
  } catch (cause) {
    throw new VmmError('not-found', 'A file that the guest needs is missing.', {
      hint: 'Import the image again, or prepare the starter image anew.',
      context: { path },
      cause,
    })
  }
}
