import { randomBytes } from 'node:crypto'
import { parentPort } from 'node:worker_threads'
import { createBirpc } from 'birpc'
import { NetworkHost } from './network-host'
import type { NetworkCommands, NetworkEvents } from './network-protocol'

/** Entry point of the network's worker thread. It ends with main. */

/** How often main is told what goes on, milliseconds. */
const REPORT_EVERY_MS = 250

const port = parentPort
if (!port) throw new Error('The network runs as a worker thread.')

const host = new NetworkHost({
  clock: {
    now: () => performance.now(),
    later: (ms, work) => {
      const timer = setTimeout(work, ms)
      return () => clearTimeout(timer)
    },
    random32: () => randomBytes(4).readUInt32LE(0),
  },
  wallClock: () => Date.now(),
})

const main = createBirpc<NetworkEvents, NetworkCommands>(host, {
  post: (message) => port.postMessage(message),
  on: (receive) => port.on('message', receive),
  bind: 'functions',
  eventNames: ['report'],
})

setInterval(() => void main.report.asEvent(host.tick()), REPORT_EVERY_MS)
