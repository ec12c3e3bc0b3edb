/** A guest that was silent for so long is asked whether it is still there, and given up after so many questions. */
const ASK_AFTER_MS = 2 * 60 * 60_000
const PAUSE_MS = 75_000
const QUESTIONS = 9

/** Finds out guests that left an open connection without a word. (RFC 9293, 3.8.4) */
export class Silence {
  #since: number
  #asked = 0

  constructor(now: number) {
    this.#since = now
  }

  heard(now: number): void {
    this.#since = now
    this.#asked = 0
  }

  /** When to ask next, milliseconds of the clock. */
  get askAt(): number {
    return this.#since + ASK_AFTER_MS + this.#asked * PAUSE_MS
  }

  /** Notes one question; false when there were enough. */
  ask(): boolean {
    return ++this.#asked <= QUESTIONS
  }
}
