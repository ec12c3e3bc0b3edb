import { createBirpc } from 'birpc'
import type { CallArgs, CallName, CallResult } from './calls'
import type { ContractEvent } from './events'
import type { FailureView } from './views'
import { VmmError } from '../../vmm/model/errors'

/**
 * How calls and events travel, whatever the transport. Main answers one remote function, `call`, with an
 * envelope: a thrown error would lose its kind on the way. The client answers one, `event`.
 */
export type Envelope = { ok: true; value: unknown } | { ok: false; failure: FailureView }

/** What main offers. */
export interface MainSide {
  call(name: string, args: unknown): Promise<Envelope>
}

/** What a client offers. */
export interface ClientSide {
  event(event: ContractEvent): void
}

/** Carries whole messages, in order. Messages are plain data that may hold Uint8Array. */
export interface Channel {
  post(message: unknown): void
  onMessage(receive: (message: unknown) => void): void
}

/** A client's view of the contract. */
export interface ContractClient {
  call<N extends CallName>(name: N, args: CallArgs<N>): Promise<CallResult<N>>
  /** Calls `listener` for every event; returns the function that ends it. */
  onEvent(listener: (event: ContractEvent) => void): () => void
}

/** Longer than the longest wait that a call may ask for. */
const CALL_TIMEOUT_MS = 60_000

/** Makes a client of the contract over `channel`. A refused call throws the `VmmError` that main gave. */
export function connectClient(channel: Channel): ContractClient {
  const listeners = new Set<(event: ContractEvent) => void>()
  const functions: ClientSide = {
    event(event) {
      for (const listener of listeners) listener(event)
    },
  }
  const remote = createBirpc<MainSide, ClientSide>(functions, {
    post: (message) => channel.post(message),
    on: (receive) => channel.onMessage(receive),
    timeout: CALL_TIMEOUT_MS,
  })
  return {
    async call(name, args) {
      const envelope = await remote.call(name, args)
      if (!envelope.ok) throw VmmError.fromFailure(envelope.failure)
      return envelope.value as CallResult<typeof name>
    },
    onEvent(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/** Serves `answer` over `channel`; returns the way to send events back. Only `call` can be reached. */
export function serveMain(channel: Channel, answer: MainSide['call']): { send(event: ContractEvent): void } {
  const functions: MainSide = { call: (name, args) => answer(name, args) }
  const remote = createBirpc<ClientSide, MainSide>(functions, {
    post: (message) => channel.post(message),
    on: (receive) => channel.onMessage(receive),
    eventNames: ['event'],
    resolver: (name) => (name === 'call' ? functions.call : undefined),
  })
  return {
    send: (event) => {
      void remote.event.asEvent(event)
    },
  }
}
