import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CaptureView } from '../../src-main/contract'
import { NO_TCPDUMP, NO_TSHARK, readWithTcpdump, readWithTshark } from '../support/capture-readers'
import { rule, rules, startNetworkGuest, type NetworkGuest } from '../support/network-guests'
import { NO_NETWORK_TOOLS, seedNetworkTools } from '../support/network-tools'
import { endMachines, NO_QEMU } from '../support/qemu-machines'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { openVivarium, type TestVivarium } from '../support/vivarium'

const missing = NO_NETWORK_TOOLS || NO_QEMU
const SEGMENT = 'lab'
const MIB = 1024 * 1024
const PINGS = 25

describe.skipIf(missing !== '')(`guests on a segment of their own ${missing}`, () => {
  const folder = temporaryFolderForFile()
  let vivarium: TestVivarium
  let one: NetworkGuest
  let two: NetworkGuest
  let listener: NetworkGuest

  beforeAll(async () => {
    await seedNetworkTools(folder)
    vivarium = await openVivarium(folder)
    const place = {
      networks: [SEGMENT],
      policy: rules(rule('Each other', ['neighbours'], { direction: 'both' })),
    }
    one = await startNetworkGuest(vivarium.call, 'One', place)
    two = await startNetworkGuest(vivarium.call, 'Two', place)
    listener = await startNetworkGuest(vivarium.call, 'Listener', place)
    await two.shell('iperf3 -s -D')
  })
  afterAll(async () => {
    await vivarium.close()
    await endMachines(folder)
  })

  test('iperf3 between two of them, each way', async () => {
    for (const way of ['', '-R']) {
      const result = await one.shell(`iperf3 -J -c ${two.addresses[0]} -n 16M ${way}`)
      const { sum_sent, sum_received } = (JSON.parse(result) as IperfResult).end
      expect(sum_sent.bytes).toBeGreaterThanOrEqual(16 * MIB)
      // what is still on its way when the client says that it has done is not counted
      expect(sum_received.bytes).toBeGreaterThan(14 * MIB)
    }
    const flows = await vivarium.call('network.flows', { id: one.id })
    expect(flows).toContainEqual(expect.objectContaining({ peerName: 'Two', port: 5201 }))
    expect(Math.max(...flows.map(({ upBytes }) => upBytes))).toBeGreaterThan(14 * MIB)
    expect(Math.max(...flows.map(({ downBytes }) => downBytes))).toBeGreaterThan(14 * MIB)
  })

  test('a listener sees every frame of a ping, and sends none', async () => {
    const { call } = vivarium
    const { id: mirrorId } = await call('mirrors.add', {
      source: { id: one.id, nic: 0 },
      target: { id: listener.id, nic: 0 },
    })
    const watched = await call('captures.start', { source: { segment: SEGMENT }, stage: 'after' })
    await listener.shell('ethtool -K eth0 gro off && ip link set eth0 promisc on')
    await listener.shell(
      `tcpdump -n -U -Z root -i eth0 -w /tmp/seen.pcap icmp > /dev/null 2> /run/tcpdump < /dev/null & timeout 20 sh -c "until grep -q 'listening on' /run/tcpdump; do sleep 0.1; done"`,
    )
    const pinged = await one.shell(`ping -c ${PINGS} -i 0.05 -s 1200 ${two.addresses[0]}`)
    expect(pinged).toContain(` 0% packet loss`)
    const seen = () => listener.shell('tcpdump -n -Z root -r /tmp/seen.pcap 2> /dev/null')
    await expect.poll(async () => (await seen()).split('\n').length, { timeout: 30_000 }).toBe(2 * PINGS)
    const lines = (await seen()).split('\n')
    const between = (from: string, to: string, what: string) =>
      lines.filter((line) => line.includes(`IP ${from} > ${to}: ICMP echo ${what}`)).length
    const [first = '', second = ''] = [one.addresses[0], two.addresses[0]]
    expect(between(first, second, 'request')).toBe(PINGS)
    expect(between(second, first, 'reply')).toBe(PINGS)

    // nothing that the listener sends gets anywhere
    await listener.shell(`! ping -c 5 -i 0.2 -W 1 ${second}`)
    await listener.shell('! ping -c 5 -i 0.2 -W 1 10.87.0.1')
    expect(await listener.shell('cat /sys/class/net/eth0/statistics/tx_packets').then(Number)).toBeGreaterThan(0)
    await call('captures.stop', { captureId: watched.id })
    const { lines: frames } = readWithTcpdump(await save(watched))
    expect(frames.filter((line) => line.includes(listener.addresses[0]!))).toEqual([])
    expect(frames.filter((line) => line.includes('ICMP echo reply')).length).toBeGreaterThanOrEqual(PINGS)
    await call('mirrors.remove', { mirrorId })
    await expect.poll(() => listener.shell(`ping -c 1 -W 1 ${second} || :`)).toContain(' 0% packet loss')
  })

  test.skipIf(NO_TCPDUMP !== '')(
    `tcpdump and tshark find no fault in a capture ${NO_TCPDUMP} ${NO_TSHARK}`,
    async () => {
      const { call } = vivarium
      const capture = await call('captures.start', { source: { id: one.id, nic: 0 } })
      await one.shell(`iperf3 -c ${two.addresses[0]} -n 2M; ping -c 3 -i 0.2 -s 3000 ${two.addresses[0]}`)
      await one.shell('/usr/lib/vivarium/connect; ! nc.openbsd -w 2 -z 203.0.113.7 80')
      const ended = await call('captures.stop', { captureId: capture.id })
      const file = await save(ended)
      const { lines, complaints } = readWithTcpdump(file)
      expect(complaints).toBe('')
      expect(lines).toHaveLength(ended.frames)
      expect(lines.filter((line) => line.includes('5201')).length).toBeGreaterThan(1000)
      if (NO_TSHARK !== '') return
      const packets = readWithTshark(file)
      expect(packets).toHaveLength(ended.frames)
      expect(packets.filter(({ malformed }) => malformed)).toEqual([])
      const protocols = new Set(packets.flatMap((packet) => packet.protocols.split(':')))
      expect([...protocols]).toEqual(expect.arrayContaining(['tcp', 'icmp', 'dhcp']))
    },
  )

  /** The only file of a capture, on this disk. */
  async function save({ id }: CaptureView): Promise<string> {
    const { call } = vivarium
    const capture = (await call('networks.get', {})).captures.find((one) => one.id === id)!
    const [{ name } = { name: '' }] = capture.files
    expect(capture.files).toHaveLength(1)
    const parts: Uint8Array[] = []
    for (let offset = 0; ;) {
      const { bytes, size } = await call('captures.read', { captureId: id, file: name, offset })
      parts.push(bytes)
      offset += bytes.byteLength
      if (offset >= size) break
    }
    const file = path.join(folder, name)
    writeFileSync(file, Buffer.concat(parts))
    return file
  }
})

/** What is looked at of what iperf3 tells. */
interface IperfResult {
  end: { sum_sent: { bytes: number }; sum_received: { bytes: number } }
}
