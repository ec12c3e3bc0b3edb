import { asVmmError } from '../../vmm/model/errors'
import type { MachineEnd } from '../../vmm/engine/engine'
import type { GuestRun } from '../../vmm/machine/guest-run'
import type { BootSnapshots } from './boot-snapshots'
import type { Broadcast } from './broadcast'
import type { ConsoleService } from './consoles'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import type { Journal } from './journal'
import type { Remover } from './remover'

export interface SupervisorParts {
  domains: DomainService
  broadcast: Broadcast
  journal: Journal
  bootSnapshots: BootSnapshots
  consoles: ConsoleService
  remover: Remover
}

/** Watches running machines: their load, their agent coming up, and their end. */
export class Supervisor {
  /** Starts a domain again whose guest has rebooted. */
  onReset: (domain: Domain) => Promise<void> = async () => {}

  constructor(private readonly parts: SupervisorParts) {}

  /** From now on `run` is the run of `domain`, until it ends. */
  watch(domain: Domain, run: GuestRun): void {
    const { domains, broadcast, consoles } = this.parts
    domain.run = run
    domain.forgetCounters()
    run.machine.onCounters((counters) => {
      const sample = domain.count(counters)
      if (sample) broadcast.publish({ topic: 'load', payload: { id: domain.id, sample } })
    })
    run.machine.onStall((reason) => void this.#stalled(domain, reason))
    run.onAgentChange(() => {
      domains.publish(domain)
      consoles.applySize(domain)
    })
    if (run.agentState === 'ready') consoles.applySize(domain)
    void run.ended.then((end) => this.#ended(domain, run, end))
  }

  /** When a booting guest answers: keeps a boot snapshot if one is wanted, then gives it its own identity. */
  awaitBoot(domain: Domain, run: GuestRun, place: { machine: string; console: string } | null): void {
    const { bootSnapshots, journal } = this.parts
    const boot = async () => {
      if (!(await run.booted())) return
      if (place && !run.touched && !(await bootSnapshots.exists(place))) await bootSnapshots.keep(domain, run, place)
      await run.introduce()
    }
    boot().catch(async (error: unknown) => {
      if (domain.run !== run) return
      await journal.warning(domain.id, 'domain.boot-trouble', asVmmError(error, `finish the boot of ${domain.name}`).message)
    })
  }

  async #stalled(domain: Domain, reason: string): Promise<void> {
    const { domains, journal } = this.parts
    const message = `The host refused a write to the disk (${reason}). Make room, then resume.`
    await domains.setState(domain, 'paused', message)
    await journal.error(domain.id, 'domain.stalled', `${domain.name} was paused: ${message}`)
  }

  async #ended(domain: Domain, run: GuestRun, end: MachineEnd): Promise<void> {
    if (domain.run !== run) return
    const { domains, journal, remover } = this.parts
    domain.run = null
    domain.forgetCounters()
    domain.startedInstantly = false
    if (end.how === 'crashed') {
      await domains.setState(domain, 'crashed', end.reason)
      await journal.error(domain.id, 'domain.crashed', `${domain.name} crashed. ${end.reason}`)
    } else if (domain.record.state !== 'saved') {
      await domains.setState(domain, 'off')
      if (end.how === 'reset') {
        await journal.info(domain.id, 'domain.rebooted', `${domain.name} rebooted.`)
        return await this.onReset(domain)
      }
      if (end.how === 'powered-off') await journal.info(domain.id, 'domain.powered-off', `${domain.name} powered off.`)
    } else {
      domains.publish(domain)
    }
    if (domain.record.ephemeral && domain.taskId === null) await remover.destroy(domain)
  }
}
