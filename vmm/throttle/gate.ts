export type GateKind = 'read' | 'write'

/** Where what a guest asks for waits until its rate allows it. */
export interface Gate {
  /**
   * Null when it may go at once; otherwise resolves when it may. `bytes` 0: an operation that carries no data. Rejects
   * with the reason of `signal` when that aborts first; nothing is counted then.
   */
  pass(kind: GateKind, bytes: number, signal?: AbortSignal): Promise<void> | null
}
