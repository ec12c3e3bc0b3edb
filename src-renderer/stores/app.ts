import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'
import {
  TOPICS,
  type AppView,
  type CallArgs,
  type CallName,
  type CallResult,
  type ContractEvent,
  type EventPayload,
  type FailureView,
  type Topic,
} from '../../src-main/contract'
import type { Connection, ConnectionListener, ConnectionStatus } from '../connection'
import { failureOf } from '../failure'

/** The connection to main, and what main says of itself. Other stores call and listen through this one. */
export const useApp = defineStore('app', () => {
  const status = shallowRef<ConnectionStatus>({ phase: 'connecting' })
  const info = shallowRef<AppView | null>(null)
  /** Whether every list has been read at least once. */
  const ready = ref(false)
  const loadFailure = shallowRef<FailureView | null>(null)

  const loaders: (() => Promise<unknown>)[] = []
  const listeners = new Map<Topic, ((payload: never) => void)[]>()
  let connection: Connection | null = null

  function connect(open: (listener: ConnectionListener) => Connection): void {
    connection = open({ onStatus, onEvent })
  }

  function onStatus(next: ConnectionStatus): void {
    status.value = next
    // later, because a connection may be open before `connect` holds it
    if (next.phase === 'open') void Promise.resolve().then(load)
  }

  function onEvent(event: ContractEvent): void {
    for (const listener of listeners.get(event.topic) ?? []) listener(event.payload as never)
  }

  async function load(): Promise<void> {
    try {
      await call('events.subscribe', { topics: [...TOPICS] })
      await Promise.all([firstInfo(), ...loaders.map((loader) => loader())])
      loadFailure.value = null
      ready.value = true
    } catch (thrown) {
      loadFailure.value = failureOf(thrown)
    }
  }

  /** What is known at once; the rest follows. */
  async function firstInfo(): Promise<void> {
    info.value = await call('app.info', { wait: false })
    if (info.value.engines.some((engine) => engine.trying)) void refreshInfo()
  }

  async function refreshInfo(): Promise<void> {
    info.value = await call('app.info', {})
  }

  /** Tries every engine again, as after something was installed. */
  async function probeEngines(): Promise<void> {
    const engines = await call('engines.probe', {})
    if (info.value) info.value = { ...info.value, engines }
  }

  function call<N extends CallName>(name: N, args: CallArgs<N>): Promise<CallResult<N>> {
    if (!connection) return Promise.reject(new Error('no connection yet'))
    return connection.call(name, args)
  }

  function on<T extends Topic>(topic: T, listener: (payload: EventPayload<T>) => void): void {
    listeners.set(topic, [...(listeners.get(topic) ?? []), listener])
  }

  /** Runs `loader` on every (re)connection, before the interface counts as ready. */
  function onConnected(loader: () => Promise<unknown>): void {
    loaders.push(loader)
  }

  return {
    status,
    info,
    ready,
    loadFailure,
    connect,
    load,
    refreshInfo,
    probeEngines,
    call,
    on,
    onConnected,
    retryNow: () => connection?.retryNow(),
  }
})
