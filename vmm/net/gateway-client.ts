import type { Verdict } from './policy-verdict'

/** A network card as the gateway sees it: who sits behind it, and the way to it. */
export interface GatewayClient {
  /** Names the card; no two at a time share it. */
  readonly id: string
  readonly mac: Uint8Array
  /** The IPv4 address that is its own. */
  readonly address: number
  /** Hands a whole Ethernet frame to the guest, of which the buffer is then the property. False when the way is full. */
  send(frame: Buffer): boolean
  /** Whether the way to the guest takes more; frames sent nevertheless may be dropped. */
  hasRoom(): boolean
  /** Calls `listener` each time the way has room again; returns the function that ends it. */
  onRoom(listener: () => void): () => void
  /** Whether the guest may resolve a DNS name, in lower case and without a final dot. */
  mayResolve(name: string): Verdict
  /** Whether a rule names a block that holds this private address, so that a name may lead to it. */
  mayLeadTo(name: string, address: number): boolean
  /** From now on, for `ttlSeconds`, `address` is what `name` leads to for this guest. */
  pin(name: string, address: number, ttlSeconds: number): void
  /** Notes what was refused to the guest by the gateway itself. */
  denied(what: { protocol: number; peer: number; port: number; name: string; rule: string; reason: string }): void
}
