import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { QemuCounters } from '../../vmm/engine/qemu-counters'
import type { Qmp } from '../../vmm/engine/qemu-link'

describe('the counters of a QEMU machine', () => {
  const stats = { rd_bytes: 1, wr_bytes: 2, rd_operations: 3, wr_operations: 4 }
  const fake = (answers: Record<string, unknown>): Qmp => ({
    run: (name) => {
      if (name in answers) return Promise.resolve(answers[name] as never)
      return Promise.reject(new Error('refused'))
    },
  })

  test('sum up what all disks did', async () => {
    const counters = new QemuCounters(
      fake({
        'query-cpus-fast': [],
        'query-blockstats': [
          { qdev: 'a', stats },
          { qdev: 'b', stats },
        ],
      }),
      process.pid,
    )
    await counters.begin()
    expect(await counters.read()).toMatchObject({
      diskReadBytes: 2,
      diskWriteBytes: 4,
      diskReadOps: 6,
      diskWriteOps: 8,
    })
  })

  test.each([
    ['nothing', {}, null],
    ['no numbers', { stats: { 'stat-total-memory': 'all', 'stat-available-memory': 1 } }, null],
    ['what QEMU says for unknown', { stats: { 'stat-total-memory': -1, 'stat-available-memory': 2 ** 64 } }, null],
    ['more free than there is', { stats: { 'stat-total-memory': 5, 'stat-available-memory': 6 } }, null],
    ['sense', { stats: { 'stat-total-memory': 50, 'stat-available-memory': 20 } }, 30],
  ])('believe a guest that tells %s of its memory as far as they can', async (_, told, used) => {
    const counters = new QemuCounters(
      fake({ 'query-cpus-fast': [], 'query-blockstats': [], 'qom-get': told }),
      process.pid,
    )
    await counters.begin()
    expect(await counters.read()).toMatchObject({ guestUsedBytes: used })
  })

  test('never go back, and never halt longer than they ran, whatever becomes of the process', async () => {
    const qmp = fake({
      'query-cpus-fast': [{ 'thread-id': process.pid }, { 'thread-id': 2 ** 40 }],
      'query-blockstats': [],
    })
    for (const pid of [process.pid, 2 ** 30]) {
      const counters = new QemuCounters(qmp, pid)
      await counters.begin()
      let before = { ranMs: 0, haltedMs: 0 }
      for (let count = 0; count < 20; count += 1) {
        counters.running = count % 3 !== 0
        const now = await counters.read()
        expect(now.ranMs).toBeGreaterThanOrEqual(before.ranMs)
        expect(now.haltedMs).toBeGreaterThanOrEqual(before.haltedMs)
        expect(now.haltedMs).toBeLessThanOrEqual(now.ranMs)
        expect(now.hostBytes).toBeGreaterThanOrEqual(0)
        before = now
      }
    }
  })

  test('do not take the end of a busy process for a rest', async () => {
    const busy = spawn('sh', ['-c', 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo done; read -r line'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    await once(busy.stdout, 'data')
    const pid = busy.pid ?? 0
    const counters = new QemuCounters(fake({ 'query-cpus-fast': [{ 'thread-id': pid }], 'query-blockstats': [] }), pid)
    await counters.begin()
    counters.running = true
    busy.kill('SIGKILL')
    await once(busy, 'close')
    const { haltedMs, ranMs } = await counters.read()
    expect(haltedMs).toBeLessThanOrEqual(ranMs)
  })
})
