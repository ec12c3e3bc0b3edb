import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import path from 'node:path'
import * as v from 'valibot'
import { parseAddress } from '../../vmm/model/ipv4'
import { GATEWAY_NETWORK, GATEWAY_SUBNET, segmentSubnet } from '../../vmm/model/network'
import { SandboxPolicySchema, type NicLimit } from '../../vmm/model/policy'
import { Network, networkThread } from '../../vmm/net/network'
import { freePort } from '../support/host-servers'
import { networkToolsImage } from '../support/network-tools'
import { BareGuest, macOf } from './bare-guests'

/** The cards of the guests: two of them lead through Vivarium's worker. */
const SEGMENT = { name: 'lab', nic: 1, addresses: ['10.87.0.15', '10.87.0.16'] } as const
const GATEWAY = { nic: 2, addresses: ['10.86.0.15', '10.86.0.16'] } as const
const LISTENER = { number: 3, address: '10.87.0.17' }
const NAMES = ['one', 'two'] as const
const MIRROR = {
  id: 'mirror',
  source: `${NAMES[0]}/${SEGMENT.nic}`,
  target: 'listener/0',
  stage: 'before',
  direction: 'both',
} as const

/** By which address the first guest reaches the second, or the host, and what is in between. */
export const PATHS = {
  direct: '10.1.0.2',
  switch: SEGMENT.addresses[1],
  user: '10.0.2.2',
  gateway: '10.86.0.1',
} as const
export type Path = keyof typeof PATHS

/**
 * Two guests, each with a card of every kind, so that all ways are measured between the same two processes: QEMU's
 * sockets joined directly, Vivarium's switch with the policies of both sides and a mirror, QEMU's user network, Vivarium's
 * gateway. Everything but the guests is in this process; iperf3 is on the host's loopback and in the second guest.
 */
export class NetworkStand {
  readonly iperfPort: number
  readonly #network: Network
  readonly #guests: BareGuest[]
  readonly #server: ChildProcess
  readonly #mirrorSink: Server
  #workerTid = 0

  private constructor(parts: {
    network: Network
    guests: BareGuest[]
    server: ChildProcess
    sink: Server
    iperfPort: number
  }) {
    this.#network = parts.network
    this.#guests = parts.guests
    this.#server = parts.server
    this.#mirrorSink = parts.sink
    this.iperfPort = parts.iperfPort
  }

  static async start(folder: string): Promise<NetworkStand> {
    const image = await networkToolsImage(folder)
    const guests: BareGuest[] = []
    for (const [index, name] of NAMES.entries()) {
      const end = index === 0 ? 'on' : 'off'
      const stream = (server: string, file: string) => `stream,server=${server},addr.type=unix,addr.path=${file}`
      const netdevs = [
        stream(end, 'direct'),
        stream('on', `${name}-segment`),
        stream('on', `${name}-gateway`),
        'user,restrict=off',
      ]
      const guest = await BareGuest.start({ folder, name, image, netdevs, number: index + 1 })
      const addresses = [`10.1.0.${index + 1}`, SEGMENT.addresses[index], GATEWAY.addresses[index], '10.0.2.15']
      for (const [nic, address] of addresses.entries()) {
        await guest.run(`ip link set eth${nic} up; ip addr add ${address}/${nic === 2 ? 16 : 24} dev eth${nic}`)
      }
      guests.push(guest)
    }
    const threads = new Set(readdirSync('/proc/self/task'))
    const network = new Network(networkThread(path.resolve('.vite/build/network.js')), {
      report: () => undefined,
      restarted: (reason) => console.log(`the worker ended: ${reason}`),
    })
    const sink = await listenAndDiscard(path.join(folder, 'listener'))
    await plugIn(network, folder)
    const iperfPort = await freePort()
    const server = spawn('iperf3', ['-s', '-p', String(iperfPort), '-B', '127.0.0.1'], { stdio: 'ignore' })
    await guests[1]!.run(`iperf3 -s -D -p ${iperfPort}; sockperf sr --tcp -p 11111 > /dev/null 2>&1 < /dev/null &`)
    const stand = new NetworkStand({ network, guests, server, sink, iperfPort })
    await stand.throughput('switch', 'up', 1)
    stand.#workerTid = busiest(threads)
    return stand
  }

