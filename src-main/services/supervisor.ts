import { asVmmError } from '../../vmm/model/errors'
import { safeText } from '../../vmm/model/safe-text'
import type { MachineEnd } from '../../vmm/engine/machine'
import type { GuestRun } from '../../vmm/machine/guest-run'
import type { BootSnapshots } from './boot-snapshots'
import type { Broadcast } from './broadcast'
import type { ConsoleService } from './consoles'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import type { FileService } from './files'
import type { Journal } from './journal'
import type { NetworkService } from './networks'
import type { RegistryService } from './registries'
import type { Remover } from './remover'

/** A guest that reboots this soon after its start, milliseconds … */
const QUICK_REBOOT_MS = 10_000
/** … so many times in a row is not started again. */
const QUICK_REBOOTS = 5

export interface SupervisorParts {
  domains: DomainService
  broadcast: Broadcast
  journal: Journal
  bootSnapshots: BootSnapshots
  consoles: ConsoleService
  remover: Remover
  networks: NetworkService
  files: FileService
  registries: RegistryService
}

/** Watches running machines: their load, their agent coming up, and their end. */
export class Supervisor {
  /** Starts a domain again whose guest has rebooted. */
  onReset: (domain: Domain) => Promise<void> = async () => {}
  /** Runs whose guests have not answered yet. */
  readonly #awaited = new Set<GuestRun>()

  constructor(private readonly parts: SupervisorParts) {}

