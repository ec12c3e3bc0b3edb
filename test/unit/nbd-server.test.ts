import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { statSync, writeFileSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { NbdServer } from '../../vmm/disks/nbd-server'
import { Volume } from '../../vmm/disks/volume'
import { VolumeLayer } from '../../vmm/disks/volume-layer'
import { BlobPool } from '../../vmm/sealed/blob-pool'
import { StoreKey } from '../../vmm/sealed/store-key'
import type { Gate } from '../../vmm/throttle/gate'
import { temporaryFolder } from '../support/temporary-folder'

const run = promisify(execFile)
const MIB = 1024 * 1024
const ID = '0'.repeat(32)
const OPEN: Gate = { pass: () => null }

async function serve({ master = Buffer.alloc(32, 3), bytes = 8 * MIB, gate = OPEN } = {}) {
  const folder = temporaryFolder()
  const [key, pool] = [StoreKey.of(master, 'volumes'), new BlobPool()]
  const stem = join(folder, ID)
  VolumeLayer.create({ stem, key, pool, below: null }, { id: ID, parent: null }, bytes).close()
  const volume = new Volume({ layers: [stem], base: null, baseBytes: 0, key, pool })
  const socket = join(folder, 'nbd')
  const server = await NbdServer.listen(socket)
  server.add('disk', volume, gate)
  onTestFinished(async () => {
    await server.close()
    volume.close()
  })
  return { folder, volume, server, socket, url: `nbd+unix:///disk?socket=${socket}` }
}

const io = (url: string, ...commands: string[]) =>
  run('qemu-io', ['-f', 'raw', ...commands.flatMap((each) => ['-c', each]), url])

describe('NbdServer', () => {
  it('serves a volume to qemu-io: patterns, zeros, discards, FUA, the end', async () => {
    const { url, socket } = await serve()
    expect(statSync(socket).mode & 0o777).toBe(0o600)
    const { stdout } = await io(
      url,
      'write -P 0x41 1000k 300k',
      'write -f -P 0x42 1100k 4k',
      'write -z 1200k 10k',
      'discard 1024k 32k',
      'flush',
      'read -P 0x41 1000k 24k',
      'read -P 0 1024k 32k',
      'read -P 0x42 1100k 4k',
      'read -P 0 1200k 10k',
      'read -P 0x41 1210k 90k',
      'read -P 0 0 1000k',
      'aio_write -P 7 4M 2M',
      'aio_write -P 8 6M 2M',
      'aio_flush',
      'read -P 7 4M 2M',
      'read -P 8 6M 2M',
      'length',
    )
    expect(stdout).not.toMatch(/fail|error/i)
    expect(stdout).toContain('8 MiB')
  })

  it('takes a whole image from qemu-img convert and gives it back', async () => {
    const { folder, url } = await serve()
    const image = join(folder, 'image')
    writeFileSync(image, Buffer.concat([randomBytes(3 * MIB + 512), Buffer.alloc(2 * MIB), randomBytes(MIB)]))
    await run('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', image, url])
    await run('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', image, url])
    const back = join(folder, 'back')
    await run('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', url, back])
    const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
    const source = readFileSync(image)
    expect(digest(readFileSync(back).subarray(0, source.length))).toBe(digest(source))
  })

  it('waits at the gate, and drains', async () => {
    let open: () => void = () => undefined
    let waiting = 0
    const gate: Gate = {
      pass: () => {
        waiting++
        return new Promise<void>((resolve) => (open = resolve))
      },
    }
    const { server, url, volume } = await serve({ gate })
    const writing = io(url, 'write -P 9 0 64k')
    await expect.poll(() => waiting).toBeGreaterThan(0)
    let drained = false
    const draining = server.drain().then(() => (drained = true))
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(drained).toBe(false)
    open()
    await draining
    const bytes = Buffer.alloc(64 * 1024)
    volume.read(0, bytes)
    expect([0, 9]).toContain(bytes[0]) // a probe may have come first
    const pump = setInterval(() => open(), 5)
    server.resume()
    await writing
    clearInterval(pump)
    volume.read(0, bytes)
    expect(bytes.every((byte) => byte === 9)).toBe(true)
  })

  it.each([
    ['an option that is too long', (bytes: Buffer) => bytes.writeUInt32BE(0xffffffff, 16)],
    ['an option without its magic', (bytes: Buffer) => bytes.writeUInt32BE(1, 4)],
    ['flags that nobody knows', (bytes: Buffer) => bytes.writeUInt32BE(0xff00, 0)],
  ])('sends a client away for %s', async (_, spoil) => {
    const { socket } = await serve()
    const hello = Buffer.alloc(20)
    hello.writeUInt32BE(3, 0)
    hello.writeBigUInt64BE(0x49484156454f5054n, 4)
    hello.writeUInt32BE(7, 12)
    spoil(hello)
    const client = connect(socket)
    client.resume()
    client.write(hello)
    await new Promise((resolve) => client.once('close', resolve))
  })
})