  /** Runs a shell line in the first guest. */
  run(line: string): Promise<string> {
    return this.#guests[0]!.run(line)
  }

  /** Megabytes a second that iperf3 receives; up is from the first guest. */
  async throughput(way: Path, direction: 'up' | 'down', seconds: number, more = ''): Promise<number> {
    const to = `-c ${PATHS[way]} -p ${this.iperfPort} ${direction === 'up' ? '' : '-R'}`
    const said = await this.run(`iperf3 ${to} -t ${seconds} -i 0 -f k ${more}`)
    const [, kbits] = /(\d+) Kbits\/sec +receiver/.exec(said) ?? []
    if (kbits === undefined) throw new Error(`iperf3 said: ${said}`)
    return Number(kbits) / 8000
  }

  /** Seconds that iperf3 takes to have so many megabytes received. */
  async transfer(way: Path, direction: 'up' | 'down', megabytes: number): Promise<number> {
    const to = `-c ${PATHS[way]} -p ${this.iperfPort} ${direction === 'up' ? '' : '-R'}`
    const said = await this.run(`iperf3 ${to} -n ${megabytes * 1e6} -i 0 -f k`)
    const [, seconds] = /0\.00-([\d.]+) +sec .*receiver/.exec(said) ?? []
    if (seconds === undefined) throw new Error(`iperf3 said: ${said}`)
    return Number(seconds)
  }

  /** Keeps the first guest sending to the second. */
  async load(way: 'direct' | 'switch'): Promise<{ end(): Promise<unknown> }> {
    const begun = `iperf3 -c ${PATHS[way]} -p ${this.iperfPort} -t 600 > /dev/null 2>&1 < /dev/null &`
    await this.run(`${begun}\necho $! > /run/load; sleep 2`)
    return {
      end: () =>
        this.run('kill $(cat /run/load); while kill -0 $(cat /run/load) 2> /dev/null; do sleep 0.1; done; sleep 1'),
    }
  }

  /** Times of a hundred pings, milliseconds. */
  async pings(way: 'direct' | 'switch'): Promise<number[]> {
    const said = await this.run(`ping -c 100 -i 0.05 ${PATHS[way]}`)
    return [...said.matchAll(/time=([\d.]+) ms/g)].map(([, ms]) => Number(ms))
  }

  /** Microseconds there and back of 64 bytes over a TCP connection, the median of `seconds` of them. */
  async roundTrip(way: 'direct' | 'switch', seconds: number): Promise<number> {
    const said = await this.run(`sockperf pp --tcp -i ${PATHS[way]} -p 11111 -t ${seconds} -m 64 --full-rtt`)
    const [, us] = /percentile 50\.000 = +([\d.]+)/.exec(said) ?? []
    if (us === undefined) throw new Error(`sockperf said: ${said}`)
    return Number(us)
  }

  /** What the second guest's kernel gets from the switch during `seconds`, bits a second of its clock, with headers. */
  async receivedBits(seconds: number): Promise<number> {
    const read = async () => {
      const said = await this.#guests[1]!.run('cat /proc/uptime /sys/class/net/eth1/statistics/rx_bytes')
      const [uptime = '', bytes = ''] = said.split('\n')
      return { at: Number(uptime.split(' ')[0]), bytes: Number(bytes) }
    }
    const before = await read()
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
    const after = await read()
    return ((after.bytes - before.bytes) * 8) / (after.at - before.at)
  }

