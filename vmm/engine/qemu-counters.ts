import { readFile } from 'node:fs/promises'
import * as v from 'valibot'
import type { Counters } from '../model/counters'
import type { Qmp } from './qemu-link'

/** Linux tells processor time in hundredths of a second, whatever its kernel (man 5 proc). */
const TICK_MS = 10
const PAGE_BYTES = 4096
const STATS_EVERY_S = 2

const GuestStats = v.object({
  stats: v.object({ 'stat-total-memory': v.number(), 'stat-available-memory': v.number() }),
})

/** Reads what a machine has done: from QEMU its disks and its memory, from the host its processors. */
export class QemuCounters {
  #threads: readonly number[] = []
  #runningSince: number | null = null
  #ranBefore = 0
  #busyBefore = 0
  #haltedMs = 0

  constructor(
    private readonly qmp: Qmp,
    private readonly pid: number,
  ) {}

  /** To be called once QEMU answers. */
  async begin(): Promise<void> {
    const cpus = await this.qmp.run('query-cpus-fast', {})
    this.#threads = cpus.map((cpu) => cpu['thread-id'])
    this.#busyBefore = await this.#busyMs()
    const balloon = { path: '/machine/peripheral/balloon', property: 'guest-stats-polling-interval' }
    await this.qmp.run('qom-set', { ...balloon, value: STATS_EVERY_S }).catch(() => undefined) // one without stats
  }

  /** Whether the machine's time goes on. */
  set running(running: boolean) {
    this.#ranBefore = this.#ranMs()
    this.#runningSince = running ? performance.now() : null
  }

  async read(): Promise<Counters> {
    const [blocks, busyMs, hostBytes, guestUsedBytes] = await Promise.all([
      this.qmp.run('query-blockstats', {}),
      this.#busyMs(),
      residentBytes(this.pid),
      this.#guestUsedBytes(),
    ])
    const sum = (field: keyof (typeof blocks)[number]['stats']) =>
      blocks.reduce((total, { stats }) => total + stats[field], 0)
    const ranMs = this.#ranMs()
    // of several processors, their mean; processor time is told in coarse steps
    const halted = ranMs - (busyMs - this.#busyBefore) / Math.max(1, this.#threads.length)
    this.#haltedMs = Math.max(this.#haltedMs, Math.min(halted, ranMs)) // of a process that has gone, no time is told
    return {
      at: Date.now(),
      ranMs,
      haltedMs: this.#haltedMs,
      instructions: null,
      framesIn: 0,
      framesOut: 0,
      diskReadBytes: sum('rd_bytes'),
      diskWriteBytes: sum('wr_bytes'),
      diskReadOps: sum('rd_operations'),
      diskWriteOps: sum('wr_operations'),
      ninepBytes: 0,
      hostBytes,
      guestUsedBytes,
    }
  }

  #ranMs(): number {
    return this.#ranBefore + (this.#runningSince === null ? 0 : performance.now() - this.#runningSince)
  }

  async #busyMs(): Promise<number> {
    const times = await Promise.all(this.#threads.map((thread) => threadMs(this.pid, thread)))
    return times.reduce((total, ms) => total + ms, 0)
  }

  /** Null for a guest without a balloon driver. */
  async #guestUsedBytes(): Promise<number | null> {
    const told = await this.qmp
      .run('qom-get', { path: '/machine/peripheral/balloon', property: 'guest-stats' })
      .catch(() => null)
    const read = v.safeParse(GuestStats, told)
    if (!read.success) return null
    const { 'stat-total-memory': total, 'stat-available-memory': available } = read.output.stats
    const known = total > 0 && total < 2 ** 50 && available >= 0 && available <= total
    return known ? total - available : null
  }
}

/** Processor time of a thread, milliseconds; 0 where the system does not tell it. */
async function threadMs(pid: number, thread: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/task/${thread}/stat`, 'latin1').catch(() => '')
  // its second field may hold anything but ends with the last parenthesis
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [user, system] = [Number(fields[11]), Number(fields[12])]
  return Number.isFinite(user + system) ? (user + system) * TICK_MS : 0
}

async function residentBytes(pid: number): Promise<number> {
  const statm = await readFile(`/proc/${pid}/statm`, 'latin1').catch(() => '')
  return Number(statm.split(' ')[1] ?? 0) * PAGE_BYTES
}
