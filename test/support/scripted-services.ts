import { toFailure, VmmError } from '../../vmm/model/errors'
import type { ContractEvent } from '../../src-main/contract'
import type { Services } from '../../src-main/services/services'

type Handler = (args: unknown) => unknown

/** Services that answer from `handlers`, and let a test send events and count clients. */
export function scriptedServices(handlers: Record<string, Handler> = {}) {
  const clients = new Set<(event: ContractEvent) => void>()
  const services: Services = {
    attach(send) {
      clients.add(send)
      return {
        call: async (name, args) => {
          try {
            const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined
            if (!handler) throw new VmmError('not-found', `There is no call '${name}'.`)
            return { ok: true, value: await handler(args) }
          } catch (error) {
            return { ok: false, failure: toFailure(error) }
          }
        },
        close: () => clients.delete(send),
      }
    },
    busy: () => ({ machines: 0, outliving: 0, tasks: 0, clients: clients.size }),
    close: () => Promise.resolve(),
  }
  return {
    services,
    clients: () => clients.size,
    emit: (event: ContractEvent) => {
      for (const send of clients) send(event)
    },
  }
}
