import { afterAll, beforeAll, describe, test } from 'vitest'
import { findCommand } from '../support/display'
import { NO_NETWORK_TOOLS } from '../support/network-tools'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { median, note, percentile, report } from './figures'
import { NetworkStand, type Path } from './network-stand'

const ROUNDS = 5
/** Of what is compared with something else, and swings with all that this host does besides. */
const COMPARED_ROUNDS = 9
const SECONDS = 4
const PING_SECONDS = 3
const LIMIT_SECONDS = 10
const LOSS_MB = 5
const absent = ['qemu-system-x86_64', 'iperf3'].filter((command) => !findCommand(command))
const MISSING = absent.length > 0 ? `(needs ${absent.join(', ')})` : NO_NETWORK_TOOLS
const DIRECTIONS = ['up', 'down'] as const
type Direction = (typeof DIRECTIONS)[number]

describe.skipIf(MISSING !== '')(`the network between real guests ${MISSING}`, () => {
  const folder = temporaryFolderForFile()
  let stand: NetworkStand

  beforeAll(async () => {
    stand = await NetworkStand.start(folder)
  })
  afterAll(() => stand.close())

  /** Megabytes a second by each of two ways in turn, and seconds of the worker for a gigabyte by the first. */
  async function compare(ours: Path, theirs: Path, direction: Direction) {
    const rounds: { ours: number; theirs: number; cpuPerGb: number }[] = []
    for (let round = 0; round < COMPARED_ROUNDS; round++) {
      const measureTheirs = () => stand.throughput(theirs, direction, SECONDS)
      const early = round % 2 === 0 ? await measureTheirs() : 0
      const cpu = stand.workerCpu()
      const rate = await stand.throughput(ours, direction, SECONDS)
      const cpuPerGb = ((stand.workerCpu() - cpu) * 1000) / (rate * SECONDS)
      rounds.push({ ours: rate, theirs: early || (await measureTheirs()), cpuPerGb })
    }
    return rounds
  }

  test.each([
    { ours: 'switch', theirs: 'direct', direction: 'up', atLeast: 0.95 },
    { ours: 'switch', theirs: 'direct', direction: 'down', atLeast: 0.95 },
    { ours: 'gateway', theirs: 'user', direction: 'up', atLeast: 1.3 },
    { ours: 'gateway', theirs: 'user', direction: 'down', atLeast: 1 },
  ] as const)('TCP by $ours against $theirs, $direction', async ({ ours, theirs, direction, atLeast }) => {
    const rounds = await compare(ours, theirs, direction)
    const values = (of: (round: (typeof rounds)[number]) => number) => rounds.map(of)
    report({
      name: `${ours} / ${theirs}, ${direction}`,
      values: values((one) => one.ours / one.theirs),
      unit: 'x',
      atLeast,
    })
    const medians = median(values((one) => one.ours)) / median(values((one) => one.theirs))
    note({ name: `${ours} / ${theirs}, ${direction}, of the medians`, values: [medians], unit: 'x' })
    note({ name: `${ours}, ${direction}`, values: values((one) => one.ours), unit: ' MB/s' })
    note({ name: `${theirs}, ${direction}`, values: values((one) => one.theirs), unit: ' MB/s' })
    note({ name: `${ours}, ${direction}: worker for a GB`, values: values((one) => one.cpuPerGb), unit: ' s' })
  })

  test('round trips between guests', async () => {
    const rounds: { ours: number; alone: number; theirs: number }[] = []
    for (let round = 0; round < COMPARED_ROUNDS; round++) {
      const theirs = await stand.roundTrip('direct', PING_SECONDS)
      const ours = await stand.roundTrip('switch', PING_SECONDS)
      await stand.mirror(false)
      const alone = await stand.roundTrip('switch', PING_SECONDS)
      await stand.mirror(true)
      rounds.push({ theirs, ours, alone })
    }
    const ratios = rounds.map(({ ours, theirs }) => ours / theirs)
    report({ name: 'TCP round trip, switch / direct', values: ratios, unit: 'x', atMost: 1.1 })
    const without = rounds.map(({ alone, theirs }) => alone / theirs)
    note({ name: 'TCP round trip, switch without the mirror / direct', values: without, unit: 'x' })
    note({ name: 'TCP round trip, switch', values: rounds.map(({ ours }) => ours), unit: ' us' })
    note({ name: 'TCP round trip, direct', values: rounds.map(({ theirs }) => theirs), unit: ' us' })
  })

  describe.each([
    { what: 'what a guest sends', guest: 0, key: 'upBits' },
    { what: 'what a guest gets', guest: 1, key: 'downBits' },
  ] as const)('a limit of $what', ({ what, guest, key }) => {
    test.each([1, 10, 100])('%d Mbit/s', async (megabits) => {
      await stand.limitSegment(guest, { [key]: megabits * 1e6 })
      const loaded = await stand.load('switch')
      const off: number[] = []
      for (let round = 0; round < ROUNDS; round++) {
        off.push(Math.abs((await stand.receivedBits(LIMIT_SECONDS)) / megabits / 1e6 - 1) * 100)
      }
      await loaded.end()
      await stand.limitSegment(guest, {})
      report({
        name: `${what}, ${megabits} Mbit/s over ${LIMIT_SECONDS} s: off by`,
        values: off,
        unit: ' %',
        atMost: 2,
      })
    })
  })

  test('a ping beside a transfer that fills a limit of 10 Mbit/s', async () => {
    const idle = await stand.pings('switch')
    await stand.limitSegment(1, { downBits: 10e6 })
    const loaded = await stand.load('switch')
    const rounds: number[][] = []
    for (let round = 0; round < ROUNDS; round++) rounds.push(await stand.pings('switch'))
    await loaded.end()
    await stand.limitSegment(1, {})
    report({ name: 'ping beside a transfer at 10 Mbit/s', values: rounds.map(median), unit: ' ms', atMost: 30 })
    note({ name: 'its slowest in a hundred', values: rounds.map((all) => percentile(all, 0.99)), unit: ' ms' })
    note({ name: 'ping beside nothing', values: [median(idle)], unit: ' ms' })
  })

  test.each([0, 0.1, 1, 5])('transfers with %d % of the frames lost', async (lossPercent) => {
    await stand.limitGateway({ lossPercent })
    for (const direction of DIRECTIONS) {
      const seconds: number[] = []
      for (let round = 0; round < ROUNDS; round++) seconds.push(await stand.transfer('gateway', direction, LOSS_MB))
      note({ name: `${LOSS_MB} MB ${direction} with ${lossPercent} % of the frames lost`, values: seconds, unit: ' s' })
    }
    await stand.limitGateway({})
  })
})
