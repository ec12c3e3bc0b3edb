/** Where what a guest asks for waits until its rate allows it. */
export interface Gate {
  /** Null when it may go at once; otherwise resolves when it may. `bytes` 0: an operation that carries no data. */
  pass(kind: 'read' | 'write', bytes: number): Promise<void> | null
}
