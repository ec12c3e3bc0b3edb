/** Thrown by everything that would change the disk once the power is gone. */
export class PowerCut extends Error {
  constructor() {
    super('The power is gone.')
  }
}

/** Counts the changes that a process makes on the disk, and ends it before a certain one. */
export class PowerSupply {
  #left = Infinity

  /** The power goes after so many more changes. */
  lastsFor(changes: number): void {
    this.#left = changes
  }

  back(): void {
    this.#left = Infinity
  }

  get isGone(): boolean {
    return this.#left < 0
  }

  /** To be called before each change. */
  use(): void {
    this.#left -= 1
    if (this.isGone) throw new PowerCut()
  }

  /** `change` as something that needs power. */
  behind<A extends unknown[], R>(change: (...args: A) => Promise<R>): (...args: A) => Promise<R> {
    return async (...args) => {
      this.use()
      return await change(...args)
    }
  }
}
