import { createRequire } from 'node:module'
import { toFailure } from '../model/errors'
import { EmbeddedHost } from './embedded-host'
import type { FromGuest, GuestRequest, ToGuest } from './embedded-protocol'
import { connectParent } from './parent-link'

/** Entry point of a guest process: one embedded machine, driven by messages from main. It ends with its parent. */

const wasmFile = createRequire(__filename).resolve('v86/build/v86.wasm')
const host = new EmbeddedHost(wasmFile, (message) => send(message))

const send: (message: FromGuest) => void = connectParent((received) => {
  const message = received as ToGuest
  switch (message.type) {
    case 'moment-over':
      host.momentOver(message.seq, message.failure)
      break
    case 'serial':
      host.serialInput(message.port, message.bytes)
      break
    case 'taken':
      host.consoleTaken(message.bytes)
      break
    case 'viewer-open':
      host.viewers.open(message.viewer)
      break
    case 'viewer-close':
      host.viewers.close(message.viewer)
      break
    case 'viewer':
      host.viewers.receive(message.viewer, message.bytes)
      break
    case 'viewer-taken':
      host.viewers.taken(message.viewer, message.bytes)
      break
    default:
      void answer(message)
  }
})

async function answer(request: GuestRequest): Promise<void> {
  try {
    send({ type: 'reply', seq: request.seq, ok: true, value: await perform(request) })
  } catch (error) {
    send({ type: 'reply', seq: request.seq, ok: false, failure: toFailure(error, `${request.type} the machine`) })
  }
}

async function perform(request: GuestRequest): Promise<unknown> {
  switch (request.type) {
    case 'start':
      await host.start(request.spec, request.frameLinks, request.filesAddress)
      return null
    case 'pause':
      host.pause()
      return null
    case 'resume':
      host.resume()
      return null
    case 'save':
      return await host.save(request)
    case 'copy-layer':
      await host.copyLayer(request)
      return null
    case 'set-link':
      host.nic.setLink(request.up)
      return null
    case 'counters':
      return host.counters()
    case 'screenshot':
      return await host.viewers.screenshot()
  }
}
