import { monitorEventLoopDelay } from 'node:perf_hooks'
import { afterAll, beforeAll, test } from 'vitest'
import { childrenOf } from '../support/main-process'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { exec, finish, openVivarium, startDomain, until, type TestVivarium } from '../support/vivarium'
import { cpuPercent, median, report, timed } from './figures'

const folder = temporaryFolderForFile()
const ROUNDS = 5
let vivarium: TestVivarium
let id = ''

beforeAll(async () => {
  await seedStarter(folder)
  vivarium = await openVivarium(folder)
  id = await startDomain(vivarium.call, 'Bench')
  await vivarium.call('domains.forceOff', { id })
})

afterAll(() => vivarium.close())

/** From 'Start' to an answer of the shell on the console. */
async function startToAnswer(cold: boolean): Promise<number> {
  const { call } = vivarium
  const ms = await timed(async () => {
    await finish(call, call('domains.start', { id, cold }))
    await until(call, id, (domain) => domain.agent === 'ready')
    await askShell()
  })
  await call('domains.forceOff', { id })
  return ms
}

async function askShell(): Promise<void> {
  const { call } = vivarium
  let { end: offset } = await call('console.read', { id, offset: 0 })
  await call('console.write', { id, bytes: Buffer.from('echo $((6 * 7))\r') })
  for (let seen = ''; !seen.includes('\n42\r');) {
    const chunk = await call('console.read', { id, offset, waitMs: 10_000 })
    offset = chunk.offset + chunk.bytes.byteLength
    seen += Buffer.from(chunk.bytes).toString('latin1')
  }
}

test('instant start against cold boot', async () => {
  const pairs: { cold: number; instant: number }[] = []
  for (let round = 0; round < ROUNDS; round++) {
    pairs.push({ cold: await startToAnswer(true), instant: await startToAnswer(false) })
  }
  console.log(`cold boot: median ${(median(pairs.map(({ cold }) => cold)) / 1000).toFixed(2)} s`)
  console.log(`instant start: median ${median(pairs.map(({ instant }) => instant)).toFixed(0)} ms`)
  report({
    name: 'instant start / cold boot',
    values: pairs.map(({ cold, instant }) => instant / cold),
    unit: 'x',
    atMost: 1 / 15,
  })
})

test('an idle and a paused guest', async () => {
  const { call } = vivarium
  await finish(call, call('domains.start', { id }))
  const [pid] = await childrenOf(process.pid)
  await new Promise((resolve) => setTimeout(resolve, 3000))
  const idle: number[] = []
  const paused: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    idle.push(await cpuPercent(pid ?? 0, 4000))
    await call('domains.pause', { id })
    paused.push(await cpuPercent(pid ?? 0, 4000))
    await call('domains.resume', { id })
    await new Promise((resolve) => setTimeout(resolve, 1000))
  }
  report({ name: 'idle running guest, share of a core', values: idle, unit: ' %', atMost: 3 })
  report({ name: 'paused guest, share of a core', values: paused, unit: ' %', atMost: 0.5 })
  await call('domains.forceOff', { id })
})

test('the main process with two computing guests', async () => {
  const { call } = vivarium
  const other = await startDomain(call, 'Bench 2')
  await finish(call, call('domains.start', { id }))
  const compute = 'i=0; while [ $i -lt 150000 ]; do i=$((i + 1)); done'
  const lags: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const monitor = monitorEventLoopDelay({ resolution: 1 })
    monitor.enable()
    await Promise.all([exec(call, id, ['sh', '-c', compute]), exec(call, other, ['sh', '-c', compute])])
    monitor.disable()
    lags.push(monitor.percentile(99) / 1e6)
  }
  report({ name: 'main event-loop lag, p99', values: lags, unit: ' ms', atMost: 20 })
  await call('domains.forceOff', { id })
  await call('domains.forceOff', { id: other })
})
