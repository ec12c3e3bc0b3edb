import { test } from 'vitest'
import { Shaper } from '../../vmm/net/shaper'
import { udpFrame } from '../support/network-frames'
import { realClock } from '../support/real-clock'
import { percentile, report } from './figures'

const ROUNDS = 5
const ROUND_MS = 10_000

interface Round {
  /** Share of the rate that passed, in percent. */
  percent: number
  /** How long pings beside it waited, milliseconds. */
  waits: number[]
}

/** A sender of twice the rate, with a ping every 20 ms, through a shaper on real timers. */
async function round(bitsPerSecond: number): Promise<Round> {
  const pings = new Map<Buffer, number>()
  const waits: number[] = []
  let bytes = 0
  const deliver = (frame: Buffer) => {
    bytes += frame.length
    const sent = pings.get(frame)
    if (sent !== undefined) waits.push(performance.now() - sent)
  }
  const shaper = new Shaper({ clock: realClock, bitsPerSecond, burstBytes: 0, deliver })
  const frame = udpFrame({ bytes: 1514, port: 1 })
  const begun = performance.now()
  let sent = 0
  let nextPing = 0
  for (let now = 0; now < ROUND_MS; now = performance.now() - begun) {
    for (; sent < (now * bitsPerSecond * 2) / 8000; sent += frame.length) shaper.push(frame)
    if (now >= nextPing) {
      const ping = udpFrame({ bytes: 98, port: 2 })
      pings.set(ping, performance.now())
      shaper.push(ping)
      nextPing = now + 20
    }
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  shaper.close()
  return { percent: ((bytes * 8000) / (performance.now() - begun) / bitsPerSecond) * 100, waits }
}

test('a rate, and a ping beside it', async () => {
  const rates = [1, 10, 100]
  const rounds: Round[][] = []
  for (let count = 0; count < ROUNDS; count++) rounds.push(await Promise.all(rates.map((rate) => round(rate * 1e6))))
  for (const [index, rate] of rates.entries()) {
    const values = rounds.map((all) => all[index]!.percent)
    report({ name: `${rate} Mbit/s over 10 s, least`, values, unit: ' %', atLeast: 98 })
    report({ name: `${rate} Mbit/s over 10 s, most`, values, unit: ' %', atMost: 102 })
  }
  const waits = rounds.map((all) => percentile(all[1]!.waits, 0.99))
  report({ name: 'ping beside 10 Mbit/s, p99 of the wait in the shaper', values: waits, unit: ' ms', atMost: 30 })
})
