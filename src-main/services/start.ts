import { rm } from 'node:fs/promises'
import { asVmmError, VmmError } from '../../vmm/model/errors'
import type { Engine } from '../../vmm/engine/engine'
import { GuestRun, type GuestRunOptions } from '../../vmm/machine/guest-run'
import { identityOf } from '../../vmm/machine/identity'
import { replayConsole, replayConsoleLines } from './console-tail'
import type { BootSnapshots } from './boot-snapshots'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import type { FileService } from './files'
import type { Folders } from './folders'
import type { ImageService } from './images'
import type { Journal } from './journal'
import type { EngineCatalog } from '../../vmm/engine/catalog'
import { machineSpec } from './machine-spec'
import type { RegistryService } from './registries'
import type { Supervisor } from './supervisor'
import type { TaskContext, TaskService } from './tasks'

export interface StartParts {
  domains: DomainService
  engines: EngineCatalog
  images: ImageService
  bootSnapshots: BootSnapshots
  folders: Folders
  files: FileService
  registries: RegistryService
  journal: Journal
  tasks: TaskService
}

/** What there is to know of a guest whose machine is about to live, or lives already. */
export function runOptions(domain: Domain, engine: Engine, images: ImageService): GuestRunOptions {
  const { id, mac, spec } = domain.record
  return {
    agent: images.find(spec.imageId)?.agent ? 'own' : engine.capabilities.agentPort ? 'possible' : 'none',
    powerButton: engine.capabilities.powerButton,
    identity: identityOf({ id, mac, name: spec.name }),
    scrollback: domain.scrollback,
  }
}

const ENTER = Uint8Array.of(0x0d)

/** Brings a domain up in one of three ways: from its saved state, from a boot snapshot, or by booting. */
export class Starter {
  constructor(
    private readonly parts: StartParts,
    private readonly supervisor: Supervisor,
  ) {}

  async start(domain: Domain, cold: boolean, context: TaskContext): Promise<void> {
    const { domains, journal } = this.parts
    const before = domain.record
    if (before.spec.template) {
      throw new VmmError('state', `${domain.name} is a template.`, { hint: 'Clone it, and start the clone.' })
    }
    await domains.setState(domain, 'starting')
    try {
      const how =
        before.state === 'saved' ? await this.#resumeSaved(domain, context) : await this.#boot(domain, cold, context)
      await journal.info(domain.id, 'domain.started', `${domain.name} was started: ${how}.`)
    } catch (error) {
      await domain.run?.kill()
      await domain.ending
      await this.parts.files.detach(domain.id)
      const { state, stateReason } = before
      const ended = context.signal.aborted && state !== 'saved'
      await domains.observe(domain, ended ? { state: 'off', stateReason: '' } : { state, stateReason })
      await journal
        .error(domain.id, 'domain.start-failed', asVmmError(error, `start ${domain.name}`).message)
        .catch(() => undefined) // the log may be what did not work; why the start did not is told below
      throw error
    }
  }

  async #resumeSaved(domain: Domain, context: TaskContext): Promise<string> {
    const { engines, folders, domains } = this.parts
    const files = folders.present(domain.id)
    const stateVersion = await engines.get(domain.record.spec.engine).stateVersion()
    if (domain.record.stateVersion !== stateVersion) {
      throw new VmmError('unsupported', 'The saved state was written by another version of the engine.', {
        hint: 'Discard the saved state and start afresh; disks are kept.',
        context: { saved: domain.record.stateVersion, engine: stateVersion },
      })
    }
    context.progress('Resuming')
    if (domain.scrollback.end === 0) await replayConsole(files.console, domain.scrollback)
    const run = await this.#run(domain, files.machine, false, context)
    domain.startedInstantly = false
    this.supervisor.watch(domain, run)
    if (run.agentState !== 'ready') this.supervisor.awaitBoot(domain, run, null)
    await domains.store(domain, { state: 'running', stateReason: '', stateVersion: '' })
    await rm(files.machine, { force: true })
    return 'resumed from its saved state'
  }

  async #boot(domain: Domain, cold: boolean, context: TaskContext): Promise<string> {
    const { engines, images, bootSnapshots, domains } = this.parts
    const image = images.get(domain.record.spec.imageId)
    await this.parts.files.prepare(domain)
    await this.parts.registries.writePrefixes(domain)
    const place = await bootSnapshots.place(domain, image, engines.get(domain.record.spec.engine))
    const instantly = !cold && place !== null && (await bootSnapshots.exists(place))
    if (instantly) {
      context.progress('Resuming from the boot snapshot')
      const run = await this.#resumeBootSnapshot(domain, place, context)
      if (run) {
        this.supervisor.watch(domain, run)
        await domains.setState(domain, 'running')
        return 'instantly'
      }
    }
    context.progress('Booting')
    const run = await this.#run(domain, null, false, context)
    domain.startedInstantly = false
    this.supervisor.watch(domain, run)
    this.supervisor.awaitBoot(domain, run, place)
    await domains.setState(domain, 'running')
    return 'cold boot'
  }

  /** Null when it did not work; the snapshot is then dropped, and the caller boots. */
  async #resumeBootSnapshot(
    domain: Domain,
    place: { machine: string; console: string },
    context: TaskContext,
  ): Promise<GuestRun | null> {
    try {
      const run = await this.#run(domain, place.machine, true, context)
      await replayConsoleLines(place.console, domain.scrollback)
      run.machine.console.write(ENTER)
      domain.startedInstantly = true
      return run
    } catch (error) {
      if (context.signal.aborted) throw error
      const { message } = asVmmError(error, 'resume')
      await this.parts.bootSnapshots.drop(place)
      await this.parts.journal.warning(
        domain.id,
        'domain.boot-snapshot-dropped',
        `The boot snapshot was not usable, so ${domain.name} boots: ${message}`,
      )
      return null
    }
  }

  async #run(
    domain: Domain,
    resumeFrom: string | null,
    renewalRequired: boolean,
    context: TaskContext,
  ): Promise<GuestRun> {
    const engine = this.parts.engines.get(domain.record.spec.engine)
    await this.parts.files.serveDisks(domain)
    return await GuestRun.start({
      ...runOptions(domain, engine, this.parts.images),
      engine,
      spec: await machineSpec(domain, this.parts, resumeFrom),
      renewalRequired,
      signal: context.signal,
    })
  }
}
