import type { ContractEvent, Topic } from '../contract'

interface Listener {
  topics: ReadonlySet<Topic>
  send(event: ContractEvent): void
}

/** Brings events to the clients that asked for their topic. */
export class Broadcast {
  readonly #listeners = new Set<Listener>()

  add(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  publish(event: ContractEvent): void {
    for (const listener of this.#listeners) {
      if (listener.topics.has(event.topic)) listener.send(event)
    }
  }
}
