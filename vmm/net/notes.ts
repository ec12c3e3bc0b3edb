import type { Clock } from './clock'

/** What the policy refused, or was told to note. */
export interface Note {
  /** The same for every repetition within the same few seconds. */
  seq: number
  action: 'deny' | 'log'
  /** The latest, Unix milliseconds. */
  at: number
  domainId: string
  nic: number
  direction: 'out' | 'in'
  protocol: number
  peer: number
  /** Names or the domain behind the peer, '' for none. */
  peerName: string
  port: number
  rule: string
  /** Place of the rule in the policy; -1 for one of Vivarium's own. */
  index: number
  /** One sentence. */
  reason: string
  count: number
}

export type NoteFacts = Omit<Note, 'seq' | 'at' | 'count'>

/** Repetitions within this are one note, milliseconds. */
const SAME_WITHIN_MS = 5000
/** Different things noted of one domain within that time; more are only counted. */
const NOTES_MOST = 200

/** Gathers what is noted, the same things together, so that a guest that tries a thousand times a second is one line. */
export class Notes {
  readonly #recent = new Map<string, { note: Note; since: number; fresh: boolean }>()
  readonly #perDomain = new Map<string, number>()
  readonly #untold = new Map<string, number>()
  #seq = 0

  constructor(
    private readonly clock: Clock,
    private readonly wallClock: () => number,
  ) {}

  add(facts: NoteFacts): void {
    const { action, domainId, nic, direction, protocol, peer, port, rule, peerName } = facts
    const key = [action, domainId, nic, direction, protocol, peer, port, rule, peerName].join('|')
    const known = this.#recent.get(key)
    if (known) {
      known.note = { ...known.note, at: this.wallClock(), count: known.note.count + 1 }
      known.fresh = true
      return
    }
    const count = this.#perDomain.get(domainId) ?? 0
    if (count >= NOTES_MOST) {
      this.#untold.set(domainId, (this.#untold.get(domainId) ?? 0) + 1)
      return
    }
    this.#perDomain.set(domainId, count + 1)
    const note: Note = { ...facts, seq: ++this.#seq, at: this.wallClock(), count: 1 }
    this.#recent.set(key, { note, since: this.clock.now(), fresh: true })
  }

  /** What is new or has happened again since the last time, and how much was not even noted. */
  take(): { notes: Note[]; untold: [domainId: string, count: number][] } {
    const now = this.clock.now()
    const notes: Note[] = []
    for (const [key, entry] of this.#recent) {
      if (entry.fresh) notes.push(entry.note)
      entry.fresh = false
      if (now - entry.since < SAME_WITHIN_MS) continue
      this.#recent.delete(key)
      const { domainId } = entry.note
      this.#perDomain.set(domainId, (this.#perDomain.get(domainId) ?? 1) - 1)
    }
    const untold = [...this.#untold]
    this.#untold.clear()
    return { notes, untold }
  }

  forget(domainId: string): void {
    this.#perDomain.delete(domainId)
    this.#untold.delete(domainId)
    for (const [key, { note }] of this.#recent) if (note.domainId === domainId) this.#recent.delete(key)
  }
}
