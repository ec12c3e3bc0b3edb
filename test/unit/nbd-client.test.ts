import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { NbdClient } from '../../vmm/disks/nbd-client'
import type { ServedDisk } from '../../vmm/disks/nbd-connection'
import { NbdServer } from '../../vmm/disks/nbd-server'
import { EmbeddedVolume } from '../../vmm/engine/embedded-volume'
import { below, pick } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { temporaryFolder } from '../support/temporary-folder'

const BYTES = 256 * 1024

/** A disk that forgets with its server what was not flushed. */
class ForgetfulDisk implements ServedDisk {
  readonly size = BYTES
  kept = Buffer.alloc(BYTES)
  now = Buffer.alloc(BYTES)
  failure: Error | null = null

  read(position: number, into: Uint8Array): void {
    this.#check()
    this.now.copy(into, 0, position, position + into.byteLength)
  }

  write(position: number, data: Uint8Array): void {
    this.#check()
    this.now.set(data, position)
  }

  zero(position: number, length: number): void {
    this.now.fill(0, position, position + length)
  }

  flush(): Promise<void> {
    this.kept = Buffer.from(this.now)
    return Promise.resolve()
  }

  crash(): void {
    this.now = Buffer.from(this.kept)
  }

  #check(): void {
    if (this.failure) throw this.failure
  }
}

/** A server that can be killed and started again; `pass` is its gate. */
async function stand(pass: () => Promise<void> | null = () => null) {
  const disk = new ForgetfulDisk()
  const address = join(temporaryFolder(), 'nbd')
  let server: NbdServer | null = null
  const start = async () => {
    server = await NbdServer.listen(address)
    server.add('disk', disk, { pass })
  }
  const kill = async () => {
    await server?.close()
    server = null
    disk.crash()
  }
  await start()
  onTestFinished(kill)
  const failures: Error[] = []
  const open = async (name = 'disk', withinMs = 5000) => {
    const client = new NbdClient(address, name, (error) => failures.push(error))
    onTestFinished(() => client.close())
    expect(await client.open(withinMs)).toBe(BYTES)
    return client
  }
  return { disk, address, start, kill, open, failures }
}

describe('NbdClient', () => {
  it('reads and writes', async () => {
    const { open } = await stand()
    const client = await open()
    const data = randomBytes(100_000)
    await client.write(5000, data)
    expect((await client.read(5000, data.length)).equals(data)).toBe(true)
    await expect(client.read(BYTES - 10, 20)).rejects.toMatchObject({ kind: 'engine' })
  })

  it('gives up on a disk that is not served', async () => {
    const { open } = await stand()
    await expect(open('another', 300)).rejects.toMatchObject({ kind: 'engine' })
  })

  it('sends again what the server forgot when it was killed, and what it had not answered', async () => {
    const { open, kill, start, disk } = await stand()
    const client = await open()
    await client.write(0, Buffer.alloc(1000, 1))
    await client.flush()
    await client.write(500, Buffer.alloc(1000, 2))
    await client.write(800, Buffer.alloc(1000, 3))
    await kill()
    expect(disk.now[600]).toBe(1)
    const later = client.write(900, Buffer.alloc(10, 4))
    const reading = client.read(0, 2000)
    await start()
    await later
    const expected = Buffer.concat([
      Buffer.alloc(500, 1),
      Buffer.alloc(300, 2),
      Buffer.alloc(100, 3),
      Buffer.alloc(10, 4),
      Buffer.alloc(890, 3),
      Buffer.alloc(200),
    ])
    expect((await reading).equals(expected)).toBe(true)
    await client.flush()
    expect(disk.kept.subarray(0, 2000).equals(expected)).toBe(true)
  })

  it('keeps the order of what overlaps though the server takes its time', async () => {
    const { random } = seededRandom()
    const { open, kill, start } = await stand(() =>
      random() < 0.5 ? null : new Promise((resolve) => setTimeout(resolve, random() * 3)),
    )
    const client = await open()
    const model = Buffer.alloc(BYTES)
    const waiting: Promise<unknown>[] = []
    for (let step = 0; step < 1500; step++) {
      const at = below(random, 4000)
      const length = 1 + below(random, 1000)
      const kind = pick(random, ['write', 'write', 'read', 'read', 'flush'])
      if (kind === 'write') {
        const data = randomBytes(length)
        data.copy(model, at)
        waiting.push(client.write(at, data))
      } else if (kind === 'read') {
        const expected = Buffer.from(model.subarray(at, at + length))
        waiting.push(client.read(at, length).then((read) => expect(read.equals(expected), `step ${step}`).toBe(true)))
      } else waiting.push(client.flush())
      if (step % 20 === 0) await Promise.all(waiting.splice(0, below(random, waiting.length)))
      if (step % 300 === 299) {
        await kill()
        await start()
      }
    }
    await Promise.all(waiting)
    expect((await client.read(0, 5000)).equals(model.subarray(0, 5000))).toBe(true)
  })
})

describe('EmbeddedVolume', () => {
  it('stalls on a full host, and goes on', async () => {
    const { address, disk, kill, start } = await stand()
    const stalls: string[] = []
    let nudges = 0
    const on = { failure: (error: Error) => stalls.push(error.message), nudge: () => nudges++ }
    const volume = await EmbeddedVolume.open({ served: address, id: 'disk' }, on)
    onTestFinished(() => volume.close())
    disk.failure = Object.assign(new Error('full'), { code: 'ENOSPC' })
    const data = Buffer.alloc(512, 7)
    const written = new Promise<void>((resolve) => volume.set(512, data, resolve))
    data.fill(0) // v86 uses its memory again
    await expect.poll(() => stalls).toEqual(['The disk of the host is full.'])
    expect(volume.stalled).toBe(true)
    disk.failure = null
    volume.retry()
    await written
    expect([volume.stalled, nudges]).toEqual([false, 1])
    await kill()
    await start()
    await volume.flush()
    expect(disk.kept.subarray(512, 1024)).toEqual(Buffer.alloc(512, 7))
  })
})
