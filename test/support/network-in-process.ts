import { EventEmitter } from 'node:events'
import { createBirpc } from 'birpc'
import { NetworkHost } from '../../vmm/net/network-host'
import type { NetworkCommands, NetworkEvents } from '../../vmm/net/network-protocol'
import type { NetworkThread } from '../../vmm/net/network'
import { realClock } from './real-clock'

const REPORT_EVERY_MS = 50

/** The network's worker without a thread: the same host, spoken to with structured clones. */
export function networkInProcess(): NetworkThread {
  const toMain = new EventEmitter()
  const host = new NetworkHost({ clock: realClock, wallClock: () => Date.now() })
  let receive: (message: unknown) => void = () => undefined
  const main = createBirpc<NetworkEvents, NetworkCommands>(host, {
    post: (message) => void setImmediate(() => toMain.emit('message', structuredClone(message))),
    on: (listener) => (receive = listener),
    bind: 'functions',
  })
  const reports = setInterval(() => void main.report.asEvent(host.tick()), REPORT_EVERY_MS)
  return {
    postMessage: (message) => void setImmediate(() => receive(structuredClone(message))),
    on: (event: string, listener: (value: never) => void) => toMain.on(event, listener as (value: unknown) => void),
    terminate: async () => {
      clearInterval(reports)
      await host.close()
      toMain.emit('exit')
    },
  }
}
