import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { findCommand } from '../support/display'
import { ConsoleText } from '../support/console-text'
import { startMain, type MainProcess } from '../support/main-process'
import { removeDomains } from '../support/real-inputs'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish, openVivarium, shell, until, type Call, type TestVivarium } from '../support/vivarium'
import { note, report, timed } from './figures'

const ROUNDS = 5
const GUESTS = 10
const PROMPT = 'root@'
const NO_QEMU = findCommand('qemu-system-x86_64') ? '' : '(needs qemu-system-x86_64)'
const folder = temporaryFolderForFile()

describe.skipIf(NO_QEMU !== '')(`from Start to an answer of the shell ${NO_QEMU}`, () => {
  let vivarium: TestVivarium
  beforeAll(async () => {
    await seedStarter(path.join(folder, 'starts'))
    vivarium = await openVivarium(path.join(folder, 'starts'))
  })
  afterAll(async () => {
    await removeDomains(vivarium.call)
    await vivarium.close()
  })

  async function domain(name: string, more: { machineType?: 'microvm'; instantStart?: boolean }): Promise<string> {
    const { call } = vivarium
    const { resultId: imageId } = await finish(call, call('images.prepareStarter', {}))
    const spec = { name, engine: 'qemu' as const, imageId, memoryMiB: 128, ...more }
    return (await call('domains.create', { spec })).id
  }

  async function throughVivarium(id: string): Promise<number> {
    const { call } = vivarium
    const console = await new ConsoleText(call, id).skip()
    const ms = await timed(async () => {
      await finish(call, call('domains.start', { id }))
      await console.expect(new RegExp(PROMPT))
      await console.type('echo $((6 * 7))\r')
      await console.expect(/\n42\n/)
    })
    await call('domains.forceOff', { id })
    return ms
  }

  async function bare(id: string): Promise<number> {
    const { words } = await vivarium.call('domains.commandLine', { id })
    const place = mkdtempSync(path.join(folder, 'bare-'))
    let child: ChildProcess | undefined
    const ms = await timed(async () => {
      child = startBare(words, place)
      const console = await dial(path.join(place, 'console.sock'))
      let seen = ''
      console.on('data', (bytes: Buffer) => (seen += bytes.toString('latin1')))
      await untilSeen(() => seen, PROMPT)
      console.write('echo $((6 * 7))\r')
      await untilSeen(() => seen, '\n42\r')
    })
    child?.kill('SIGKILL')
    if (child) await once(child, 'exit')
    return ms
  }

  test('a cold boot against the bare command', async () => {
    const id = await domain('Cold', { instantStart: false })
    const small = await domain('Small', { instantStart: false, machineType: 'microvm' })
    const instant = await domain('Instant', {})
    await vivarium.call('domains.start', { id: instant })
    await until(vivarium.call, instant, ({ agent }) => agent === 'ready')
    await vivarium.call('domains.forceOff', { id: instant })
    const rounds: { bare: number; cold: number; small: number; instant: number }[] = []
    for (let round = 0; round < ROUNDS; round++) {
      rounds.push({
        bare: await bare(id),
        cold: await throughVivarium(id),
        small: await throughVivarium(small),
        instant: await throughVivarium(instant),
      })
    }
    note({ name: 'bare command', values: rounds.map((round) => round.bare / 1000), unit: ' s' })
    note({ name: 'cold start', values: rounds.map((round) => round.cold / 1000), unit: ' s' })
    report({
      name: '(cold start - 0.2 s) / the bare command',
      values: rounds.map((round) => (round.cold - 200) / round.bare),
      unit: 'x',
      atMost: 1.05,
    })
    note({ name: 'microvm / q35, cold', values: rounds.map((round) => round.small / round.cold), unit: 'x' })
    note({ name: 'instant / cold', values: rounds.map((round) => round.instant / round.cold), unit: 'x' })
  })
})

function startBare([program = '', ...args]: readonly string[], cwd: string): ChildProcess {
  return spawn(
    program,
    args.filter((word) => word !== '-S'),
    { cwd, stdio: 'ignore' },
  )
}

async function dial(socket: string): Promise<Socket> {
  for (;;) {
    const console = connect(socket)
    const connected = await new Promise<boolean>((resolve) => {
      console.once('connect', () => resolve(true))
      console.once('error', () => resolve(false))
    })
    if (connected) return console
    await delay(2)
  }
}

async function untilSeen(seen: () => string, text: string): Promise<void> {
  while (!seen().includes(text)) await delay(2)
}

describe.skipIf(NO_QEMU !== '')(`${GUESTS} guests whose main is killed ${NO_QEMU}`, () => {
  const home = path.join(folder, 'adoption')
  let main: MainProcess
  let ids: string[] = []

  beforeAll(async () => {
    await seedStarter(home)
    main = await startMain(home)
    const { call } = main
    const { resultId: imageId } = await finish(call, call('images.prepareStarter', {}))
    for (let index = 0; index < GUESTS; index++) {
      const spec = { name: `Guest ${index}`, engine: 'qemu' as const, imageId, memoryMiB: 64 }
      const { id } = await call('domains.create', { spec })
      await finish(call, call('domains.start', { id }))
      await until(call, id, ({ agent }) => agent === 'ready')
      ids = [...ids, id]
    }
  })

  afterAll(async () => {
    await removeDomains(main.call)
    await main.end()
  })

  test('are all answering again, and none stood still', async () => {
    const times: number[] = []
    const lost: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      const before = await clocks(main.call, ids)
      await main.kill()
      times.push(
        await timed(async () => {
          main = await startMain(home)
          await Promise.all(ids.map((id) => answers(main.call, id)))
        }),
      )
      const after = await clocks(main.call, ids)
      lost.push(Math.max(...ids.map((id) => (after.get(id) ?? NaN) - (before.get(id) ?? NaN))))
    }
    report({
      name: `${GUESTS} guests taken over, from main's start to answers of all`,
      values: times.map((ms) => ms / 1000),
      unit: ' s',
      atMost: 3,
    })
    report({ name: 'time that a guest lost meanwhile', values: lost, unit: ' s', atMost: 0.5 })
  })

  async function answers(call: Call, id: string): Promise<void> {
    await until(call, id, ({ state, agent }) => state === 'running' && agent === 'ready')
    await shell(call, id, 'true')
  }

  /** How far each guest's clock, which stands still with it, is behind the host's, seconds, at the least. */
  async function clocks(call: Call, all: string[]): Promise<Map<string, number>> {
    const behind = new Map<string, number>()
    for (const id of all) {
      const uptime = Number((await shell(call, id, 'cat /proc/uptime')).split(' ')[0])
      behind.set(id, performance.now() / 1000 - uptime)
    }
    return behind
  }
})