  /** From now on `run` is the run of `domain`, until it ends. */
  watch(domain: Domain, run: GuestRun): void {
    const { domains, broadcast, consoles } = this.parts
    domain.run = run
    domain.forgetCounters()
    run.machine.onCounters((counters) => {
      const sample = domain.count(counters)
      void follow(this.#readMemory(domain, run))
      if (sample) broadcast.publish({ topic: 'load', payload: { id: domain.id, sample } })
    })
    run.machine.onReset(() => {
      this.#countReboot(domain, run)
      run.rebooted()
      void follow(this.parts.networks.network.endFlows(domain.id))
      void follow(this.#tellReboot(domain))
      this.awaitBoot(domain, run, null)
    })
    run.machine.onStall((reason) => void follow(this.#stalled(domain, run, reason)))
    run.onAgentChange(() => {
      domains.publish(domain)
      consoles.applySize(domain)
    })
    if (run.agentState === 'ready') consoles.applySize(domain)
    void follow(this.#attach(domain, run))
    domain.ending = follow(run.ended.then((end) => this.#ended(domain, run, end)))
  }

  /** When a booting guest answers: keeps a boot snapshot if one is wanted, then gives it its own identity. */
  awaitBoot(domain: Domain, run: GuestRun, place: { machine: string; console: string } | null): void {
    const { bootSnapshots, journal, networks } = this.parts
    if (this.#awaited.has(run)) return
    this.#awaited.add(run)
    const boot = async () => {
      if (!(await run.booted())) return
      if (place && !run.touched) await bootSnapshots.keep(domain, run, place).catch(warn)
      await run.introduce()
      await networks.introduce(domain, run)
      await this.#mount(domain, run)
    }
    const warn = async (error: unknown) => {
      if (domain.run !== run) return
      await journal.warning(
        domain.id,
        'domain.boot-trouble',
        asVmmError(error, `finish the boot of ${domain.name}`).message,
      )
    }
    void follow(
      boot()
        .catch(warn)
        .finally(() => this.#awaited.delete(run)),
    )
  }

  /** Files that cannot be had cost the guest its files, and networks its networks, not its life. */
  async #attach(domain: Domain, run: GuestRun): Promise<void> {
    await this.#serve(domain, run)
    try {
      await this.parts.networks.attach(domain, run)
      if (run.agentState === 'ready') await this.parts.networks.introduce(domain, run)
    } catch (error) {
      if (domain.run !== run) return
      const { message } = asVmmError(error, `connect ${domain.name} to its networks`)
      await this.parts.journal.warning(domain.id, 'network.trouble', message)
    }
  }

  async #serve(domain: Domain, run: GuestRun): Promise<void> {
    try {
      await this.parts.files.attach(domain)
    } catch (error) {
      await this.#filesTrouble(domain, run, error, 'serve the files')
    }
    if (run.agentState === 'ready') await this.#mount(domain, run)
  }

  async #mount(domain: Domain, run: GuestRun): Promise<void> {
    try {
      await this.parts.files.introduce(domain, run)
    } catch (error) {
      await this.#filesTrouble(domain, run, error, 'mount the shares')
    }
  }

  async #filesTrouble(domain: Domain, run: GuestRun, error: unknown, what: string): Promise<void> {
    if (domain.run !== run) return
    const { message } = asVmmError(error, `${what} of ${domain.name}`)
    await this.parts.journal.warning(domain.id, 'files.trouble', message)
  }

  async #readMemory(domain: Domain, run: GuestRun): Promise<void> {
    const now = await run.machine.memoryNow().catch(() => domain.memoryNowMiB) // it has just ended
    if (domain.run !== run || now === domain.memoryNowMiB) return
    domain.memoryNowMiB = now
    this.parts.domains.publish(domain)
  }

  async #stalled(domain: Domain, run: GuestRun, reason: string): Promise<void> {
    if (domain.run !== run) return
    const { domains, journal } = this.parts
    const message = `The host refused a write to the disk (${safeText(reason, 200)}). Make room, then resume.`
    await domains.observe(domain, { state: 'paused', stateReason: message })
    await journal.error(domain.id, 'domain.stalled', `${domain.name} was paused: ${message}`)
  }

  async #ended(domain: Domain, run: GuestRun, end: MachineEnd): Promise<void> {
    if (domain.run !== run) return
    const { domains, journal, networks, files, registries } = this.parts
    domain.run = null
    void follow(networks.detach(domain.id))
    // a guest that was saved goes on with what it has
    if (domain.record.state !== 'saved') await follow(registries.takePrefixes(domain))
    await follow(files.detach(domain.id))
    domain.forgetCounters()
    domain.startedInstantly = false
    domain.memoryNowMiB = null
    const crash = this.#crash(domain, run, end)
    const ended =
      crash === '' ? { state: 'off' as const, stateReason: '' } : { state: 'crashed' as const, stateReason: crash }
    // what was saved before the machine ended is whole, however it ended
    await domains.observe(domain, ({ state }) => (state === 'saved' ? {} : ended))
    if (domain.record.state === 'crashed') {
      await journal.error(domain.id, 'domain.crashed', `${domain.name} crashed. ${crash}`)
    } else if (domain.record.state === 'off') {
      if (end.how === 'reset') {
        await journal.info(domain.id, 'domain.rebooted', `${domain.name} rebooted.`)
        await this.onReset(domain)
        return
      }
      if (end.how === 'powered-off') await journal.info(domain.id, 'domain.powered-off', `${domain.name} powered off.`)
    }
    if (domain.taskId === null) await this.removeIfDone(domain)
  }

  /** Why the end of a run is a crash, or ''. A guest that does nothing but reboot would keep main busy for ever. */
  #crash(domain: Domain, run: GuestRun, end: MachineEnd): string {
    if (end.how === 'reset') this.#countReboot(domain, run)
    else domain.quickReboots = 0
    if (domain.quickReboots < QUICK_REBOOTS) return end.how === 'crashed' ? end.reason : ''
    domain.quickReboots = 0
    return `The guest rebooted ${QUICK_REBOOTS} times in a row as soon as it had started.`
  }

  #countReboot(domain: Domain, run: GuestRun): void {
    const quick = Date.now() - run.startedAt < QUICK_REBOOT_MS
    domain.quickReboots = quick ? domain.quickReboots + 1 : 0
  }

  /** A guest that does nothing but reboot, in a machine that stays, would fill the log. */
  async #tellReboot({ id, name, quickReboots }: Domain): Promise<void> {
    const { journal } = this.parts
    if (quickReboots < QUICK_REBOOTS) await journal.info(id, 'domain.rebooted', `${name} rebooted.`)
    else if (quickReboots === QUICK_REBOOTS) {
      const words = `${name} rebooted ${QUICK_REBOOTS} times in a row as soon as it had started; more is not told.`
      await journal.warning(id, 'domain.rebooted', words)
    }
  }

  /** An ephemeral domain goes when nothing runs in it any more. */
  async removeIfDone(domain: Domain): Promise<void> {
    if (domain.record.ephemeral && domain.run === null) await this.parts.remover.destroy(domain)
  }
}

/** For work that nobody waits for. A log that cannot be written, as on a full disk, must not end main. */
function follow(work: Promise<void>): Promise<void> {
  return work.catch((error: unknown) => {
    console.error('vivarium: what became of a machine could not be told:', error)
  })
}
