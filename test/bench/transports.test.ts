import path from 'node:path'
import { test } from 'vitest'
import { WebSocket } from 'ws'
import { connectClient, decodeMessage, encodeMessage, type Channel, type ContractClient } from '../../src-main/contract'
import { connectLocal, serveLocal } from '../../src-main/local-socket'
import { serveBrowsers } from '../../src-main/server'
import { socketAddress } from '../../src-main/socket-address'
import { temporaryFolder } from '../support/temporary-folder'
import { openVivarium } from '../support/vivarium'
import { percentile, report, timed } from './figures'

const CALLS = 2000
const ROUNDS = 5

async function p99(client: ContractClient): Promise<number[]> {
  const rounds: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const samples: number[] = []
    for (let call = 0; call < CALLS; call++) samples.push(await timed(() => client.call('settings.get', {})))
    rounds.push(percentile(samples, 0.99))
  }
  return rounds
}

async function webSocketChannel(url: string): Promise<Channel> {
  const { origin, host, hash } = new URL(url)
  const socket = new WebSocket(`ws://${host}/contract`, { origin })
  await new Promise((resolve) => socket.once('open', resolve))
  socket.send(encodeMessage({ token: hash.slice('#token='.length) }))
  return {
    post: (message) => socket.send(encodeMessage(message)),
    onMessage: (receive) => void socket.on('message', (data: Buffer) => receive(decodeMessage(data))),
  }
}

test('a call there and back, over each transport', async () => {
  const folder = temporaryFolder()
  const vivarium = await openVivarium(folder)
  const stopLocal = await serveLocal(vivarium.services, socketAddress(folder))
  const browsers = await serveBrowsers({
    services: vivarium.services,
    uiFolder: path.resolve('.vite/renderer'),
    port: 0,
  })
  const local = await connectLocal(socketAddress(folder))
  const name = (transport: string) => `call over the ${transport}, p99`
  report({ name: name('local socket'), values: await p99(connectClient(local)), unit: ' ms', atMost: 10 })
  const web = connectClient(await webSocketChannel(browsers.url))
  report({ name: name('WebSocket'), values: await p99(web), unit: ' ms', atMost: 10 })
  local.close()
  await browsers.close()
  await stopLocal()
  await vivarium.close()
})
