import { rm } from 'node:fs/promises'
import type { TaskView } from '../contract'
import { asVmmError, VmmError } from '../../vmm/model/errors'
import { writeConsole } from './console-tail'
import type { Domain } from './domain'
import { exclusiveTask } from './exclusive'
import { machineSpec } from './machine-spec'
import { Starter, type StartParts } from './start'
import type { Supervisor } from './supervisor'
import type { TaskContext } from './tasks'

/** The verbs that change whether and how a domain runs. */
export class Lifecycle {
  readonly #starter: Starter

  constructor(
    private readonly parts: StartParts,
    private readonly supervisor: Supervisor,
  ) {
    this.#starter = new Starter(parts, supervisor)
    supervisor.onReset = (domain) => this.#startAnew(domain)
  }

  /** Starts or, from a saved state, resumes. `cold` boots even where a boot snapshot is kept. */
  async start(id: string, cold: boolean): Promise<TaskView> {
    const domain = this.parts.domains.forVerb(id, 'start')
    return await this.#task(domain, {
      kind: 'domain.start',
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
    const run = domain.requireRun()
    await domain.alone(async () => {
      await run.machine.pause()
      await this.parts.domains.observe(domain, { state: 'paused', stateReason: '' })
      await this.parts.journal.info(id, 'domain.paused', `${domain.name} was paused.`)
    })
    return domain
  }

  async resume(id: string): Promise<Domain> {
    const domain = this.parts.domains.forVerb(id, 'resume')
    const run = domain.requireRun()
    await domain.alone(async () => {
      // first: a guest whose disk is still full tells so before it answers
      await this.parts.domains.observe(domain, { state: 'running', stateReason: '' })
      await run.machine.resume()
      if (run.agentState !== 'ready') this.supervisor.awaitBoot(domain, run, null) // nobody waits for a paused guest
      await this.parts.journal.info(id, 'domain.resumed', `${domain.name} was resumed.`)
    })
    return domain
  }

  async shutDown(id: string): Promise<TaskView> {
    const domain = this.parts.domains.forVerb(id, 'shutdown')
    return await this.#task(domain, {
      kind: 'domain.shutdown',
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
      kind: 'domain.restart',
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
      kind: 'domain.save',
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
    await this.cutOff(domain)
    await this.parts.domains.observe(domain, { state: 'off', stateReason: '', stateVersion: '' })
    await this.parts.journal.info(id, 'domain.forced-off', `${domain.name} was forced off.`)
    return domain
  }

  /** Ends the task of a domain, and every machine that has come of it. */
  async cutOff(domain: Domain): Promise<void> {
    const { taskId, run } = domain
    const aborted = taskId === null ? undefined : this.parts.tasks.abort(taskId)
    await run?.kill()
    await aborted
    await domain.run?.kill()
    await domain.ending
  }

  async discard(id: string): Promise<Domain> {
    const domain = this.parts.domains.forVerb(id, 'discard')
    await domain.alone(async () => {
      await this.parts.domains.store(domain, { state: 'off', stateReason: '', stateVersion: '' })
      await rm(this.parts.folders.present(id).machine, { force: true })
    })
    await this.parts.journal.info(id, 'domain.discarded', `The saved state of ${domain.name} was discarded.`)
    return domain
  }

  /** Asks a running guest to do with less memory, or gives it back. */
  async setMemory(id: string, memoryMiB: number): Promise<Domain> {
    const domain = this.parts.domains.forVerb(id, 'settings')
    const { machine } = domain.requireRun()
    const { spec } = domain.record
    if (memoryMiB > spec.memoryMiB) {
      throw new VmmError('invalid', `${domain.name} has ${spec.memoryMiB} MiB, and cannot have more while it runs.`, {
        hint: 'Shut it down and give it more memory in its settings.',
      })
    }
    await machine.setMemory(memoryMiB)
    await this.parts.journal.info(id, 'domain.memory', `${domain.name} was left ${memoryMiB} MiB of memory.`)
    return domain
  }

  /** The command that a start would use now. */
  async commandLine(id: string): Promise<string[]> {
    const domain = this.parts.domains.get(id)
    const engine = this.parts.engines.get(domain.record.spec.engine)
    return await engine.commandLine(await machineSpec(domain, this.parts, null))
  }

  /** A guest that rebooted by itself. */
  async #startAnew(domain: Domain): Promise<void> {
    if (domain.taskId !== null || domain.record.state !== 'off') return
    await this.#task(domain, {
      kind: 'domain.restart',
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
    await domain.ending
  }

  async #shutDown(domain: Domain, { signal, progress }: TaskContext): Promise<void> {
    const run = domain.requireRun()
    progress('Waiting for the guest')
    await this.parts.domains.setState(domain, 'stopping')
    try {
      await run.shutDown(signal)
      await domain.ending
    } catch (error) {
      // a guest that a full disk has paused meanwhile stays so
      await this.parts.domains.observe(domain, ({ state }) =>
        domain.run === run && state === 'stopping' ? { state: 'running', stateReason: '' } : {},
      )
      throw error
    }
  }

  async #save(domain: Domain): Promise<void> {
    const run = domain.requireRun()
    const files = this.parts.folders.present(domain.id)
    const { state, stateReason } = domain.record
    await this.parts.domains.setState(domain, 'saving')
    try {
      await run.machine.pause()
      await writeConsole(files.console, domain.scrollback)
      await run.machine.saveState(files.machine, { compress: true, layerCopies: {} })
      const stateVersion = await this.parts.engines.get(domain.record.spec.engine).stateVersion()
      await this.parts.domains.store(domain, { state: 'saved', stateReason: '', stateVersion })
    } catch (error) {
      await rm(files.machine, { force: true })
      if (domain.run === run) {
        if (state === 'running') await run.machine.resume()
        await this.parts.domains.observe(domain, { state, stateReason })
      }
      throw asVmmError(error, `save ${domain.name}`)
    }
    await run.kill()
    await domain.ending
    await this.parts.journal.info(domain.id, 'domain.saved', `${domain.name} was saved to disk.`)
  }

  #task(domain: Domain, plan: Parameters<typeof exclusiveTask>[2]): Promise<TaskView> {
    const work = async (context: TaskContext) => {
      try {
        return await plan.work(context)
      } finally {
        await this.supervisor.removeIfDone(domain)
      }
    }
    return exclusiveTask(this.parts, domain, { ...plan, work })
  }
}
