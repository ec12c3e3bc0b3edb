import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import * as v from 'valibot'
import { GATEWAY_SUBNET, segmentSubnet } from '../../vmm/model/network'
import { SandboxPolicySchema, type NetworkRuleInput } from '../../vmm/model/policy'
import { Network, type NetworkThread } from '../../vmm/net/network'
import type { ForwardReport } from '../../vmm/net/network-protocol'
import type { Note } from '../../vmm/net/notes'
import { macBytes } from '../../vmm/net/packet'
import { frameWords } from '../support/frame-words'
import { networkInProcess } from '../support/network-in-process'
import { EVERYBODY, OPEN } from '../support/network-trial'
import { ScriptedNic } from '../support/scripted-nic'
import { FLAG, SwitchedGuest } from '../support/switched-guest'
import { temporaryFolder } from '../support/temporary-folder'

const SEGMENT = { name: 'lab', subnet: segmentSubnet(0), uplink: false }
const GATEWAY = { name: '', subnet: GATEWAY_SUBNET, uplink: true }

/** Main's end of a network whose workers can be made to end. */
function trial(spawn: (number: number) => NetworkThread = networkInProcess) {
  const folder = temporaryFolder()
  const threads: NetworkThread[] = []
  const notes: Note[] = []
  const restarts: { reason: string; forwards: ForwardReport[] }[] = []
  const network = new Network(
    () => {
      const thread = spawn(threads.length)
      threads.push(thread)
      return thread
    },
    {
      report: (report) => void notes.push(...report.notes),
      restarted: (reason, forwards) => void restarts.push({ reason, forwards }),
    },
  )
  onTestFinished(() => network.close())

  async function guest(name: string, number: number, rules: NetworkRuleInput[], segment = SEGMENT) {
    const nic = await new ScriptedNic(join(folder, `${name}.sock`)).listen()
    onTestFinished(() => nic.close())
    const { address: first } = segment.subnet
    const mac = `52:54:00:00:00:${String(number)}`
    const gateway = { mac: macBytes('52:54:00:56:49:01'), address: first + 1 }
    const guest = new SwitchedGuest(nic, mac, first + number, gateway)
    const policy = v.parse(SandboxPolicySchema, { network: { rules } })
    const { address } = guest
    const config = { id: `${name}/0`, domainId: name, nic: 0, mac, address, path: nic.path, plugged: true }
    const introduce = () => network.setDomain({ domainId: name, name, group: '', policy, once: [] })
    const insert = () => network.setPort(config, segment.name)
    const plug = () => Promise.all([network.setSegment(segment), introduce(), insert()])
    return { guest, nic, introduce, insert, plug }
  }

  const until = async (isSo: () => boolean) => {
    while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 2))
  }
  const restarted = () => until(() => restarts.length > 0)
  return { network, threads, notes, restarts, guest, until, restarted }
}

test('when the worker is killed ports come back with their policies, and flows between guests go on', async () => {
  const { guest, threads, restarts, restarted, until, network, notes } = trial()
  const one = await guest('one', 21, OPEN)
  const two = await guest('two', 22, OPEN)
  const offline = await guest('offline', 23, [])
  for (const { plug, nic } of [one, two, offline]) {
    await plug()
    await nic.linked()
  }
  one.nic.send(one.guest.tcp(two.guest))
  offline.nic.send(offline.guest.tcp(two.guest))
  await until(() => two.nic.frames.length === 1 && notes.length > 0)

  await threads[0]!.terminate()
  // from the first moment that anybody listens it sends what it must not
  await until(() => offline.nic.dialled === 2)
  for (let count = 0; count < 100; count++) {
    offline.nic.send(offline.guest.tcp(two.guest, { flags: FLAG.ack }), ...offline.guest.udp(EVERYBODY, 9))
  }
  await restarted()
  await until(() => two.nic.dialled === 2 && one.nic.dialled === 2)
  two.nic.send(two.guest.tcp(one.guest, { from: 80, to: 40_000, flags: FLAG.ack, seq: 5, ack: 6 }))
  await offline.guest.isSettled()
  await two.guest.isSettled()
  await one.guest.isSettled()

  expect(two.guest.take().map(frameWords)).toEqual(['tcp 40000>80 S 1000 0'])
  expect(one.guest.take().map(frameWords)).toEqual(['tcp 80>40000 A 5 6'])
  expect(restarts).toMatchObject([{ reason: 'it ended by itself', forwards: [] }])
  expect(network.restarts).toBe(1)
  await until(() => notes.some(({ seq }) => seq > 1))
  expect(notes[0]!.seq).toBe(1)
  expect(new Set(notes.filter(({ seq }) => seq > 1).map(({ domainId }) => domainId))).toEqual(new Set(['offline']))
})

test('forwards listen again, and one whose port is taken meanwhile is told', async () => {
  const { guest, threads, restarts, restarted, network } = trial()
  const one = await guest('one', 21, OPEN, GATEWAY)
  await one.plug()
  const [kept, lost] = [await freePort(), await freePort()]
  const forwards = [kept, lost].map((hostPort) => {
    return { protocol: 'tcp' as const, hostAddress: '127.0.0.1', hostPort, guestPort: 80 }
  })
  expect((await network.setForwards('one', forwards)).map(({ failure }) => failure)).toEqual([null, null])

  await threads[0]!.terminate()
  const thief = createServer().listen(lost, '127.0.0.1')
  onTestFinished(() => void thief.close())
  await restarted()

  await new Promise<void>((resolve, reject) => {
    const socket = connect(kept, '127.0.0.1', () => resolve(void socket.destroy())).on('error', reject)
  })
  expect(restarts[0]!.forwards.map(({ failure }) => failure?.kind ?? null)).toEqual([null, 'conflict'])
})

test('what is asked for while there is no worker, or while it is being told, holds', async () => {
  const asked: Promise<unknown>[] = []
  let late: (() => Promise<unknown>) | null = null
  const { guest, threads, restarted, network } = trial(() => {
    if (late) queueMicrotask(() => asked.push(late!()))
    return networkInProcess()
  })
  const one = await guest('one', 21, OPEN)
  const two = await guest('two', 22, OPEN)
  const gone = await guest('gone', 23, OPEN)
  await gone.plug()
  late = two.insert
  await threads[0]!.terminate()
  await one.plug()
  await two.introduce()
  await network.removeDomain('gone')
  expect(await network.flows('one', 9)).toEqual([])
  await expect(network.startCapture({} as never)).rejects.toMatchObject({ kind: 'engine', hint: expect.any(String) })
  await restarted()
  await Promise.all(asked)
  await one.nic.linked()
  await two.nic.linked()
  one.nic.send(...one.guest.udp(two.guest, 9))

  expect(frameWords(await two.nic.frame())).toBe('udp 5000>9 hello')
  expect(gone.nic.dialled).toBe(1)
})

test('a worker that takes too much memory is ended and replaced, and the reason is told', async () => {
  const greedy = 'const held = []; for (;;) held.push(new Array(1e5).fill({}))'
  const { guest, restarts, restarted, network } = trial((number) => {
    if (number > 0) return networkInProcess()
    return new Worker(greedy, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 16 } })
  })
  const one = await guest('one', 21, OPEN)
  await one.plug()
  await restarted()
  await one.nic.linked()

  expect(restarts[0]!.reason).toMatch(/memory/)
  expect(network.restarts).toBe(1)
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
