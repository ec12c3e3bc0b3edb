import { rm } from 'node:fs/promises'
import type { TaskView } from '../contract'
import { asVmmError } from '../../vmm/model/errors'
import type { EngineCatalog } from '../../vmm/engine/catalog'
import type { BootSnapshots } from './boot-snapshots'
import { writeConsole } from './console-tail'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import { exclusiveTask } from './exclusive'
import type { Folders } from './folders'
import type { ImageService } from './images'
import type { Journal } from './journal'
import { Starter } from './start'
import type { Supervisor } from './supervisor'
import type { TaskContext, TaskService } from './tasks'

export interface LifecycleParts {
  domains: DomainService
  engines: EngineCatalog
  images: ImageService
  bootSnapshots: BootSnapshots
  folders: Folders
  journal: Journal
  tasks: TaskService
}

/** The verbs that change whether and how a domain runs. */
export class Lifecycle {
  readonly #starter: Starter

  constructor(
    private readonly parts: LifecycleParts,
    supervisor: Supervisor,
  ) {
    this.#starter = new Starter(parts, supervisor)
    supervisor.onReset = (domain) => this.#startAnew(domain)
  }

  /** Starts or, from a saved state, resumes. `cold` boots even where a boot snapshot is kept. */
  async start(id: string, cold: boolean): Promise<TaskView> {
    const domain = this.parts.domains.forVerb(id, 'start')
    return await this.#task(domain, {
      title: `Starting ${domain.name}`,
      cancellable: true,
      work: async (context) => {
        await this.#starter.start(domain, cold, context)
        return domain.id
      },
    })
  }

  /** Starts a domain from within a task that has it to itself. */
  async startWithin(domain: Domain, context: TaskContext): Promise<void> {
    await this.#starter.start(domain, false, context)
  }

  async pause(id: string): Promise<Domain> {
    const domain = this.parts.domains.forVerb(id, 'pause')
    await domain.requireRun().machine.pause()
    await this.#become(domain, 'paused', 'domain.paused', `${domain.name} was paused.`)
    return domain
  }

  async resume(id: string): Promise<Domain> {
    const domain = this.parts.domains.forVerb(id, 'resume')
    await this.#become(domain, 'running', 'domain.resumed', `${domain.name} was resumed.`)
    await domain.requireRun().machine.resume()
    return domain
  }

  async shutDown(id: string): Promise<TaskView> {
    const domain = this.parts.domains.forVerb(id, 'shutdown')
    return await this.#task(domain, {
      title: `Shutting down ${domain.name}`,
      cancellable: true,
      work: async (context) => {
        await this.#shutDown(domain, context)
        return domain.id
      },
    })
  }

  /** A clean shutdown and a start where the guest can do that, else as the reset button does it. */
  async restart(id: string): Promise<TaskView> {
    const domain = this.parts.domains.forVerb(id, 'restart')
    return await this.#task(domain, {
      title: `Restarting ${domain.name}`,
      cancellable: true,
      work: async (context) => {
        const run = domain.requireRun()
        await this.parts.journal.info(domain.id, 'domain.restarted', `${domain.name} was asked to restart.`)
        if (run.agentState === 'ready' && domain.record.state === 'running') await this.#shutDown(domain, context)
        else await this.#end(domain)
        await this.#starter.start(domain, false, context)
        return domain.id
      },
    })
  }

  /** Writes the machine to disk and ends it; it is acknowledged only when it is stored. */
  async save(id: string): Promise<TaskView> {
    const domain = this.parts.domains.forVerb(id, 'save')
    return await this.#task(domain, {
      title: `Saving ${domain.name}`,
      work: async ({ progress }) => {
        progress('Writing memory and devices')
        await this.#save(domain)
        return domain.id
      },
    })
  }

  /** Pulls the plug, whatever is going on. */
  async forceOff(id: string): Promise<Domain> {
    const domain = this.parts.domains.forVerb(id, 'forceOff')
    const { taskId, run } = domain
    await run?.kill()
    if (taskId !== null) await this.parts.tasks.abort(taskId)
    await domain.run?.kill()
    await this.#become(domain, 'off', 'domain.forced-off', `${domain.name} was forced off.`)
    return domain
  }

  async discard(id: string): Promise<Domain> {
    const domain = this.parts.domains.forVerb(id, 'discard')
    await this.parts.domains.store(domain, { state: 'off', stateReason: '', stateVersion: '' })
    await rm(this.parts.folders.present(id).machine, { force: true })
    await this.parts.journal.info(id, 'domain.discarded', `The saved state of ${domain.name} was discarded.`)
    return domain
  }

  /** A guest that rebooted by itself. */
  async #startAnew(domain: Domain): Promise<void> {
    if (domain.taskId !== null || domain.record.state !== 'off') return
    await this.#task(domain, {
      title: `Restarting ${domain.name}`,
      cancellable: true,
      work: async (context) => {
        await this.#starter.start(domain, false, context)
        return domain.id
      },
    })
  }

  /** Ends a machine as part of a larger operation, such as a revert. */
  async #end(domain: Domain): Promise<void> {
    await domain.run?.kill()
    await this.parts.domains.setState(domain, 'off')
  }

  async #shutDown(domain: Domain, { signal, progress }: TaskContext): Promise<void> {
    const run = domain.requireRun()
    progress('Waiting for the guest')
    await this.parts.domains.setState(domain, 'stopping')
    try {
      await run.shutDown(signal)
      await run.ended
    } catch (error) {
      if (domain.run === run) await this.parts.domains.setState(domain, 'running')
      throw error
    }
  }

  async #save(domain: Domain): Promise<void> {
    const run = domain.requireRun()
    const files = this.parts.folders.present(domain.id)
    const wasRunning = domain.record.state === 'running'
    await this.parts.domains.setState(domain, 'saving')
    try {
      await run.machine.pause()
      await writeConsole(files.console, domain.scrollback)
      await run.machine.saveState(files.machine, { compress: true, layerCopy: null })
      const { stateVersion } = this.parts.engines.get(domain.record.spec.engine)
      await this.parts.domains.store(domain, { state: 'saved', stateReason: '', stateVersion })
    } catch (error) {
      await rm(files.machine, { force: true })
      if (domain.run === run) {
        if (wasRunning) await run.machine.resume()
        await this.parts.domains.setState(domain, wasRunning ? 'running' : 'paused')
      }
      throw asVmmError(error, `save ${domain.name}`)
    }
    await run.kill()
    await this.parts.journal.info(domain.id, 'domain.saved', `${domain.name} was saved to disk.`)
  }

  async #become(domain: Domain, state: 'off' | 'running' | 'paused', event: string, message: string): Promise<void> {
    await this.parts.domains.setState(domain, state)
    await this.parts.journal.info(domain.id, event, message)
  }

  #task(domain: Domain, plan: Parameters<typeof exclusiveTask>[2]): Promise<TaskView> {
    return exclusiveTask(this.parts, domain, plan)
  }
}