  /** Limits of the first guest's sending to the switch, or of the second's receiving from it. */
  async limitSegment(guest: 0 | 1, limit: Partial<NicLimit>): Promise<void> {
    await setPolicy(this.#network, guest, { nic: SEGMENT.nic, ...limit })
  }

  async limitGateway(limit: Partial<NicLimit>): Promise<void> {
    await setPolicy(this.#network, 0, { nic: GATEWAY.nic, ...limit })
  }

  /** The mirror is on until this says otherwise. */
  mirror(on: boolean): Promise<void> {
    return on ? this.#network.setMirror(MIRROR) : this.#network.removeMirror(MIRROR.id)
  }

  /** Processor time of the network's worker so far, and of nothing else, seconds. */
  workerCpu(): number {
    return threadCpu(this.#workerTid)
  }

  async close(): Promise<void> {
    for (const guest of this.#guests) await guest.end()
    await this.#network.close()
    this.#mirrorSink.close()
    this.#server.kill()
    await once(this.#server, 'exit')
  }
}

/** The cards of both guests, and a mirror of the first's to somebody who takes everything at once. */
async function plugIn(network: Network, folder: string): Promise<void> {
  await network.setSegment({ name: SEGMENT.name, subnet: segmentSubnet(0), uplink: false })
  await network.setSegment({ name: GATEWAY_NETWORK, subnet: GATEWAY_SUBNET, uplink: true })
  const plug = async (index: number, domainId: string, nic: number, address: string, segment: string, file: string) => {
    const number = parseAddress(address)
    if (number === null) throw new Error(`no address: ${address}`)
    const config = { id: `${domainId}/${nic}`, domainId, nic, mac: macOf(index, nic), address: number }
    await network.setPort({ ...config, path: path.join(folder, file), plugged: true }, segment)
  }
  for (const [index, name] of NAMES.entries()) {
    await setPolicy(network, index)
    await plug(index + 1, name, SEGMENT.nic, SEGMENT.addresses[index]!, SEGMENT.name, `${name}-segment`)
    await plug(index + 1, name, GATEWAY.nic, GATEWAY.addresses[index]!, GATEWAY_NETWORK, `${name}-gateway`)
  }
  const policy = v.parse(SandboxPolicySchema, {})
  await network.setDomain({ domainId: 'listener', name: 'listener', group: '', policy, once: [] })
  await plug(LISTENER.number, 'listener', 0, LISTENER.address, SEGMENT.name, 'listener')
  await network.setMirror(MIRROR)
}

/** What a careful person would write, ending in a rule that matches. */
async function setPolicy(network: Network, index: number, limit?: { nic: number } & Partial<NicLimit>): Promise<void> {
  const name = NAMES[index]!
  const policy = v.parse(SandboxPolicySchema, {
    network: {
      rules: [
        { name: 'No mail', action: 'deny', protocol: 'tcp', peers: ['any'], ports: ['25'] },
        { name: 'Web', action: 'allow', protocol: 'tcp', peers: ['public'], ports: ['80', '443'] },
        { name: 'Host', action: 'allow', peers: ['host'] },
        { name: 'Each other', action: 'allow', direction: 'both', peers: ['neighbours'] },
      ],
    },
    limits: { network: limit ? [limit] : [] },
  })
  await network.setDomain({ domainId: name, name, group: '', policy, once: [] })
}

async function listenAndDiscard(file: string): Promise<Server> {
  const server = createServer((socket) => socket.resume())
  await new Promise<void>((resolve) => server.listen(file, resolve))
  return server
}

/** The thread that has worked most of those that came since; V8's own are started with the first of a process. */
function busiest(before: ReadonlySet<string>): number {
  const threads = readdirSync('/proc/self/task').filter((tid) => !before.has(tid))
  return threads.map(Number).reduce((one, other) => (threadCpu(other) > threadCpu(one) ? other : one))
}

/** Processor time that a thread of this process has used, seconds (Linux, at 100 ticks a second). */
function threadCpu(tid: number): number {
  const stat = readFileSync(`/proc/self/task/${tid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}
